"""Undoing the steps of a run that does not succeed."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    HandleError,
    Outcome,
    Retry,
    Run,
    RunCancelledError,
    RunFailedError,
    RunTerminatedError,
    StepError,
    UnknownWorkerError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.operations import Operation
from wfgen.testing import TestEngine

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

_spec = importlib.util.spec_from_file_location("patterns", Path(__file__).with_name("patterns.py"))
assert _spec is not None
assert _spec.loader is not None
patterns = importlib.util.module_from_spec(_spec)
sys.modules["patterns"] = patterns
_spec.loader.exec_module(patterns)

CALLS: list[str] = []
BROKEN: set[str] = set()
GATE, BEGUN = threading.Event(), threading.Event()
"""Ends the slow step; that it is at work."""


@dataclass
class Booking:
    id: str


@define_worker("trips.book")
async def book(what: str) -> Booking:
    CALLS.append(f"book {what}")
    if what in BROKEN:
        raise LookupError(f"no {what} left")
    return Booking(what.upper())


@define_worker("trips.cancel", retry=Retry(attempts=2, delay="1ms"))
def cancel(booking: Booking) -> None:
    CALLS.append(f"cancel {booking.id}")
    if booking.id in BROKEN:
        raise ConnectionError(f"{booking.id} does not answer")


@define_worker("trips.forget")
async def forget() -> None:
    CALLS.append("forget")


@define_worker("trips.slow")
def slow() -> Booking:
    """A plain function cannot be stopped: it completes whatever becomes of the run."""
    BEGUN.set()
    assert GATE.wait(60)
    CALLS.append("book slow")
    return Booking("SLOW")


@define_workflow
async def trip(workflow: Workflow, last: str) -> str:
    workflow.compensate("apologise", CALLS.append, "apologise")
    flight = await workflow.do("flight", "trips.book", "flight", compensate="trips.cancel")
    await workflow.do("hotel", "trips.book", "hotel", compensate=lambda booking: cancel(booking))
    workflow.compensate("forget", "trips.forget")
    if last == "wait":
        await workflow.hook("approval", str)
    await workflow.do("last", "trips.book", last, compensate=cancel)
    return str(flight.id)


@define_workflow(timeout="1h", name="slow_trip")
async def slow_trip(workflow: Workflow) -> None:
    await workflow.do("flight", "trips.book", "flight", compensate=cancel)
    await workflow.sleep("long", "1d")


@define_workflow
async def branches(workflow: Workflow) -> None:
    async def leg(number: int) -> None:
        await workflow.sleep("stagger", f"{number * 5}ms")
        await workflow.do(f"leg {number}", "trips.book", f"leg {number}", compensate="trips.cancel")
        await workflow.sleep("rest", "1h")

    async with asyncio.TaskGroup() as group:
        for number in (2, 0, 1):
            group.create_task(leg(number))
        await workflow.sleep("all", "60ms")
        await workflow.do("fail", "trips.book", "leg 9")


@define_workflow
async def late(workflow: Workflow, first: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(workflow.do("slow", "trips.slow", compensate="trips.cancel"))
        await workflow.do("begun", BEGUN.wait, 60)
        await workflow.do("flight", "trips.book", first, compensate="trips.cancel")
        await workflow.hook("approval", str)


@define_workflow
async def caught(workflow: Workflow) -> str:
    """Handles its own error, so nothing is undone for it."""
    booking = await workflow.do("flight", "trips.book", "flight", compensate=cancel)
    try:
        await workflow.do("hotel", "trips.book", "hotel")
    except StepError:
        return str(booking.id)
    return "both"


@define_workflow
async def in_parts(workflow: Workflow, left: int) -> None:
    await workflow.do("flight", "trips.book", f"flight {left}", compensate=cancel)
    if left:
        workflow.continue_as_new(left - 1)
    raise ValueError("the end")


async def audit(outcome: Outcome) -> None:
    CALLS.append(f"audit {outcome.status} {outcome.code}")


@define_workflow(after=[audit])
async def endless(workflow: Workflow, turn: int) -> None:
    workflow.compensate("undo", CALLS.append, f"undo {turn}")
    if not CALLS:
        await workflow.do("count", CALLS.append, "count")
    workflow.continue_as_new(turn + 1)


@define_workflow
async def no_such_worker(workflow: Workflow) -> None:
    workflow.compensate("undo", "trips.undo")


@define_workflow
async def no_target(workflow: Workflow) -> None:
    workflow.compensate("undo", 3, 4)  # type: ignore[call-overload]


@define_workflow
async def wrong_data(workflow: Workflow) -> None:
    workflow.compensate("undo", "trips.cancel", 4)


@define_workflow
async def wrong_result(workflow: Workflow) -> None:
    await workflow.do("count", lambda: 3, compensate=cancel)
    raise ValueError("the end")


@pytest.fixture(autouse=True)
def clear() -> None:
    CALLS.clear()
    BROKEN.clear()


def _ended(events: list[Event]) -> list[tuple[str, str]]:
    return [(e.type.removeprefix("step_"), str(e.key)) for e in events if e.type in ("step_completed", "step_failed")]


def test_a_failing_run_undoes_its_steps_in_reverse(project: Project) -> None:
    """B23: each undo is a step, with its worker's retries, and gets the result of what it undoes."""
    BROKEN.add("car")

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("trip", "car")
        with pytest.raises(RunFailedError, match="no car left"):
            await run.result()
        events = await run.history()
        assert _ended(events) == [
            ("completed", "0/flight"),
            ("completed", "0/hotel"),
            ("failed", "0/last"),
            ("completed", "undo/forget"),
            ("completed", "undo/hotel"),
            ("completed", "undo/flight"),
            ("completed", "undo/apologise"),
        ]
        (started,) = (e for e in events if e.type == "compensation_started")
        assert started.data["steps"] == ["forget", "hotel", "flight", "apologise"]

    project.scenario(globals(), scenario)
    assert CALLS[3:] == ["forget", "cancel HOTEL", "cancel FLIGHT", "apologise"]


