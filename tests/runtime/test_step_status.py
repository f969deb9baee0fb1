"""Where each step of a run stands, and the history as entries."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from wfgen import Retry, Run, define_workflow
from wfgen.engine import Engine
from wfgen.events import Event, EventType
from wfgen.graph import Graph, GraphStep
from wfgen.step_states import step_states

from .conftest import Project
from .graphs import Source

BRANCHING = """\
@define_workflow
async def order(workflow: Workflow, amount: int) -> int:
    await workflow.do("pay", "shop.pay", amount)
    if amount > 100:
        await workflow.do("check", "shop.ship", amount)
    else:
        await workflow.sleep("pause", "1ms")
    answer = await workflow.hook("approval", int)
    if answer:
        await workflow.do("ship", "shop.ship", amount)
    return amount
"""


async def told(run: Run[Any]) -> list[tuple[str, str]]:
    return [(step.name, step.status) for step in await run.steps()]


async def waits(run: Run[Any]) -> None:
    while not await run.waiting():
        await asyncio.sleep(0.005)


def test_steps_of_the_graph_that_are_not_reached(tmp_path: Path) -> None:
    """B18, E6: `pending` while the run goes on; once it has ended what it went without is `skipped`."""
    source = Source(tmp_path)
    source.write(BRANCHING)

    async def scenario(engine: Engine) -> None:
        run: Run[int] = await engine.start_run("order", 1)
        await waits(run)
        assert await told(run) == [
            ("pay", "completed"), ("pause", "completed"), ("approval", "waiting"),
            ("check", "pending"), ("ship", "pending"),
        ]  # fmt: skip
        await run.hooks["approval"].resume(0)
        assert await run.result() == 1
        assert await told(run) == [
            ("pay", "completed"), ("pause", "completed"), ("approval", "completed"),
            ("check", "skipped"), ("ship", "skipped"),
        ]  # fmt: skip
        pay, check = (await run.steps())[0], (await run.steps())[3]
        assert (pay.key, pay.form, pay.target, pay.attempts) == ("0/pay", "rpc", "shop.pay", 1)
        assert pay.duration is not None
        assert (check.key, check.target, check.duration, check.attempts) == (None, "shop.ship", None, 0)
        assert check.place == "flows.workflow.py:19"

    source.scenario(scenario)


def test_a_cancelled_run(tmp_path: Path) -> None:
    """B18: what was open when the run ended is cancelled, what had not begun is skipped."""
    source = Source(tmp_path)
    source.write(BRANCHING)

    async def scenario(engine: Engine) -> None:
        run: Run[int] = await engine.start_run("order", 101)
        await waits(run)
        await run.cancel()
        await engine.finished(run.id)
        assert await told(run) == [
            ("pay", "completed"), ("check", "completed"), ("approval", "cancelled"),
            ("pause", "skipped"), ("ship", "skipped"),
        ]  # fmt: skip

    source.scenario(scenario)


gate = threading.Event()


def hold() -> None:
    gate.wait(60)


attempts = 0


def flaky() -> int:
    global attempts
    attempts += 1
    if attempts < 2:
        raise ValueError("not yet")
    return attempts


@define_workflow
async def holding(workflow: Any) -> None:
    await workflow.do("hold", hold)


@define_workflow
async def failing(workflow: Any) -> int:
    found: int = await workflow.do("flaky", flaky, retry=Retry(attempts=2, delay="1ms"))
    await workflow.do("broken", lambda: 1 / 0)
    return found


def test_a_step_at_work(project: Project, tmp_path: Path) -> None:
    """B18: the process that works a run knows which of its steps are at work; the record alone does not say."""

    async def scenario(engine: Engine) -> None:
        run: Run[None] = await engine.start_run("holding")
        while not await told(run):
            await asyncio.sleep(0.005)
        assert await told(run) == [("hold", "running")]
        (step,) = await run.steps()
        assert (step.key, step.form, step.attempts, step.duration) == ("0/hold", "inline", 1, None)
        assert step_states(await run.history(), "running") == []
        gate.set()
        await run.result()
        assert await told(run) == [("hold", "completed")]

    gate.clear()
    project.scenario(globals(), scenario)


def test_history_entries_and_attempts(project: Project) -> None:
    """A19, B21: each entry says when, what, which attempt, in which process, how long; and the error stays readable."""

    async def scenario(engine: Engine) -> None:
        run: Run[int] = await engine.start_run("failing")
        await engine.finished(run.id)
        flaky, broken = await run.steps()
        assert (flaky.status, flaky.attempts, flaky.error) == ("completed", 2, None)
        assert (broken.status, broken.attempts) == ("failed", 1)
        assert broken.error is not None
        assert "ZeroDivisionError" in broken.error
        found = await run.entries()
        assert [(e.seq, e.type, e.step, e.attempt) for e in found] == [
            (1, "run_started", None, None),
            (2, "step_retrying", "flaky", 1),
            (3, "step_completed", "flaky", 2),
            (4, "step_failed", "broken", 1),
            (5, "run_failed", None, None),
        ]
        assert [e.payload for e in found] == [None, None, 2, None, None]
        assert found[2].duration is not None
        assert found[2].duration >= 0
        assert [e.is_undone for e in found] == [False] * 5
        assert [e.time for e in found] == sorted(e.time for e in found)
        assert {e.process for e in found} == {engine.process_id}

    global attempts
    attempts = 0
    project.scenario(globals(), scenario)


def event(seq: int, type: EventType, key: str | None = None, **data: Any) -> Event:
    return Event(seq, type, 1000.0 + seq, key, data)


STEP = {"form": "inline", "attempt": 1, "started_at": 1001.0}


@pytest.mark.parametrize(
    ("events", "status", "expected"),
    [
        ([event(2, "step_started", "0/a", form="inline", attempt=1)], "running", [("a", "running")]),
        ([event(2, "step_retrying", "0/a", form="inline", attempt=1, next_at=9e9)], "running", [("a", "waiting")]),
        ([event(2, "child_started", "0/a", form="call", target="t")], "waiting", [("a", "waiting")]),
        ([event(2, "child_started", "0/a", form="call", target="t")], "terminated", [("a", "cancelled")]),
        ([event(2, "step_failed", "0/a", **STEP, after_cancel=True)], "running", [("a", "cancelled")]),
        ([event(2, "hook_timed_out", "0/a", form="hook")], "failed", [("a", "failed")]),
        (
            [event(2, "step_completed", "0/a", **STEP), event(3, "step_completed", "0/b", **STEP),
             event(4, "rolled_back", to=2)],
            "pending",
            [("b", "undone"), ("a", "completed")],
        ),
        (
            [event(2, "step_failed", "0/a", **STEP), event(3, "run_failed"), event(4, "run_retried", to=1),
             event(5, "step_completed", "0/a", **STEP)],
            "completed",
            [("a", "completed")],
        ),
        (
            [event(2, "step_completed", "0/a", **STEP), event(3, "timer_set", "0/b", form="sleep", due=9e9),
             event(4, "run_continued"), event(5, "timer_set", "0/a#2", form="sleep", due=9e9)],
            "waiting",
            [("a", "waiting")],
        ),
    ],
)  # fmt: skip
def test_what_events_say_of_a_step(events: list[Event], status: str, expected: list[tuple[str, str]]) -> None:
    """B18: started, between attempts, waiting for a child, given up, undone, redone, continued."""
    found = step_states([event(1, "run_started"), *events], status)
    assert [(step.name, step.status) for step in found] == expected


def test_steps_around_the_code_are_not_those_of_the_source() -> None:
    """B18: an undo step that has the name of a step of the source does not stand for it."""
    graph = Graph((GraphStep("inline", "a", None, "f.py:1"),))
    events = [event(1, "run_started"), event(2, "step_completed", "undo/a", **STEP)]
    assert [(s.key, s.status) for s in step_states(events, "failed", graph)] == [
        ("undo/a", "completed"),
        (None, "skipped"),
    ]
