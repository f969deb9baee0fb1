"""What a workflow says on its way: events of its own, progress, numbers. Each is recorded once, also with replays."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wfgen import (
    HandleError,
    Metrics,
    Progress,
    RunFailedError,
    SerializationError,
    WorkerProcess,
    Workflow,
    define_workflow,
)
from wfgen.engine import open_engine
from wfgen.execution import Execution
from wfgen.registry import Registry

_spec = importlib.util.spec_from_file_location("patterns", Path(__file__).with_name("patterns.py"))
assert _spec is not None
assert _spec.loader is not None
patterns = importlib.util.module_from_spec(_spec)
sys.modules["patterns"] = patterns
_spec.loader.exec_module(patterns)


def said(events: list[Any]) -> list[tuple[str, str, str]]:
    """What was emitted: type, key, name."""
    return [(e.type, e.key, e.data.get("event", "")) for e in events if e.type in ("emitted", "progress")]


def test_every_emission_is_recorded_once() -> None:
    """D6, E6: cut off after any recorded event, with branches at work, a run records each emission exactly once."""
    definition = patterns.define(patterns.emitting)
    for seed in range(8):
        host = patterns.SeededHost(seed)
        host.work(Execution(patterns.claim([patterns.STARTED]), definition, host))
        whole = [patterns.STARTED, *host.recorded]
        expected = sorted(said(whole))
        assert len(expected) == 2 + 2 * 3 * 3
        for cut in range(1, len(whole)):
            prefix = whole[:cut]
            again = patterns.SeededHost(seed * 1000 + cut)
            again._now = prefix[-1].time
            again.work(Execution(patterns.claim(prefix), definition, again))
            assert again.last is not None
            assert again.last.status == "completed", (seed, cut, again.last.error)
            assert sorted(said([*prefix, *again.recorded])) == expected, (seed, cut)


def test_every_emission_survives_a_kill_at_every_commit(tmp_path: Path) -> None:
    """D6, E6: killed before or after any commit becomes durable, the run has each emission once when it is finished."""
    child = Path(__file__).with_name("emit_child.py")
    done = subprocess.run([sys.executable, child, tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(point["killed"] for point in points) >= 6
    assert not points[-1]["killed"], "there are more commits than kill points"
    for point in points:
        assert sorted(point["said"]) == [
            ["emitted", "0.1/emit:begins"],
            ["emitted", "0.2/emit:begins"],
            ["emitted", "0/emit:begins"],
            ["emitted", "0/emit:ends"],
            ["emitted", "0/emit:first done"],
            ["progress", "0.1/progress"],
            ["progress", "0.2/progress"],
            ["progress", "0/progress"],
        ], point


@dataclass
class Paid:
    amount: int


def one() -> int:
    return 1


@define_workflow
async def shopping(workflow: Workflow) -> str:
    workflow.progress(0, 4, "begins")
    workflow.emit("begins")
    await workflow.do("one", one)
    workflow.emit("paid", Paid(3))
    workflow.emit("paid", {"again": True})
    workflow.progress(1, 4)
    word: str = await workflow.hook("go on", str)
    workflow.progress(2.5, 4, "nearly")
    return word


def test_emissions_in_the_history(project: Any) -> None:
    """D6: events of the workflow's own are written with what it does next, seen live, and not again after a replay."""
    live: list[Any] = []

    def observe(run_id: str, event: Any) -> None:
        live.append(event)

    async def work(resume: bool, run_id: str | None = None) -> Any:
        registry = Registry("none")
        registry.collect(globals())
        async with open_engine(registry, project.settings, observe=observe) as engine, asyncio.timeout(60):
            run = engine.run(run_id) if run_id else await engine.start_run("shopping")
            if not resume:
                while not await run.waiting():
                    await asyncio.sleep(0.01)
                return run.id
            await run.hooks["go on"].resume("now")
            assert await run.result() == "now"
            return await run.history()

    run_id = asyncio.run(work(resume=False))
    history = asyncio.run(work(resume=True, run_id=run_id))
    emitted = [(e.key, e.data["event"], e.payload) for e in history if e.type == "emitted"]
    assert emitted == [
        ("0/emit:begins", "begins", None),
        ("0/emit:paid", "paid", b'{"amount":3}'),
        ("0/emit:paid#2", "paid", b'{"again":true}'),
    ]
    paid = next(e for e in history if e.key == "0/emit:paid")
    assert paid.data["type"].endswith("test_emit:Paid")
    assert "test_emit.py:" in paid.data["at"]
    assert said(live) == said(history)


