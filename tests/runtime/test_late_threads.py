"""Threads that go on when nobody waits for them any more, and steps that end after they were cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    Job,
    Retry,
    RunCancelledError,
    RunFailedError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine
from wfgen.environment import Environment

from .clocks import AheadClock, Limits

if TYPE_CHECKING:
    from conftest import Project

CALLS: list[Any] = []
GATE = threading.Event()
"""What the slow threads wait for."""
BUSY: list[None] = []
"""One item for each slow thread."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    CALLS.clear()
    GATE.clear()
    yield
    GATE.set()
    while BUSY:
        time.sleep(0.001)


@contextlib.contextmanager
def busy() -> Iterator[None]:
    BUSY.append(None)
    try:
        yield
    finally:
        BUSY.pop()


def slow_then_quick(job: Job) -> str:
    """The first attempt takes until the gate is opened; the others return at once."""
    with busy():
        CALLS.append(("begin", job.attempt))
        if job.attempt == 1:
            GATE.wait(60)
            CALLS.append(("is over", job.is_over))
        CALLS.append(("end", job.attempt))
    return f"attempt {job.attempt}"


@define_worker("beside", retry=Retry(attempts=2, delay="1ms"), timeout="30ms")
def beside(job: Job) -> str:
    return slow_then_quick(job)


@define_worker("after", retry=Retry(attempts=2, delay="1ms", overlap=False), timeout="30ms")
def after(job: Job) -> str:
    return slow_then_quick(job)


@define_worker("bounded", retry=Retry(attempts=5, delay="1ms", overlap=False, within="1h"), timeout="30ms")
def bounded(job: Job) -> str:
    return slow_then_quick(job)


@define_worker("reporting", timeout="30ms")
def reporting(job: Job) -> str:
    with busy():
        job.report("in time")
        CALLS.append("reported")
        GATE.wait(60)
        job.report("late")
    return "late"


@define_workflow
async def flow(workflow: Workflow, worker: str) -> Any:
    found = await workflow.do("step", worker, on_error="continue")
    await workflow.sleep("a while", "50ms")
    return found if isinstance(found, str) else [found.error, found.partial]


@pytest.fixture
def limits() -> Limits:
    return Limits()


async def _time_out(limits: Limits) -> None:
    """End the time of the first attempt, once its thread is at work."""
    async with asyncio.timeout(60):
        while not CALLS:
            await asyncio.sleep(0.002)
    await limits.end()


async def _until_recorded(engine: Engine, run: Any, type: str) -> None:
    """Wait until an event is recorded, and the engine has heard of that."""
    async with asyncio.timeout(60):
        while not any(event.type == type for event in await run.history()):
            await asyncio.sleep(0.005)
    await engine.prune("1d")


def _late(caplog: pytest.LogCaptureFixture, run_id: str) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if run_id in line and "has ended late" in line]


async def _until_late(caplog: pytest.LogCaptureFixture, run_id: str) -> None:
    async with asyncio.timeout(60):
        while not _late(caplog, run_id):
            await asyncio.sleep(0.005)