def test_success_undoes_nothing(project: Project) -> None:
    """B23: neither does a failure that the code has caught."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("trip", "car")
        assert await run.result() == "FLIGHT"
        BROKEN.add("hotel")
        run = await engine.start_run("caught")
        assert await run.result() == "FLIGHT"

    project.scenario(globals(), scenario)
    assert not [call for call in CALLS if not call.startswith("book")]


def test_cancel_undoes(project: Project) -> None:
    """B23, B3: a cancelled run undoes its steps, and a second request does not stop that."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("trip", "wait")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()

    project.scenario(globals(), scenario)
    assert CALLS[2:] == ["forget", "cancel HOTEL", "cancel FLIGHT", "apologise"]


def test_timeout_undoes(project: Project) -> None:
    """B23, B4: so does one that takes too long."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("slow_trip")
        while (await run.info()).status != "waiting":
            await asyncio.sleep(0.002)
        clock.go_on(engine, 7200)
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.error_code == "WF723"

    project.scenario(globals(), scenario, environment=clock.environment)
    assert CALLS == ["book flight", "cancel FLIGHT"]


def test_branches_are_undone_in_reverse_order_of_completion() -> None:
    """B23: whichever branch began first, the step that completed last is undone first."""
    BROKEN.add("leg 9")
    with pytest.raises(RunFailedError):
        TestEngine(branches, book, cancel).run_scenario(lambda wf: wf.execute("branches"))
    assert CALLS == [
        "book leg 0", "book leg 1", "book leg 2", "book leg 9", "cancel LEG 2", "cancel LEG 1", "cancel LEG 0",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["cancel", "failure"])
def test_what_completes_after_the_cancel_is_undone(project: Project, how: str) -> None:
    """B3, B23: it is recorded as completed after the cancel, not delivered, and undone with the others."""

    async def scenario(engine: Engine) -> None:
        GATE.clear()
        BEGUN.clear()
        if how == "failure":
            BROKEN.add("flight")
        run = await engine.start_run("late", "flight")
        if how == "cancel":
            while not await run.waiting():
                await asyncio.sleep(0.002)
            await run.cancel()
        stop = "cancel_requested" if how == "cancel" else "step_failed"
        while stop not in [event.type for event in await run.history()]:
            await asyncio.sleep(0.002)
        await engine.prune("1d")  # by then the engine has heard that it is recorded
        GATE.set()
        with pytest.raises(RunCancelledError if how == "cancel" else RunFailedError):
            await run.result()
        events = await run.history()
        (end,) = (e for e in events if e.key == "0/slow" and e.type != "step_started")
        assert (end.type, end.data["after_cancel"]) == ("step_completed", True)

    project.scenario(globals(), scenario)
    expected = ["book flight", "book slow", "cancel SLOW"]
    assert expected + (["cancel FLIGHT"] if how == "cancel" else []) == CALLS


def test_a_failing_compensation(project: Project) -> None:
    """B23: the others run; the run fails with an error that names all that failed, and how it came to that."""
    BROKEN.update({"car", "HOTEL"})

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("trip", "car")
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.error_code == "WF729"
        for text in ("no car left", "undo/hotel: ConnectionError: HOTEL does not answer"):
            assert text in failed.value.error
        assert _ended(await run.history())[-3:] == [
            ("failed", "undo/hotel"),
            ("completed", "undo/flight"),
            ("completed", "undo/apologise"),
        ]

    project.scenario(globals(), scenario)


def test_a_retry_goes_on_with_the_failed_compensations(project: Project) -> None:
    """B23: those alone run again, also in another process and more than once; then the run has failed as it did."""
    BROKEN.update({"car", "HOTEL"})

    async def first(engine: Engine) -> str:
        run = await engine.start_run("trip", "car")
        with pytest.raises(RunFailedError):
            await run.result()
        return run.id

    async def again(engine: Engine) -> None:
        run = engine.run(run_id)
        await run.retry()
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.error_code == ("WF729" if "HOTEL" in BROKEN else "WF710")

    run_id = project.scenario(globals(), first)
    for broken in (True, False):
        CALLS.clear()
        if not broken:
            BROKEN.discard("HOTEL")
        project.scenario(globals(), again)
        assert CALLS == ["cancel HOTEL"]

    async def ended(engine: Engine) -> None:
        events = await engine.run(run_id).history()
        assert _ended(events)[-3:] == [
            ("completed", "undo/apologise"),
            ("failed", "undo/hotel#2"),
            ("completed", "undo/hotel#3"),
        ]
        assert "no car left" in events[-1].data["error"]

    project.scenario(globals(), ended)


def test_a_terminated_run_undoes_nothing(project: Project) -> None:
    """B23: neither compensations nor after tasks run."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("whole", "cancel")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        await run.terminate()
        with pytest.raises(RunTerminatedError):
            await run.result()

    project.scenario(globals(), scenario)
    assert CALLS == ["forget", "book flight", "book hotel"]


