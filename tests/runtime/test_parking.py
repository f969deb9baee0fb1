"""Runs that wait leave memory and come back; runs that kill their processes are given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from wfgen import Retry, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.events import COMPLETIONS
from wfgen.execution import SLICE, Execution
from wfgen.parked import waits_inside_block
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.workflow_code import WorkflowCode

from .clocks import AheadClock
from .patterns import PATTERNS

BEGAN: list[str] = []


@define_worker("flaky", retry=Retry(attempts=2, delay="1h"))
async def flaky() -> None:
    raise ConnectionError("always")


@define_workflow
async def sleeper(workflow: Workflow, wait: float) -> str:
    BEGAN.append("sleeper")
    await workflow.sleep("nap", timedelta(seconds=wait))
    return "awake"


@define_workflow
async def waiter(workflow: Workflow) -> str:
    BEGAN.append("waiter")
    await workflow.do("first", lambda: None)
    word = await workflow.hook("word", str)
    await workflow.sleep("nap", "20ms")
    return word + await workflow.hook("again", str)


@define_workflow
async def careful(workflow: Workflow) -> str:
    with contextlib.suppress(KeyError):
        return await workflow.hook("word", str)
    return ""


@define_workflow
async def parent(workflow: Workflow) -> Any:
    return await workflow.call("nap", "sleeper", 0.05)


@define_workflow
async def retrying(workflow: Workflow) -> None:
    await workflow.do("flaky", "flaky")


@define_workflow
async def long(workflow: Workflow, steps: int) -> int:
    for n in range(steps):
        await workflow.do("step", _same, n)
    return len(await workflow.hook("word", str))


async def _same(number: int) -> int:
    return number


@define_workflow
async def deadly(workflow: Workflow) -> None:
    BEGAN.append("deadly")


def work(
    tmp_path: Path, scenario: Callable[[Engine], Any], environment: Environment | None = None, **settings: Any
) -> Any:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())

    async def main() -> Any:
        async with (
            open_engine(registry, Settings(project=tmp_path, **settings), environment=environment) as engine,
            asyncio.timeout(60),
        ):
            return await scenario(engine)

    BEGAN.clear()
    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def test_a_run_that_waits_leaves_memory_and_comes_back(tmp_path: Path) -> None:
    """B9: for its timer, for a hook that is resumed by name or by token; who waits for its result is told."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waiter")
        result = asyncio.ensure_future(run.result())
        async with asyncio.timeout(60):
            await until(lambda: BEGAN == ["waiter"] and not engine.executions)
        await run.hooks["word"].resume("fine ")
        while not (hooks := [hook for hook in await run.waiting() if hook.name == "again"]):
            await asyncio.sleep(0.002)
        await engine.controls.resume_hook_json('"again"', token=hooks[0].token)
        assert await result == "fine again"
        assert len(BEGAN) >= 4, "it was replayed for each of three waits"
        events = await run.history()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert not [event for event in events if event.type == "run_claimed"]

    work(tmp_path, scenario, resident=0)


def test_a_cancel_reaches_a_run_that_is_not_in_memory(tmp_path: Path) -> None:
    """B3: the run is taken up again and its code gets the CancelledError."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("sleeper", 3600)
        await until(lambda: bool(BEGAN) and not engine.executions)
        await run.cancel()
        assert (await engine.finished(run.id, 60)).status == "cancelled"

    work(tmp_path, scenario, resident=0)


def test_a_parent_comes_back_when_its_child_has_ended(tmp_path: Path) -> None:
    """B9: the end of a child wakes a parent that is not in memory."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("parent")).result() == "awake"

    work(tmp_path, scenario, resident=0, concurrency=1)


def test_runs_that_wait_take_nobodys_place(tmp_path: Path) -> None:
    """B9: a hundred sleeping runs in an engine that works one at a time; few stay in memory; all wake in time."""

    async def scenario(engine: Engine) -> None:
        waits = [3600.0] * 95 + [0.3] * 5
        runs = [await engine.start_run("sleeper", wait) for wait in waits]
        while (await engine.store.next_wake([("sleeper", "1")])) == float("inf") or len(engine.executions) > 4:
            await asyncio.sleep(0.002)
        assert await asyncio.gather(*[run.result() for run in runs[95:]]) == ["awake"] * 5
        assert (await runs[0].info()).status == "waiting"

    work(tmp_path, scenario, resident=3, concurrency=1)


def test_runs_inside_blocks_leave_last(tmp_path: Path) -> None:
    """B9: what waits in a `with` stays while there are others, though it has waited longer."""

    async def scenario(engine: Engine) -> None:
        inside = await engine.start_run("careful")
        while (await inside.info()).status != "waiting":
            await asyncio.sleep(0.002)
        for _ in range(3):
            await engine.start_run("sleeper", 3600)
        await until(lambda: len(BEGAN) == 3 and len(engine.executions) == 1)
        assert list(engine.executions) == [inside.id]

    work(tmp_path, scenario, resident=1)


