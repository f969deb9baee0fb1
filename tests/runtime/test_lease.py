"""A process that stalls loses its runs, and cannot write to them when it wakes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.engine import open_engine
from wfgen.environment import Environment, SystemClock
from wfgen.membership import Membership
from wfgen.registry import Registry
from wfgen.settings import Settings

CALLS: list[str] = []
AWAKE = threading.Event()
"""Ends the stall."""


async def work() -> str:
    name = threading.current_thread().name
    CALLS.append(name)
    if name == "stalling":
        assert AWAKE.wait(60)  # blocks its engine's loop
    return name


class SteadyClock(SystemClock):
    """The machine's clocks; leases go by one that shows a later time."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@define_workflow
async def worked(workflow: Workflow) -> str:
    return str(await workflow.do("work", work))


@define_workflow
async def other(workflow: Workflow) -> str:
    return str(await workflow.do("other", lambda: "other"))


def test_a_wedged_process_is_fenced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Heartbeats stop with the loop; another process takes the run over, and the late result is refused."""
    settings = Settings(project=tmp_path)
    registry = Registry("none")
    registry.collect(globals())
    clock = SteadyClock()
    beats: list[Callable[[], bool]] = []
    seen: dict[str, Any] = {}

    def by_hand(interval: float, beat: Callable[[], bool], name: str) -> Callable[[], None]:
        beats.append(beat)
        return lambda: None

    async def stalling() -> None:
        environment = Environment(clock=clock, every=by_hand)
        async with open_engine(registry, settings, environment=environment) as engine:
            run = await engine.start_run("worked")
            seen["run"] = run.id
            while "is given up" not in caplog.text and "are given up" not in caplog.text:
                await asyncio.sleep(0.01)
            assert await (await engine.start_run("other")).result() == "other", "it goes on under another id"

    async def taking_over() -> str:
        async with open_engine(registry, settings, environment=Environment(clock=clock)) as engine:
            return str(await engine.run(seen["run"]).result())

    thread = threading.Thread(target=lambda: asyncio.run(stalling()), name="stalling")
    thread.start()
    while not CALLS:
        time.sleep(0.01)
    clock.ahead += 20
    assert not beats[0](), "a lease of 15 s is over, and not renewed"
    result = asyncio.run(taking_over())
    AWAKE.set()
    thread.join()
    assert result == threading.current_thread().name
    assert ["stalling", result] == CALLS

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
            assert await run.result(timeout="60s")
            assert engine.process_id != before

    asyncio.run(main())


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    """F7: a process that stood still while it registered holds its lease no longer than the store does."""
    now = 100.0

    class Set:
        def time(self) -> float:
            return now

        monotonic = time

    class Slow:
        async def register(self, process: object, lease: float) -> None:
            nonlocal now
            now += 4

        async def leave(self, process_id: str) -> None: ...

    async def main() -> None:
        nonlocal now
        environment = Environment(clock=Set(), every=lambda interval, action, name: lambda: None)
        store: Any = Slow()
        membership = Membership(store, 5, environment, lambda: None)
        await membership.enter()
        assert membership.valid
        now += 0.6
        assert not membership.valid
        await membership.leave()

    asyncio.run(main())