def test_a_failing_compensation_of_a_cancelled_run(project: Project) -> None:
    """B23: the run has failed, since not all is undone; a retry that undoes the rest ends it as cancelled."""
    BROKEN.add("FLIGHT")

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("trip", "wait")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        await run.cancel()
        with pytest.raises(RunFailedError, match="a request to cancel it, and a compensation failed"):
            await run.result()
        BROKEN.clear()
        await run.retry()
        with pytest.raises(RunCancelledError):
            await run.result()

    project.scenario(globals(), scenario)


def test_a_result_that_its_compensation_cannot_take(project: Project) -> None:
    """B23: it fails as a step, where everybody sees it."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("wrong_result")
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.error_code == "WF729"
        assert _ended(await run.history())[-1] == ("failed", "undo/count")

    project.scenario(globals(), scenario)
    assert CALLS == []


def test_a_new_part_of_a_run_has_compensations_of_its_own(project: Project) -> None:
    """B23: what was registered before continue_as_new is forgotten with the history before it."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("in_parts", 2)
        with pytest.raises(RunFailedError, match="the end"):
            await run.result()

    project.scenario(globals(), scenario)
    assert [call for call in CALLS if call.startswith("cancel")] == ["cancel FLIGHT 0"]


def test_a_cancel_between_two_parts(project: Project) -> None:
    """B3, B8, B23: a run that continues for ever and never waits is cancelled, undone and told of all the same."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("endless", 0)
        while not CALLS:
            await asyncio.sleep(0.002)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        assert _ended(await run.history())[-2:] == [("completed", "undo/undo"), ("completed", "after/audit")]

    project.scenario(globals(), scenario)
    assert CALLS[-1] == "audit cancelled None"


@pytest.mark.parametrize(
    ("name", "code"),
    [("no_such_worker", UnknownWorkerError.code), ("no_target", HandleError.code), ("wrong_data", "WF703")],
)
def test_what_cannot_be_registered(project: Project, name: str, code: str) -> None:
    """B23: the call fails at once, and not when it is needed."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run(name)
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert failed.value.error_code == code

    project.scenario(globals(), scenario)


# A process that dies anywhere on the way.


@define_workflow(before=[forget], after=[audit])
async def whole(workflow: Workflow, how: str) -> None:
    workflow.compensate("apologise", CALLS.append, "apologise")
    await asyncio.gather(
        workflow.do("flight", "trips.book", "flight", compensate=cancel),
        workflow.do("hotel", "trips.book", "hotel", compensate="trips.cancel"),
    )
    if how == "cancel":
        await workflow.hook("approval", str)
    await workflow.do("last", "trips.book", "car", compensate=cancel)


