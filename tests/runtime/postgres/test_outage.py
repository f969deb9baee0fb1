"""A server that is gone for a while: nothing is lost, no run is given up, and everybody goes on by himself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wfgen import Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.errors import StoreUnreachableError
from wfgen.registry import Registry
from wfgen.settings import Settings

from ...postgres import Server
from .worlds import play

DONE: list[str] = []
GATE: dict[str, asyncio.Event] = {}


@define_worker("count", dispatch="inline")
async def count(name: str) -> str:
    DONE.append(name)
    if name.endswith("3"):
        GATE["reached"].set()
        await GATE["go on"].wait()
    return name


@define_workflow
async def counting(workflow: Workflow, name: str) -> int:
    for n in range(6):
        await workflow.do(f"count {n}", "count", f"{name}.{n}")
    return 6


def test_a_restart_in_the_middle(own_postgres: Server, tmp_path: Path) -> None:
    """D16: The server stops while runs are worked and comes back: each goes on where it was, in the same epoch."""
    DONE.clear()
    GATE.update({"reached": asyncio.Event(), "go on": asyncio.Event()})
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())

    async def story() -> None:
        settings = Settings(project=tmp_path, engine=own_postgres.url, lease="60s")
        async with open_engine(registry, settings) as engine, open_engine(registry, settings, work=False) as client:
            runs = [await engine.start_run("counting", f"r{n}") for n in range(8)]
            elsewhere = asyncio.create_task(client.run(runs[0].id).result(timeout="60s"))
            await GATE["reached"].wait()
            await asyncio.to_thread(own_postgres.stop)
            client.changed()  # as a last notification does: it looks, and there is no server
            with pytest.raises(StoreUnreachableError, match="cannot be reached"):
                await engine.store.list_runs()
            GATE["go on"].set()
            await asyncio.sleep(0.3)  # steps end, and cannot be recorded
            with pytest.raises(StoreUnreachableError):
                await engine.start_run("counting", "later")
            await asyncio.to_thread(own_postgres.start)
            assert [await run.result(timeout="60s") for run in runs] == [6] * 8
            assert await elsewhere == 6
            again = await engine.start_run("counting", "later")
            assert await again.result(timeout="60s") == 6
            await look(engine, [run.id for run in runs])

    async def look(engine: Engine, run_ids: list[Any]) -> None:
        for run_id in run_ids:
            assert (await engine.store.get_run(run_id)).epoch == 1
            types = [event.type for event in await engine.store.history(run_id)]
            assert types == ["run_started", *["step_completed"] * 6, "run_completed"]

    play(story, limit=50)
    assert sorted(DONE) == sorted(f"{name}.{n}" for name in [*[f"r{k}" for k in range(8)], "later"] for n in range(6))