def test_a_step_far_from_its_next_attempt_lets_its_run_sleep(tmp_path: Path) -> None:
    """B9: the wait for the next attempt is like a timer; the attempt is kept when the run leaves memory."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("retrying")
        while (await run.info()).status != "waiting" or engine.executions:
            await asyncio.sleep(0.002)
        failed = (await run.history())[-1]
        assert failed.type == "step_retrying"
        while (due := await engine.store.next_wake([("retrying", "1")])) == float("inf"):
            await asyncio.sleep(0.002)  # until it is given back
        assert due == failed.data["next_at"]

    work(tmp_path, scenario, resident=0)


def test_another_process_wakes_what_a_dead_one_left(tmp_path: Path) -> None:
    """E5: a parked run is claimed when it is due, by whoever lives then."""
    clock = AheadClock()

    async def leave(engine: Engine) -> str:
        run = await engine.start_run("sleeper", 3600)
        while (await run.info()).status != "waiting":
            await asyncio.sleep(0.002)
        return str(run.id)

    async def find(engine: Engine) -> None:
        clock.go_on(engine, 7200)
        assert await engine.run(run_id).result() == "awake"
        types = [event.type for event in await engine.run(run_id).history()]
        assert types == ["run_started", "timer_set", "run_claimed", "timer_fired", "run_completed"]

    run_id = work(tmp_path, leave, clock.environment)
    work(tmp_path, find, clock.environment)


def test_a_long_replay_lets_others_have_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E5: recovery goes in slices; a message and another run that come meanwhile are taken care of."""
    steps, between = SLICE * 5 + 7, []

    async def begin(engine: Engine) -> str:
        run = await engine.start_run("long", steps)
        while (await run.info()).status != "waiting":
            await asyncio.sleep(0.01)
        return str(run.id)

    async def recover(engine: Engine) -> None:
        run = engine.run(run_id)
        await run.hooks["word"].resume("four")
        other = await engine.start_run("sleeper", 0.001)
        assert await run.result() == 4
        assert await other.result() == "awake"
        assert max(between) <= SLICE
        completed = [event for event in await run.history() if event.type in COMPLETIONS]
        assert len(completed) == steps + 1, "no step was begun again"

    run_id = work(tmp_path, begin)
    pump, deliver = Execution.pump, WorkflowCode.deliver
    monkeypatch.setattr(Execution, "pump", lambda self: (between.append(0), pump(self))[1])
    monkeypatch.setattr(
        WorkflowCode,
        "deliver",
        lambda self, *one: (between.__setitem__(-1, between[-1] + 1), deliver(self, *one))[1],
    )
    work(tmp_path, recover)


@pytest.mark.parametrize("name", ["task_group", "patched", "timeouts", "emitting", "first_completed"])
def test_patterns_that_leave_memory_at_every_wait(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """B9, E5: concurrent code is replayed after each wait without a divergence, and each step is recorded once."""
    function = PATTERNS[name]
    registry = Registry("none")

    async def body(workflow: Workflow) -> Any:
        monkey = workflow.sleep

        def briefly(step: str, duration: Any, **options: Any) -> Any:
            return monkey(step, "20ms", **options)

        workflow.sleep = briefly  # type: ignore[method-assign]
        return await function(workflow)

    from . import patterns

    real, patterns._step = patterns._step, _same  # type: ignore[assignment]
    try:
        definition = patterns.define(body)
        object.__setattr__(definition, "name", name)
        registry.register(definition)

        async def main() -> None:
            async with open_engine(registry, Settings(project=tmp_path, resident=0)) as engine, asyncio.timeout(60):
                run = await engine.start_run(name)
                await run.result()
                keys = [event.key for event in await run.history() if event.type in COMPLETIONS]
                assert len(keys) == len(set(keys))

        with caplog.at_level(logging.WARNING):
            asyncio.run(main())
        assert "diverge" not in caplog.text
    finally:
        patterns._step = real


# Blocks.


class _Pause:
    def __await__(self) -> Iterator[None]:
        yield


async def _plain() -> None:
    await _Pause()


async def _after_a_block() -> None:
    with contextlib.suppress(KeyError):
        pass
    await _Pause()


async def _with() -> None:
    with contextlib.suppress(KeyError):
        await _Pause()


async def _finally() -> None:
    try:
        await _Pause()
    finally:
        BEGAN.clear()


async def _around(inner: Any) -> None:
    await inner


@pytest.mark.parametrize(
    ("make", "inside"),
    [
        (_plain, False),
        (_after_a_block, False),
        (lambda: _around(_plain()), False),
        (_with, True),
        (_finally, True),
        (lambda: _around(_with()), True),
    ],
)
def test_blocks_are_seen(make: Callable[[], Any], inside: bool) -> None:
    """B9: whether a suspended coroutine would run code of its own when it is closed."""
    coro = make()
    coro.send(None)
    assert waits_inside_block(coro) is inside
    coro.close()


def test_a_run_that_kills_its_processes_is_given_up(tmp_path: Path) -> None:
    """F7: after three deaths without progress it fails with WF728, which names the processes; the first step's record
    counts as progress, so the process that made it is not among them."""
    child = [sys.executable, str(Path(__file__).parent / "crash_child.py"), str(tmp_path)]
    codes = [subprocess.run(child, timeout=60, check=False).returncode for _ in range(4)]
    assert codes == [-signal.SIGKILL] * 4

    async def scenario(engine: Engine) -> None:
        (run,) = await engine.store.list_runs()
        record = await engine.finished(run.run_id, 60)
        assert (record.status, record.error_code) == ("failed", "WF728")
        assert record.error is not None
        assert "3 processes in a row died" in record.error
        events = await engine.run(run.run_id).history()
        assert [event.type for event in events] == [
            "run_started",
            "step_completed",
            *["run_claimed"] * 4,
            "run_failed",
        ]
        took = [event.data["process"] for event in events[2:5]]
        assert all(process in record.error for process in took)

    work(tmp_path, scenario, max_claims=3)
    assert BEGAN == [], "it is not worked"