def _work(project: Project, how: str, appends: int | None) -> tuple[list[Event], int]:
    """Work the run, in a process that records no more than so many appends; gives what is recorded."""

    async def scenario(engine: Engine) -> tuple[list[Event], int]:
        count = 0
        original = engine.store.append
        stopped = asyncio.Event()

        def append(batch: Any, done: Callable[[Any], None]) -> None:
            nonlocal count
            if count == appends:
                stopped.set()
                return
            count += 1
            original(batch, done)

        engine.store.append = append  # type: ignore[assignment,method-assign]
        run: Run[Any] = await engine.start_run("whole", how, idempotency_key="the run")
        while how == "cancel" and not stopped.is_set() and (await run.info()).finished_at is None:
            if await run.waiting():
                await run.cancel()
                break
            await asyncio.sleep(0.002)
        ended = asyncio.ensure_future(engine.finished(run.id))
        await asyncio.wait([ended, asyncio.ensure_future(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
        return await run.history(), count

    found: tuple[list[Event], int] = project.scenario(globals(), scenario)
    return found


@pytest.mark.parametrize("how", ["failure", "cancel", "broken"])
def test_a_process_that_dies_anywhere(project: Project, tmp_path: Path, how: str) -> None:
    """B8, B23: whatever was recorded of steps, undo steps and tasks around the run is never run again."""
    BROKEN.update({"car"} if how != "broken" else {"car", "FLIGHT"})
    whole_run, appends = _work(project, how, None)
    expected = sorted(_ended(whole_run))
    assert appends >= 7
    for number in range(appends):
        project = project.anew(tmp_path / str(number))
        CALLS.clear()
        first, _ = _work(project, how, number)
        before = Counter(CALLS)
        second, _ = _work(project, how, None)
        assert sorted(_ended(second)) == expected
        assert [e.type for e in second][-1] == ("run_cancelled" if how == "cancel" else "run_failed")
        assert second[: len(first)] == first
        recorded = {key for _, key in _ended(first)}
        again = Counter(CALLS) - before
        for key, call in {
            "before/forget": "forget", "0/flight": "book flight", "0/hotel": "book hotel",
            "undo/hotel": "cancel HOTEL", "undo/apologise": "apologise",
        }.items():  # fmt: skip
            assert again[call] == (key not in recorded), (number, key)
        undone = [key for type, key in _ended(second) if key.startswith("undo/")]
        assert undone[-1] == "undo/apologise"
        assert len(undone) == 3


async def _step(value: int) -> int:
    raise AssertionError("the host completes steps itself")


async def _legs(workflow: Workflow) -> None:
    workflow.compensate("first", _step, 100)

    async def leg(number: int) -> None:
        await workflow.do("book", _step, number, compensate=_step)
        workflow.compensate(f"note {number}", _step, number)
        await workflow.do("confirm", _step, number, compensate=_step)

    tasks = [asyncio.create_task(leg(number)) for number in range(3)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    raise ValueError("the end")


class _LateHost(patterns.SeededHost):  # type: ignore[name-defined,misc]
    """Cannot stop a step: what the code has cancelled completes all the same."""

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        super().start_step(operation, attempt)
        return lambda: None


def test_every_crash_prefix_of_parallel_branches() -> None:
    """B3, B23: cut off after any event, each effect is undone once, in the reverse order of the completions."""
    definition = patterns.define(_legs)
    late = 0
    for seed in range(10):
        host = _LateHost(seed)
        host.work(Execution(patterns.claim([patterns.STARTED]), definition, host))
        whole = [patterns.STARTED, *host.recorded]
        for cut in range(1, len(whole) + 1):
            prefix = whole[:cut]
            if cut < len(whole):
                again = _LateHost(seed * 1000 + cut)
                again._now = prefix[-1].time
                again.work(Execution(patterns.claim(prefix), definition, again))
                assert again.last is not None
                assert again.last.error[:2] == ("ValueError", "the end"), (seed, cut)
                assert not patterns.completed_keys(prefix) & set(again.started), (seed, cut)
                prefix = [*prefix, *again.recorded]
            done = [e for e in prefix if e.type == "step_completed"]
            names = [e.key.partition("/")[2].partition("#")[0] for e in done]
            first = next(place for place, e in enumerate(done) if e.key.startswith("undo/"))
            notes = [name for name in names[first:] if name.startswith("note")]
            undone = [name for name in names[first:] if not name.startswith("note")]
            assert undone == [*reversed(names[:first]), "first"], (seed, cut)
            assert 1 <= len(set(notes)) == len(notes) <= names[:first].count("book"), (seed, cut)
            late += sum(event.data.get("after_cancel", False) for event in done)
    assert late
