"""Runs that are paused and resumed at the exact point, and runs that are terminated."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    Retry,
    RunCancelledError,
    RunStateError,
    RunTerminatedError,
    UnknownRunError,
    Workflow,
    define_workflow,
)
from wfgen.client import ClientBase, WorkflowClient
from wfgen.engine import Engine, open_engine
from wfgen.runs import Run

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

DONE: list[str] = []
GATE = threading.Event()
BEGUN = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    DONE.clear()
    GATE.clear()
    BEGUN.clear()


def slow() -> str:
    BEGUN.set()
    assert GATE.wait(60)
    DONE.append("slow")
    return "slow"


def fails_once() -> str:
    DONE.append("attempt")
    if len(DONE) == 1:
        BEGUN.set()
        raise ValueError("not yet")
    return "at last"


@define_workflow
async def two_steps(workflow: Workflow) -> list[str]:
    """The second step follows the first."""
    first = await workflow.do("first", slow)
    second = await workflow.do("second", lambda: DONE.append("second") or "second")
    return [first, second]


@define_workflow
async def beside(workflow: Workflow) -> list[Any]:
    async def short() -> str:
        await workflow.sleep("nap", "1h")
        return str(await workflow.do("after nap", lambda: DONE.append("after nap") or "rested"))

    return list(await asyncio.gather(workflow.do("slow", slow), short()))


@define_workflow
async def retrying(workflow: Workflow) -> str:
    return str(await workflow.do("work", fails_once, retry=Retry(attempts=3, delay="1h")))


@define_workflow
async def waiting(workflow: Workflow) -> Any:
    return await workflow.hook("word", str)


@define_workflow
async def sleeping(workflow: Workflow) -> str:
    await workflow.sleep("nap", "1h")
    return "awake"


@define_workflow
async def parent(workflow: Workflow) -> str:
    try:
        await workflow.call("child", "waiting")
    except RunTerminatedError as error:
        return str(error)
    return "ended"


@define_workflow
async def other(workflow: Workflow) -> str:
    return str(await workflow.do("step", lambda: "done"))


async def others_done(engine: Engine) -> None:
    """Wait until a run that somebody else starts now has been claimed and done: what else was to begin has begun."""
    async with open_engine(engine.registry, engine.settings, work=False) as client:
        await (await client.start_run("other")).result()


async def begun() -> None:
    await asyncio.to_thread(BEGUN.wait, 10)


async def status(engine: Engine, run_id: str, wanted: str) -> None:
    async with asyncio.timeout(60):
        while (await engine.run(run_id).info()).status != wanted:
            await asyncio.sleep(0.005)


async def types(engine: Engine, run_id: str) -> list[str]:
    return [e.type for e in await engine.run(run_id).history() if e.type != "run_claimed"]


def test_steps_at_work_end_and_nothing_new_begins(project: Project) -> None:
    """B11, E2: a paused run records what was at work, starts nothing, and goes on at that point when it is resumed."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("two_steps")
        await begun()
        assert await run.pause() == "sent"
        assert await run.pause() == "duplicate"
        await others_done(engine)
        assert (await run.info()).status == "running"
        GATE.set()
        await status(engine, run.id, "paused")
        assert (await run.info()).owner is None
        await others_done(engine)
        assert DONE == ["slow"]
        assert await run.resume() == "sent"
        assert await run.resume() == "duplicate"
        assert await run.result("60s") == ["slow", "second"]
        return await types(engine, run.id)

    kinds = project.scenario(globals(), scenario)
    assert kinds == ["run_started", "step_completed", "run_paused", "run_resumed", "step_completed", "run_completed"]
    assert DONE == ["slow", "second"]


def test_a_pause_outlives_processes(project: Project) -> None:
    """B11: a paused run stays paused when others open its store, and any process resumes it."""

    async def pause(engine: Engine) -> str:
        run = await engine.start_run("two_steps")
        await begun()
        await run.pause()
        GATE.set()
        await status(engine, run.id, "paused")
        return run.id

    run_id = project.scenario(globals(), pause)

    async def idle(engine: Engine) -> None:
        await others_done(engine)
        assert (await engine.run(run_id).info()).status == "paused"

    project.scenario(globals(), idle)
    assert DONE == ["slow"]

    async def resume(engine: Engine) -> Any:
        await engine.run(run_id).resume()
        return await engine.run(run_id).result("60s")

    assert project.scenario(globals(), resume) == ["slow", "second"]
    assert DONE == ["slow", "second"]


