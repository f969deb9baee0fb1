"""Statistics of runs and steps: what is counted, over which time, and in how much space."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from wfgen import Retry, Run, define_workflow
from wfgen.engine import Engine
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.statistics import Durations, WorkflowStatistics
from wfgen.store.filters import parts
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import counting

from .conftest import Project
from .shelf import Shelf, tell


def test_percentiles_are_right_to_one_percent() -> None:
    """E7: percentiles of any distribution, in space that does not grow with the number of values."""
    chance = random.Random(3)
    for values in (
        [chance.expovariate(0.1) for _ in range(5000)],
        [chance.uniform(0.001, 0.002) for _ in range(999)],
        [10 ** chance.uniform(-5, 5) for _ in range(2000)],
        [2.5],
    ):
        durations = Durations()
        for value in values:
            durations.add(value)
        ordered = sorted(values)
        for percent in (50, 95, 99, 100):
            exact = ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
            assert durations.percentile(percent) == pytest.approx(exact, rel=0.0101)
        assert len(durations._classes) < 1200
    assert Durations().percentile(50) is None
    nothing = Durations()
    nothing.add(0.0)
    assert nothing.percentile(99) == 0.0


tries = 0


def flaky() -> int:
    global tries
    tries += 1
    if tries % 3:
        raise ValueError("not yet")
    return 1


def broken() -> None:
    raise ValueError("never")


@define_workflow
async def busy(workflow: Any, number: int) -> int:
    for _ in range(number):
        await workflow.do("flaky", flaky, retry=Retry(attempts=4, delay="1ms"))
    if number == 3:
        await workflow.do("broken", broken)
    return number


@define_workflow(version="2")
async def other(workflow: Any) -> None:
    await workflow.sleep("pause", "1ms")


def test_statistics_of_runs_and_steps(project: Project) -> None:
    """E7, A18: per workflow runs by status, success rate, durations; per step executions, success, retries."""

    async def scenario(engine: Engine) -> None:
        for number in (1, 2, 3):
            run: Run[int] = await engine.start_run("busy", number)
            await asyncio.gather(run.result(), return_exceptions=True)
        again: Run[None] = await engine.start_run("other")
        await again.result()
        found = await engine.store.statistics()
        assert [(one.workflow, one.version) for one in found] == [("busy", "1"), ("other", "2")]
        one = found[0]
        assert one.statuses == {"completed": 2, "failed": 1}
        assert one.success_rate == pytest.approx(2 / 3)
        assert one.durations.count == 2
        assert list(one.steps) == ["flaky", "broken"]
        flaky = one.steps["flaky"]
        assert (flaky.executions, flaky.completed, flaky.failed, flaky.retries) == (6, 6, 0, 12)
        assert flaky.durations.count == 6
        assert (flaky.success_rate, one.steps["broken"].success_rate) == (1.0, 0.0)
        assert found[1].steps == {}
        (only,) = await engine.store.statistics(workflow="other", version="2")
        assert only.runs == 1
        assert await engine.store.statistics(workflow="other", version="1") == []

    project.scenario(globals(), scenario)


def test_statistics_of_a_stretch_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E7: only runs that were started in it count, read in slices, however many there are at one instant."""
    monkeypatch.setattr(counting, "SLICE", 3)

    async def story(shelf: Shelf) -> None:
        for number in range(30):
            shelf.clock.now = 1_800_000_000.0 + number // 4
            owner = shelf.process
            record, _ = await shelf.store.create(NewRun(RunId(f"r{number}"), "flow", "1", b"1", "s"), owner)
            key = ("0/work", "0.1/work#2", "undo/work")[number % 3]
            start = shelf.clock.now
            events = [
                Event(2, "step_completed", start + 2, key, {"attempt": 1, "started_at": start}),
                Event(3, "step_failed", start + 4, "0/given up", {"attempt": 1, "after_cancel": True}),
            ]
            told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            status: Any = "completed" if number % 5 else "waiting"
            shelf.clock.now += 4
            shelf.store.append(Append(record.run_id, 1, events, status=status), told.set_result)
            assert await told is None
        (all_of_them,) = await shelf.store.statistics()
        assert all_of_them.statuses == {"completed": 24, "waiting": 6}
        assert {name: step.completed for name, step in all_of_them.steps.items()} == {"work": 20, "undo/work": 10}
        assert all_of_them.steps["work"].durations.percentile(50) == pytest.approx(2, rel=0.01)
        assert all_of_them.durations.percentile(99) == pytest.approx(4, rel=0.01)
        (some,) = await shelf.store.statistics(since=1_800_000_002.0, until=1_800_000_004.0)
        assert (some.runs, sum(step.executions for step in some.steps.values())) == (8, 8)
        assert await shelf.store.statistics(since=1_900_000_000.0) == []

    tell(tmp_path, story)


def test_counting_runs_reads_indexes_alone(tmp_path: Path) -> None:
    """E7: statistics of finished runs touch no row of `runs`, and none outside of the stretch of time."""

    async def story(shelf: Shelf) -> None:
        await shelf.put("r", "completed")
        connection = sqlite3.connect(tmp_path / "store.db")
        for part in parts(("flow", "1"), 0.0, 1.0):
            counting.count_runs(connection, WorkflowStatistics("flow", "1"), part)
            select = f"SELECT status, finished_at - created_at {counting.source(part)}"
            (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {select}", counting.values(part)).fetchall()
            assert plan[3].startswith("SEARCH"), plan
            assert "created_at>" in plan[3]
            assert part.status is None or "COVERING INDEX" in plan[3]
        connection.close()

    tell(tmp_path, story)