def test_progress_is_read_from_the_run(project: Any) -> None:
    """E6: the last progress of a run, with its percentage, while it runs and afterwards."""

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("shopping")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        progress = await run.progress()
        assert (progress.done, progress.total, progress.message, progress.percent) == (1, 4, None, 25.0)
        return run.id

    run_id = project.scenario(globals(), begin)

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        assert (await run.progress()).percent == 25.0
        await run.hooks["go on"].resume("now")
        await run.result()
        progress = await run.progress()
        assert (progress.done, progress.message, progress.percent) == (2.5, "nearly", 62.5)
        assert progress.time == [e.time for e in await run.history() if e.type == "progress"][-1]
        assert await (await engine.start_run("quiet")).progress() is None

    project.scenario(globals(), finish)


def test_what_is_rolled_back_is_said_again(project: Any) -> None:
    """E4, E6: what was said after a checkpoint does not count after a rollback, and is recorded anew."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("shopping")
        await run.hooks["go on"].resume("now")
        await run.result()
        assert (await run.progress()).done == 2.5
        completed = next(e.seq for e in await run.history() if e.type == "step_completed")
        await run.rollback(completed)
        assert (await run.progress()).done < 2.5
        await run.hooks["go on"].resume("again")
        assert await run.result() == "again"
        assert (await run.progress()).done == 2.5
        keys = [e.key for e in await run.history() if e.type == "emitted"]
        assert keys == ["0/emit:begins", *["0/emit:paid", "0/emit:paid#2"] * 2]

    project.scenario(globals(), scenario)


@define_workflow
async def quiet(workflow: Workflow) -> None: ...


def test_percent() -> None:
    """Without a total there is none; more than all is all."""
    assert Progress(3, None, None, 0.0).percent is None
    assert Progress(0, 0, None, 0.0).percent is None
    assert Progress(5, 4, None, 0.0).percent == 100.0


@define_workflow
async def misuse(workflow: Workflow, what: str) -> None:
    match what:
        case "name":
            workflow.emit("")
        case "data":
            workflow.emit("lambda", lambda: None)
        case "done":
            workflow.progress(-1)
        case "total":
            workflow.progress(1, float("nan"))
        case "huge":
            workflow.progress(10**400)
        case "message":
            workflow.progress(1, 2, object())  # type: ignore[arg-type]
        case "step":
            await workflow.do("inside", lambda: workflow.emit("inside"))


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("name", HandleError, "'' cannot name an event"),
        ("data", SerializationError, "the data of event 'lambda'"),
        ("done", HandleError, "done=-1 is no amount"),
        ("total", HandleError, "total=nan is no amount"),
        ("huge", HandleError, "done=10+ is no amount"),
        ("message", HandleError, "is no text"),
        ("step", HandleError, "outside its workflow's own code"),
    ],
)
def test_misuse(project: Any, what: str, error: type[Exception], message: str) -> None:
    """What cannot be recorded fails where it is said, and is not recorded."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("misuse", what)
        with pytest.raises(RunFailedError, match=message) as caught:
            await run.result()
        assert what == "step" or caught.value.error_code == error.code  # type: ignore[attr-defined]
        assert said(await run.history()) == []

    project.scenario(globals(), scenario)


class Broken:
    """A sink that takes nothing."""

    def count(self, name: str, n: float, tags: Any) -> None:
        raise OSError("no network")

    gauge = timing = count


def test_metrics_that_fail_fail_no_run(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A18: what a sink raises goes to the engine's log."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("measured")
        await run.hooks["go on"].resume("now")
        await run.result()

    project.scenario(globals(), scenario, process=WorkerProcess(metrics=Broken()))
    assert caplog.text.count("the metrics of this process cannot take") == 4


class Numbers:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def count(self, name: str, n: float, tags: Any) -> None:
        self.told.append(("count", name, n, dict(tags)))

    def gauge(self, name: str, value: float, tags: Any) -> None:
        self.told.append(("gauge", name, value, dict(tags)))

    def timing(self, name: str, seconds: float, tags: Any) -> None:
        self.told.append(("timing", name, seconds, dict(tags)))


@define_workflow(version="2")
async def measured(workflow: Workflow) -> None:
    workflow.metrics.count("begun")
    await workflow.do("step", lambda: workflow.metrics.timing("step", 0.5))
    workflow.metrics.count("items", 3, colour="red")
    await workflow.hook("go on", str)
    workflow.metrics.gauge("left", 0)


def test_metrics(project: Any) -> None:
    """A18: numbers go to the process's metrics, tagged, and not again in a replay; without a sink they are dropped."""
    sink: Metrics = (numbers := Numbers())

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("measured")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin, process=WorkerProcess(metrics=sink))

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        await run.result()

    project.scenario(globals(), finish, process=WorkerProcess(metrics=sink))
    tags = {"workflow": "measured", "version": "2"}
    assert numbers.told == [
        ("count", "begun", 1, tags),
        ("timing", "step", 0.5, tags),
        ("count", "items", 3, {**tags, "colour": "red"}),
        ("gauge", "left", 0, tags),
    ]

    async def without(engine: Any) -> None:
        run = await engine.start_run("measured")
        await run.hooks["go on"].resume("now")
        await run.result()

    project.scenario(globals(), without)