def test_timers_do_not_fire_in_a_pause(project: Project) -> None:
    """B11: a timer that comes due in a pause fires when the run goes on."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("sleeping")
        await status(engine, run.id, "waiting")
        await run.pause()
        await status(engine, run.id, "paused")
        clock.go_on(engine, 7200)
        await others_done(engine)
        assert (await run.info()).status == "paused"
        await run.resume()
        return await run.result("60s")

    assert project.scenario(globals(), scenario, environment=clock.environment) == "awake"


def test_a_pause_that_is_taken_back_in_time(project: Project) -> None:
    """B11: resumed while steps still end, the run never stops: timers that came due in between fire."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("beside")
        await begun()
        async with asyncio.timeout(60):
            while "timer_set" not in await types(engine, run.id):
                await asyncio.sleep(0.005)
        await run.pause()
        clock.go_on(engine, 7200)
        await others_done(engine)
        assert DONE == []
        assert await run.resume() == "sent"
        async with asyncio.timeout(60):
            while not DONE:
                await asyncio.sleep(0.005)
        GATE.set()
        assert await run.result("60s") == ["slow", "rested"]
        return await types(engine, run.id)

    kinds = project.scenario(globals(), scenario, environment=clock.environment)
    assert "run_paused" not in kinds
    assert DONE == ["after nap", "slow"]


def test_a_step_between_attempts_waits(project: Project) -> None:
    """B11: a pause does not wait for a step's next attempt, and the attempt follows when the run goes on."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("retrying")
        await begun()
        await run.pause()
        await status(engine, run.id, "paused")
        clock.go_on(engine, 7200)
        await others_done(engine)
        assert DONE == ["attempt"]
        await run.resume()
        return await run.result("60s")

    assert project.scenario(globals(), scenario, environment=clock.environment) == "at last"
    assert DONE == ["attempt", "attempt"]


def test_messages_wait_in_a_pause(project: Project) -> None:
    """B11: a hook is resumed in a pause, and the run takes that when it goes on."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("waiting")
        await status(engine, run.id, "waiting")
        await run.pause()
        await status(engine, run.id, "paused")
        assert await run.hooks["word"].resume("hello") == "sent"
        await others_done(engine)
        assert (await run.info()).status == "paused"
        await run.resume()
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == "hello"


def test_cancel_ends_a_pause(project: Project) -> None:
    """B11: a request to cancel a paused run wakes it to carry that out; nothing else begins."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("two_steps")
        await begun()
        await run.pause()
        GATE.set()
        await status(engine, run.id, "paused")
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result("60s")
        return await types(engine, run.id)

    kinds = project.scenario(globals(), scenario)
    assert kinds[-4:] == ["run_paused", "run_resumed", "cancel_requested", "run_cancelled"]
    assert DONE == ["slow"]


def test_cancel_while_a_pause_is_under_way(project: Project) -> None:
    """B11: a run that is asked to pause and then to stop does not wait for its steps."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("two_steps")
        await begun()
        await run.pause()
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result("60s")
        GATE.set()

    project.scenario(globals(), scenario)


def test_a_run_that_nobody_works_is_paused_at_once(project: Project) -> None:
    """B11: without a worker a pause takes effect at once, and keeps the run from being taken up."""

    async def only_client(engine: Engine) -> str:
        run = await engine.start_run("waiting")
        assert await run.resume() == "duplicate"
        assert await run.pause() == "sent"
        assert (await run.info()).status == "paused"
        return run.id

    run_id = project.scenario(globals(), only_client, work=False)

    async def worked(engine: Engine) -> Any:
        await others_done(engine)
        run = engine.run(run_id)
        assert await types(engine, run_id) == ["run_started", "run_paused"]
        await run.resume()
        await run.hooks["word"].resume("awake")
        return await run.result("60s")

    assert project.scenario(globals(), worked) == "awake"


