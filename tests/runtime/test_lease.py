"""A process that stalls loses its runs, and cannot write to them when it wakes."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

from wfgen import Workflow, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

CALLS: list[str] = []
STALL = 4.0
"""Seconds; several leases of one second."""


async def work() -> str:
    name = threading.current_thread().name
    CALLS.append(name)
    if name == "stalling":
        time.sleep(STALL)  # blocks its engine's loop
    return name


@define_workflow
async def worked(workflow: Workflow) -> str:
    return str(await workflow.do("work", work))


def test_a_wedged_process_is_fenced(tmp_path: Path) -> None:
    """Heartbeats stop with the loop; another process takes the run over, and the late result is refused."""
    settings = Settings(project=tmp_path, lease="1s")
    registry = Registry("none")
    registry.collect(globals())
    seen: dict[str, Any] = {}

    async def stalling() -> None:
        async with open_engine(registry, settings) as engine:
            await engine.start_run("worked")
            while not CALLS:
                await asyncio.sleep(0.01)
            seen["awake"] = time.monotonic()
            await asyncio.sleep(0.5)  # time to try to write

    async def taking_over() -> str:
        async with open_engine(registry, settings) as engine:
            (run,) = await engine.store.list_runs()
            seen["run"] = run.run_id
            result = await engine.run(run.run_id).result(timeout="20s")
            return str(result)

    thread = threading.Thread(target=lambda: asyncio.run(stalling()), name="stalling")
    thread.start()
    while not CALLS:
        time.sleep(0.01)
    result = asyncio.run(taking_over())
    finished = time.monotonic()
    thread.join()
    assert result == threading.current_thread().name
    assert ["stalling", result] == CALLS
    assert finished < seen["awake"], "it was taken over while the first process was still stalled"

    async def look() -> None:
        async with open_engine(registry, settings, work=False) as engine:
            record = await engine.store.get_run(seen["run"])
            assert record.epoch == record.claims == 2
            events = await engine.store.history(seen["run"])
            recorded = [e.type for e in events if e.type != "run_claimed"]
            assert recorded == ["run_started", "step_completed", "run_completed"]

    asyncio.run(look())


def test_a_process_that_lost_its_lease_registers_again_and_goes_on(tmp_path: Path) -> None:
    """After a stall without anybody taking over, the process comes back under a new id and completes its runs."""
    settings = Settings(project=tmp_path, lease="1s")
    registry = Registry("none")
    registry.collect(globals())
    CALLS.clear()

    async def main() -> None:
        async with open_engine(registry, settings) as engine:
            before = engine.process_id
            time.sleep(2)
            run = await engine.start_run("worked")
            assert await run.result(timeout="20s")
            assert engine.process_id != before

    asyncio.run(main())