def test_a_late_result_is_refused_and_the_retry_runs_beside_it(
    project: Project, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    """A12, B4: nothing is recorded of a thread that ends after its attempt; the log tells of it, and the job knew."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", "beside")
        await _time_out(limits)
        assert await run.result() == "attempt 2"
        assert CALLS == [("begin", 1), ("begin", 2), ("end", 2)]
        GATE.set()
        await _until_late(caplog, run.id)
        assert CALLS[3:] == [("is over", True), ("end", 1)]
        ends = [event for event in await run.history() if event.key == "0/step"]
        assert [(event.type, event.data["attempt"]) for event in ends] == [("step_retrying", 1), ("step_completed", 2)]
        assert ends[1].payload == b'"attempt 2"'
        (line,) = _late(caplog, run.id)
        assert "attempt 1" in line
        assert line.endswith("its result is refused")

    project.scenario(globals(), scenario, environment=Environment(timeout=limits))


def test_a_late_end_of_the_thread_concerns_a_run_that_still_goes_on(
    project: Project, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    """A12: the step has failed, the run goes on, and the thread's end changes neither."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", "reporting")
        await _time_out(limits)
        await _until_recorded(engine, run, "step_failed")
        GATE.set()
        assert await run.result() == ["the attempt took longer than 0.03 s", "in time"]
        await _until_late(caplog, run.id)
        assert [event.type for event in await run.history() if event.key == "0/step"] == ["step_failed"]

    project.scenario(globals(), scenario, environment=Environment(timeout=limits))


def test_a_retry_waits_for_the_thread_if_it_is_told_to(project: Project, limits: Limits) -> None:
    """A11, A12, D4: with overlap=False no two attempts are at work at once, and no attempt is lost by waiting."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", "after")
        await _time_out(limits)
        await _until_recorded(engine, run, "step_retrying")
        opened = engine.time()
        GATE.set()
        assert await run.result() == "attempt 2"
        assert CALLS == [("begin", 1), ("is over", True), ("end", 1), ("begin", 2), ("end", 2)]
        completed = next(event for event in await run.history() if event.type == "step_completed")
        assert completed.data["started_at"] >= opened, "its time counts from its begin, not from the wait"

    project.scenario(globals(), scenario, environment=Environment(timeout=limits))


def test_the_wait_for_a_thread_has_the_bound_of_all_attempts(project: Project, limits: Limits) -> None:
    """A12, B4: the thread never ends, so the step fails when its time is up, and no other attempt begins."""

    clock = AheadClock()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", "bounded")
        await _time_out(limits)
        await limits.begun(1)  # it bounds the wait for the thread
        clock.go_on(engine, 7200)
        await limits.end(1)
        assert await run.result() == ["all attempts together took longer than 3600 s", None]
        assert CALLS == [("begin", 1)]

    project.scenario(globals(), scenario, environment=Environment(clock=clock, timeout=limits))


def test_another_process_does_not_wait_for_a_thread_that_it_does_not_have(project: Project, limits: Limits) -> None:
    """A11: what is waited for is not recorded; the next attempt begins when its delay is over."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("flow", "after")
        await _time_out(limits)
        await _until_recorded(engine, run, "step_retrying")
        return run.id

    async def second(engine: Engine) -> Any:
        return await engine.run(run_id).result()

    run_id = project.scenario(globals(), first, environment=Environment(timeout=limits))
    assert project.scenario(globals(), second, environment=Environment(timeout=limits)) == "attempt 2"
    assert CALLS == [("begin", 1), ("begin", 2), ("end", 2)]


@define_worker("undo")
async def undo(given: Any) -> None:
    CALLS.append(("undo", given))


@define_worker("stubborn")
async def stubborn() -> str:
    CALLS.append("begin")
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        return "done all the same"
    return "never"


@define_worker("obedient")
async def obedient() -> str:
    CALLS.append("begin")
    await asyncio.sleep(10)
    return "never"


@define_worker("tidy")
async def tidy() -> str:
    CALLS.append("begin")
    try:
        await asyncio.sleep(10)
    finally:
        raise ValueError("while it tidied up")


@define_worker("thread")
def thread() -> str:
    CALLS.append("begin")
    with busy():
        GATE.wait(60)
    return "from the thread"


@define_worker("thread.fails")
def thread_fails() -> str:
    CALLS.append("begin")
    with busy():
        GATE.wait(60)
    raise ValueError("from the thread")


@define_worker("between", retry=Retry(attempts=3, delay="1h"))
async def between() -> str:
    CALLS.extend(["begin", "fails at once"])
    raise ConnectionError("again")


@define_workflow
async def undoable(workflow: Workflow, worker: str) -> None:
    await workflow.do("step", worker, compensate="undo")


@define_workflow
async def plain(workflow: Workflow, worker: str) -> None:
    await workflow.do("step", worker)


async def _begun(run: Any) -> None:
    async with asyncio.timeout(60):
        while "begin" not in CALLS:
            await asyncio.sleep(0.002)
        while "fails at once" in CALLS and not any(e.type == "step_retrying" for e in await run.history()):
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("worker", "type", "told"),
    [
        ("stubborn", "step_completed", b'"done all the same"'),
        ("thread", "step_completed", b'"from the thread"'),
        ("obedient", "step_failed", "CancelledError: it was cancelled"),
        ("tidy", "step_failed", "ValueError: while it tidied up"),
        ("thread.fails", "step_failed", "ValueError: from the thread"),
        ("between", "step_failed", "CancelledError: it was cancelled between two attempts"),
    ],
)
def test_what_ends_after_a_cancel_is_recorded_if_it_can_be_undone(
    project: Project, worker: str, type: str, told: Any
) -> None:
    """B3, B23: the end of a cancelled step is awaited and recorded, marked, and never delivered to the code."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("undoable", worker)
        await _begun(run)
        await run.cancel()
        await _until_recorded(engine, run, "cancel_requested")
        GATE.set()
        with pytest.raises(RunCancelledError):
            await run.result()
        (end,) = [event for event in await run.history() if event.key == "0/step" and event.type != "step_retrying"]
        assert end.type == type
        assert end.data["after_cancel"] is True
        assert told == (end.payload if type == "step_completed" else f"{end.data['error_type']}: {end.data['error']}")
        undone = [call[1] for call in CALLS if call[0] == "undo"]
        assert undone == ([] if end.payload is None else [end.payload.decode().strip('"')])

    project.scenario(globals(), scenario)


@pytest.mark.parametrize("worker", ["stubborn", "thread"])
def test_a_step_that_cannot_be_undone_is_left_alone_when_it_is_cancelled(project: Project, worker: str) -> None:
    """B3: the cancel comes before its result: nothing is stored of it, and the run does not wait for it."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("plain", worker)
        await _begun(run)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        GATE.set()
        while BUSY:
            await asyncio.sleep(0.005)
        await engine.prune("1d")  # what the thread left would be recorded by now
        assert [event.type for event in await run.history() if event.key] == []

    project.scenario(globals(), scenario)


