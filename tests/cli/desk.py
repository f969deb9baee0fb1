"""States of a store that are brought about through its own interface, on each kind of store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.store.engines import open_store
from wfgen.store.jobs import NewJob
from wfgen.store.processes import this_process
from wfgen.store.protocol import Store
from wfgen.store.records import Append, NewRun, Verdict

ALL = {"workflows": [["order", "1"], ["nap", "1"]], "workers": ["stock.reserve"], "queues": None, "concurrency": 5}


def prepare(shop: Any, scenario: Callable[[Desk], Awaitable[None]]) -> Desk:
    """Bring about a state of the store."""

    async def main() -> Desk:
        store = open_store(shop.engine, shop.folder, Environment())
        await store.open()
        try:
            desk = Desk(store)
            await scenario(desk)
            return desk
        finally:
            await store.close()

    return asyncio.run(main())


class Desk:
    """What scenarios do most."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.epochs: dict[str, int] = {}
        self.seqs: dict[str, int] = {}

    async def process(self, lease: float = 600, wfgen: str = "9.9", **serves: Any) -> str:
        """A process on another machine, which therefore counts as alive while its lease lasts."""
        process = replace(this_process(Environment()), host="elsewhere/boot/1", pid=77, boot="", wfgen=wfgen,
                          serves=json.dumps({**ALL, **serves}))  # fmt: skip
        await self.store.register(process, lease)
        return process.process_id

    def fall_silent(self, process: str) -> None:
        """Have a process's lease end a minute ago, by the store's own clock."""
        assert self.store.renew(process, -60)

    async def run(self, run_id: str, workflow: str = "nap", version: str = "1", **changes: Any) -> str:
        await self.store.create(NewRun(RunId(run_id), workflow, version, None, "salt", **changes))
        self.seqs[run_id] = 1
        return run_id

    async def hold(self, process: str, workflow: str = "nap", version: str = "1") -> None:
        """Have a process take all runs of a version."""
        for claimed in await self.store.claim(process, [(workflow, version)], 100):
            self.epochs[claimed.run.run_id] = claimed.run.epoch
            self.seqs[claimed.run.run_id] = claimed.events[-1].seq

    async def record(self, run_id: str, *events: tuple[str, str | None, dict[str, Any]], **changes: Any) -> None:
        told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        recorded = []
        for type, key, data in events:
            self.seqs[run_id] += 1
            recorded.append(Event(self.seqs[run_id], type, self.store.clock.time(), key, data))  # type: ignore[arg-type]
        self.store.append(Append(RunId(run_id), self.epochs[run_id], recorded, **changes), told.set_result)
        assert await told is None

    def job(self, job_id: str, **changes: Any) -> NewJob:
        job = NewJob(JobId(job_id), "order.reserve", "stock.reserve", "0/reserve", "reserve", None, "{}", "k")
        return replace(job, **changes)
