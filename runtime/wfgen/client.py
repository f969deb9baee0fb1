"""The base of generated clients."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

from wfgen.definitions import MISSING
from wfgen.engine import Engine, open_engine
from wfgen.errors import UnknownRunError
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.runs import Run
from wfgen.settings import Settings
from wfgen.store.protocol import RunRecord

C = TypeVar("C", bound="ClientBase")
RunT = TypeVar("RunT", bound=Run[Any])


class ClientBase:
    """What every generated client offers beside its workflows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get_run(self, run_id: str) -> Run[Any]:
        """A handle on a run of any workflow."""
        return self.engine.run(run_id)

    async def list_runs(self, *, workflow: str | None = None, limit: int = 100) -> list[RunRecord]:
        """The newest runs first."""
        return await self.engine.store.list_runs(workflow=workflow, limit=limit)


class WorkflowClient(Generic[RunT]):
    """Starts one workflow's runs and finds them again."""

    name: ClassVar[str]
    run_class: ClassVar[type[Run[Any]]]

    def __init__(self, client: ClientBase) -> None:
        self._engine = client.engine

    async def _start(
        self, data: Any = MISSING, *, version: str | None = None, idempotency_key: str | None = None
    ) -> RunT:
        run = await self._engine.start_run(self.name, data, version=version, idempotency_key=idempotency_key)
        return self._run(run.id)

    def _run(self, run_id: RunId) -> RunT:
        return cast("RunT", self.run_class(self._engine, run_id))

    async def get_run(self, run_id: str) -> RunT:
        """A typed handle on a run of this workflow.

        Raises:
            UnknownRunError: there is no such run, or it is another workflow's.
        """
        record = await self._engine.store.get_run(run_id)
        if record.workflow != self.name:
            raise UnknownRunError(f"run {run_id!r} is one of workflow {record.workflow!r}, not of {self.name!r}.")
        return self._run(record.run_id)

    async def cancel_run(self, run_id: str) -> None:
        """Ask a run to stop.

        Raises:
            UnknownRunError: there is no such run, it is another workflow's, or it is finished.
        """
        await (await self.get_run(run_id)).cancel()


@contextlib.asynccontextmanager
async def open_client(
    client: type[C], registry: Registry, *, engine: str | None = None, work: bool | None = None, start: Path
) -> AsyncIterator[C]:
    """Open a generated client on the engine that the settings name.

    Args:
        client: the generated class.
        registry: the generated registry.
        engine: an engine's URL, instead of the setting.
        work: whether this process also works runs; by default it does on SQLite.
        start: a folder of the project, whose settings apply.
    """
    settings = Settings.load(start, engine=engine)
    works = settings.engine.startswith("sqlite:") if work is None else work
    async with open_engine(registry, settings, work=works) as opened:
        yield client(opened)
