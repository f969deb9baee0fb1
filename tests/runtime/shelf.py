"""A store on a file, with runs in any state put into it and a clock that is set by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.processes import this_process
from wfgen.store.protocol import Store
from wfgen.store.records import Append, NewRun, RunRecord, Verdict
from wfgen.store.sqlite import SQLiteStore


class SetClock:
    """A clock that is set by hand."""

    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Shelf:
    """A store, and runs in any state put into it."""

    def __init__(self, make: Callable[[Environment], Store]) -> None:
        self.clock = SetClock()
        self.environment = Environment(clock=self.clock, random=random.Random(1))
        self.store = make(self.environment)
        self.process = ""

    async def open(self) -> None:
        await self.store.open()
        process = this_process(self.environment)
        await self.store.register(process, 1e9)
        self.process = process.process_id

    async def put(
        self, run_id: str, status: str = "pending", *, workflow: str = "flow", code: str | None = None, **more: Any
    ) -> RunRecord:
        """A run, started now."""
        owner = None if status == "pending" else self.process
        new = NewRun(RunId(run_id), workflow, more.pop("version", "1"), b"1", "salt", **more)
        record, _ = await self.store.create(new, owner)
        if status not in ("pending", "running"):
            await self.change(record, status, code)
        return record

    async def change(self, record: RunRecord, status: Any, code: str | None = None, **more: Any) -> None:
        """Record the next status of a run."""
        events = [Event(2, "run_completed", self.clock.now)] if status not in ("waiting", "paused") else []
        error = ("Error", "no", code) if status == "failed" else None
        append = Append(record.run_id, 1, events, status=status, error=error, **more)
        told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.store.append(append, told.set_result)
        assert await told is None

    async def ids(self, **filters: Any) -> list[str]:
        return [record.run_id for record in await self.store.list_runs(**filters)]


def tell(folder: Path, story: Callable[[Shelf], Awaitable[None]]) -> None:
    """Run a story on a new store in a folder."""

    async def main() -> None:
        shelf = Shelf(lambda environment: SQLiteStore(folder / "store.db", environment))
        await shelf.open()
        try:
            await story(shelf)
        finally:
            await shelf.store.close()

    asyncio.run(main())
