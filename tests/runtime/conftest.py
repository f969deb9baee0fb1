"""A project of one's own for each test: definitions made in place, a store file in a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.worker_process import WorkerProcess


class Project:
    """Collects definitions and runs scenarios against a real store file."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(project=folder)

    def scenario(
        self,
        module: dict[str, Any],
        scenario: Callable[[Engine], Awaitable[Any]],
        *,
        work: bool = True,
        process: WorkerProcess | None = None,
        environment: Environment | None = None,
    ) -> Any:
        """Open the engine with a module's definitions, await the scenario, close."""
        registry = Registry("none")
        registry.register(*module[NAMESPACE].values())

        async def main() -> Any:
            async with (
                open_engine(registry, self.settings, work=work, environment=environment, process=process) as engine,
                asyncio.timeout(30),
            ):
                return await scenario(engine)

        return asyncio.run(main())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
