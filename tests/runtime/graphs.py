"""Workflows with the static graph that an inspection of their source gives, as generated code would have it."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.graph import Graph
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen_inspector import inspect

HEAD = """\
import asyncio
from wfgen import Workflow, define_worker, define_workflow


@define_worker("shop.pay")
async def pay(amount: int) -> int:
    return amount


@define_worker("shop.ship")
async def ship(amount: int) -> int:
    return amount


"""


class Source:
    """A project of one source file, whose code may change after its graph was made."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(project=folder, **settings)
        self.path = folder / "flows.workflow.py"
        self.module: dict[str, Any] = {}
        self.graphs: dict[tuple[str, str], Graph] = {}

    def write(self, body: str, *, prebuild: bool = True) -> None:
        """Replace the code after the head; without `prebuild` the graph stays as it is."""
        self.path.write_text(HEAD + textwrap.dedent(body))
        self.module = {"__name__": "flows"}
        exec(compile(self.path.read_text(), str(self.path), "exec"), self.module)
        if prebuild:
            for source in inspect(self.settings).manifest.files:
                for entry in source.workflows:
                    graph = Graph.of(entry.model_dump(mode="json"), source.source_hash)
                    self.graphs[entry.name, entry.version] = graph

    def scenario(self, scenario: Callable[[Engine], Awaitable[Any]]) -> Any:
        """Open an engine that knows the graphs, await the scenario, close."""
        graphs = self.graphs

        class Known(Registry):
            def graph(self, name: str, version: str) -> Graph | None:
                return graphs.get((name, version))

        registry = Known("none")
        registry.register(*self.module[NAMESPACE].values())

        async def main() -> Any:
            async with open_engine(registry, self.settings) as engine, asyncio.timeout(60):
                return await scenario(engine)

        return asyncio.run(main())