def test_a_pause_dies_with_its_process_and_is_taken_up(project: Project) -> None:
    """B11: a process that ends before the pause is recorded leaves it to the next one, which runs no step again."""

    async def ask(engine: Engine) -> str:
        run = await engine.start_run("waiting")
        await status(engine, run.id, "waiting")
        # As if the process had died right after the request: it has not read the message.
        await engine.store.send("pause", run_id=run.id)
        return run.id

    run_id = project.scenario(globals(), ask)

    async def next_one(engine: Engine) -> None:
        await status(engine, run_id, "paused")
        assert await types(engine, run_id) == ["run_started", "hook_created", "run_paused"]

    project.scenario(globals(), next_one)


def test_terminate_stops_at_once(project: Project) -> None:
    """B11: a terminated run ends without its code being asked; its hooks are closed, and what still ends is refused."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("two_steps")
        await begun()
        await run.terminate("a mistake")
        with pytest.raises(RunTerminatedError, match="a mistake") as raised:
            await run.result("60s")
        assert raised.value.code == "WF730"
        GATE.set()
        async with asyncio.timeout(60):
            while DONE != ["slow"]:
                await asyncio.sleep(0.005)
        await others_done(engine)
        record = await run.info()
        assert (record.status, record.error, record.owner) == ("terminated", "a mistake", None)
        hooked = await engine.start_run("waiting")
        await status(engine, hooked.id, "waiting")
        await hooked.terminate()
        assert [hook.state for hook in await engine.store.hooks(run_id=hooked.id, state=None)] == ["closed"]
        return await types(engine, run.id)

    assert project.scenario(globals(), scenario) == ["run_started", "run_terminated"]
    assert "second" not in DONE


def test_a_terminated_run_leaves_its_place(project: Project) -> None:
    """B9, B11: a run that is terminated while it waits in memory does not count as one that waits any more."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waiting")
        async with asyncio.timeout(60):
            while not len(engine._claims._parked):
                await asyncio.sleep(0.005)
        await run.terminate("\ud800" + "x" * 10_000)
        assert (len(engine._claims._parked), engine._claims.free) == (0, engine.settings.concurrency)
        assert len((await run.info()).error or "") < 5000, "what cannot be stored as it is is escaped, and cut"

    project.scenario(globals(), scenario)


def test_a_parent_hears_of_a_terminated_child(project: Project) -> None:
    """B11: the call of a child that is terminated raises RunTerminatedError."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("parent")
        await status(engine, run.id, "waiting")
        child = next(e for e in await run.history() if e.type == "child_started").data["run_id"]
        await status(engine, child, "waiting")
        await engine.controls.terminate(child, "no more words")
        return await run.result("60s")

    assert "no more words" in project.scenario(globals(), scenario)


def test_finished_and_unknown_runs_are_refused(project: Project) -> None:
    """B11: a control that cannot be carried out says so with a stable code, and changes nothing."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("other")
        await run.result("60s")
        before = await run.history()
        for control in (run.pause, run.resume, run.terminate):
            with pytest.raises(RunStateError, match="completed") as raised:
                await control()
            assert raised.value.code == "WF727"
        with pytest.raises(UnknownRunError):
            await engine.controls.pause("run_nowhere")
        with pytest.raises(UnknownRunError):
            await engine.controls.terminate("run_nowhere")
        assert await run.history() == before
        assert (await run.info()).status == "completed"

    project.scenario(globals(), scenario)


class Sleepers(WorkflowClient[Run[Any]]):
    name = "sleeping"
    run_class = Run


def test_a_client_controls_the_runs_of_its_workflow(project: Project) -> None:
    """B11, E2, E5: by id; a run of another workflow is refused, and left as it is."""

    async def scenario(engine: Engine) -> None:
        client = Sleepers(ClientBase(engine))
        run, foreign = await engine.start_run("sleeping"), await engine.start_run("waiting")
        assert await client.pause_run(run.id) == "sent"
        assert await client.resume_run(run.id) == "sent"
        await client.terminate_run(run.id, "enough")
        with pytest.raises(RunStateError, match="is terminated"):
            await client.retry_run(run.id)
        for control in (client.pause_run, client.resume_run, client.terminate_run, client.retry_run):
            with pytest.raises(UnknownRunError, match="not of 'sleeping'"):
                await control(foreign.id)
        assert await types(engine, foreign.id) == ["run_started"]

    project.scenario(globals(), scenario, work=False)