@define_workflow
async def gives_up(workflow: Workflow, worker: str) -> list[str]:
    """Cancels a step itself, and goes on."""
    found = []
    work = asyncio.create_task(workflow.do("step", worker, compensate="undo"))
    await workflow.hook("give up", str)
    work.cancel()
    try:
        await work
    except asyncio.CancelledError:
        found.append("given up")
    found.append(await workflow.hook("go on", str))
    raise ValueError(found)


def test_a_process_that_ends_while_a_cancelled_step_ends_leaves_no_gap(project: Project) -> None:
    """B3: the next process records that the step's end is not known, once, and the run goes on."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("gives_up", "thread")
        await _begun(run)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="give up")
        async with asyncio.timeout(60):
            while len(await run.history()) < 4 or [hook.name for hook in await run.waiting()] != ["go on"]:
                await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> None:
        async with asyncio.timeout(60):
            while not [e for e in await engine.run(run_id).history() if e.type == "step_failed"]:
                await asyncio.sleep(0.005)

    async def third(engine: Engine) -> None:
        run = engine.run(run_id)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        with pytest.raises(RunFailedError, match=r"\['given up', 'now'\]"):
            await run.result()
        ends = [event for event in await run.history() if event.key == "0/step"]
        assert [(event.type, event.data["after_cancel"]) for event in ends] == [("step_failed", True)]
        assert "its process ended before it did" in ends[0].data["error"]

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)
    project.scenario(globals(), third)
    assert CALLS == ["begin"]


def test_an_end_after_the_cancel_is_the_same_in_a_replay(project: Project) -> None:
    """B3: another process finds the end on record, and neither runs the step nor records it again."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("gives_up", "stubborn")
        await _begun(run)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="give up")
        async with asyncio.timeout(60):
            while not [e for e in await run.history() if e.type == "step_completed"]:
                await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> None:
        run = engine.run(run_id)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        with pytest.raises(RunFailedError, match=r"\['given up', 'now'\]"):
            await run.result()
        ends = [event for event in await run.history() if event.key == "0/step"]
        assert [(event.type, event.data["after_cancel"]) for event in ends] == [("step_completed", True)]

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)
    assert CALLS == ["begin", ("undo", "done all the same")]
