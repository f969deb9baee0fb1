"""What becomes of jobs when their runs are cancelled, paused, taken back, retried, forked or continued."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wfgen import (
    Job,
    RunCancelledError,
    RunFailedError,
    StepError,
    StepInterruptedError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine
from wfgen.runs import Run
from wfgen.store.jobs import JobRecord

from .conftest import Project

CALLS: list[Any] = []
GATES: dict[str, asyncio.Event] = {}
FAILS: set[str] = set()
RELEASE = threading.Event()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()
    GATES.clear()
    FAILS.clear()
    RELEASE.clear()


def gate(name: str) -> asyncio.Event:
    return GATES.setdefault(name, asyncio.Event())


@define_worker("gated", dispatch="queue")
async def gated(name: str, job: Job) -> str:
    CALLS.append(("began", name))
    try:
        await gate(name).wait()
    except asyncio.CancelledError:
        CALLS.append(("cancelled", name, job.is_over))
        raise
    if name in FAILS:
        raise ValueError(name)
    CALLS.append(("ended", name))
    return f"{name} done"


@define_worker("stubborn", dispatch="queue")
def stubborn(job: Job) -> str:
    """Does not stop when it is asked to."""
    CALLS.append("began")
    while not job.is_over:
        RELEASE.wait(0.005)
    RELEASE.wait(60)
    CALLS.append("ended")
    return "an effect"


@define_worker("undo")
async def undo(given: str) -> None:
    CALLS.append(("undone", given))


@define_worker("once", dispatch="queue", at_most_once=True)
async def once() -> None:
    CALLS.append("once")
    await gate("once").wait()


@define_workflow
async def waiting(workflow: Workflow, names: list[str]) -> list[str]:
    found = await workflow.parallel({name: workflow.do(name, "gated", name) for name in names})
    return list(found.values())


@define_workflow
async def in_turn(workflow: Workflow, names: list[str]) -> list[str]:
    return [await workflow.do(name, "gated", name) for name in names]


@define_workflow
async def any_of(workflow: Workflow) -> list[str]:
    found = await workflow.parallel(
        {name: workflow.do(name, "gated", name) for name in ("a", "b", "c")}, wait_for="any"
    )
    await workflow.hook("go", str)
    return list(found)


@define_workflow
async def undone(workflow: Workflow, worker: str) -> None:
    task = asyncio.create_task(workflow.do("step", worker, *(["x"] if worker == "gated" else []), compensate="undo"))
    await workflow.hook("go", str)
    task.cancel()
    raise ValueError("on purpose")


@define_workflow
async def careful(workflow: Workflow) -> str:
    try:
        await workflow.do("once", "once")
    except StepInterruptedError as error:
        return f"interrupted: {error.error}"
    return "done"


@define_workflow
async def continued(workflow: Workflow, number: int) -> int:
    if number == 0:
        task = asyncio.create_task(workflow.do("left", "gated", "left"))
        await workflow.do("alone", "gated", "alone", await_result=False)
        await workflow.hook("go", str)
        assert not task.done()
        workflow.continue_as_new(1)
    await workflow.do("left", "gated", "second")
    return number


async def until(what: Callable[[], Awaitable[Any]] | Callable[[], Any]) -> Any:
    """Wait for a fact."""
    async with asyncio.timeout(60):
        while True:
            found = what()
            found = await found if hasattr(found, "__await__") else found
            if found:
                return found
            await asyncio.sleep(0.005)


async def jobs(engine: Engine, run: Run[Any]) -> list[JobRecord]:
    """Oldest first."""
    return list(reversed(await engine.store.list_jobs(run_id=run.id)))


async def statuses(engine: Engine, run: Run[Any]) -> list[str]:
    return [job.status for job in await jobs(engine, run)]


async def types(run: Run[Any]) -> list[str]:
    return [event.type for event in await run.history()]


@pytest.mark.both_stores
def test_cancelling_a_run_cancels_its_jobs(project: Project) -> None:
    """B14: who works one is told soon, and its function gets a CancelledError; one on its queue is never begun."""
    project.settings = project.settings.model_copy(update={"job_concurrency": 2})

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waiting", ["a", "b", "c"])
        await until(lambda: len(CALLS) == 2)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        await until(lambda: engine.jobs.at_work == 0)
        assert await statuses(engine, run) == ["cancelled"] * 3

    project.scenario(globals(), scenario)
    assert sorted(CALLS) == [("began", "a"), ("began", "b"), ("cancelled", "a", True), ("cancelled", "b", True)]


def test_what_is_not_needed_any_more_is_cancelled(project: Project) -> None:
    """B14: the run goes on at once; the others' jobs are asked to stop, and their ends concern nobody."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("any_of")
        await until(lambda: len(CALLS) == 3)
        gate("b").set()
        await until(lambda: engine.jobs.at_work == 0)
        assert sorted(await statuses(engine, run)) == ["cancelled", "cancelled", "completed"]
        assert not (await run.info()).finished_at
        await run.hooks["go"].resume("now")
        assert await run.result() == ["b"]
        assert "step_failed" not in await types(run)

    project.scenario(globals(), scenario)


@pytest.mark.both_stores
@pytest.mark.parametrize("worker", ["gated", "stubborn"])
def test_a_job_that_can_be_undone_is_heard_of_to_its_end(project: Project, worker: str) -> None:
    """A6: what completes although it was cancelled is recorded so, not delivered, and undone."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("undone", worker)
        await until(lambda: CALLS)
        await run.hooks["go"].resume("now")
        if worker == "stubborn":
            await until(lambda: any(work.stopping for work in engine.jobs._at_work.values()))
            RELEASE.set()
        with pytest.raises(RunFailedError, match="on purpose"):
            await run.result()
        ended = next(event for event in await run.history() if event.type in ("step_completed", "step_failed"))
        assert ended.data["after_cancel"]
        assert ended.type == ("step_completed" if worker == "stubborn" else "step_failed")
        assert await statuses(engine, run) == ["completed" if worker == "stubborn" else "cancelled"]

    project.scenario(globals(), scenario)
    assert (("undone", "an effect") in CALLS) == (worker == "stubborn")


def test_a_run_that_waits_for_a_job_leaves_memory(project: Project) -> None:
    """B13: it holds neither a thread nor a place; the end of the job brings it back."""
    project.settings = project.settings.model_copy(update={"resident": 0})
    before = set(threading.enumerate())

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("in_turn", ["a", "b"])
        for name in ("a", "b"):
            await until(lambda name=name: ("began", name) in CALLS)
            await until(lambda: not engine.executions)
            assert (await run.info()).status == "waiting"
            assert not any(one.name.startswith("wfgen-step") for one in set(threading.enumerate()) - before)
            gate(name).set()
        assert await run.result() == ["a done", "b done"]

    project.scenario(globals(), scenario)
    assert CALLS.count(("began", "a")) == CALLS.count(("began", "b")) == 1


@pytest.mark.both_stores
def test_jobs_go_on_while_their_run_is_paused(project: Project) -> None:
    """B14: the run takes their ends when it is resumed."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("in_turn", ["a", "b"])
        await until(lambda: CALLS)
        await run.pause()

        async def is_paused() -> bool:
            return (await run.info()).status == "paused"

        await until(is_paused)
        gate("a").set()
        await until(lambda: engine.jobs.at_work == 0)
        assert await statuses(engine, run) == ["completed"]
        assert "step_completed" not in await types(run)
        gate("b").set()
        await run.resume()
        assert await run.result() == ["a done", "b done"]

    project.scenario(globals(), scenario)


@pytest.mark.both_stores
def test_retrying_a_run_whose_job_failed(project: Project) -> None:
    """A6: the step begins anew, with another job; what completed before does not run again."""

    async def scenario(engine: Engine) -> None:
        FAILS.add("b")
        gate("a").set()
        gate("b").set()
        run = await engine.start_run("in_turn", ["a", "b"])
        with pytest.raises(RunFailedError):
            await run.result()
        FAILS.clear()
        await run.retry()
        assert await run.result() == ["a done", "b done"]
        found = await jobs(engine, run)
        assert [(job.name, job.status) for job in found] == [("a", "completed"), ("b", "failed"), ("b", "completed")]
        assert len({job.job_id for job in found}) == 3
        assert found[1].idempotency_key == found[2].idempotency_key, "its effect is the same one"

    project.scenario(globals(), scenario)
    assert [call for call in CALLS if call[0] == "began"] == [("began", "a"), ("began", "b"), ("began", "b")]


@pytest.mark.both_stores
def test_retrying_a_run_whose_jobs_were_cancelled_with_it(project: Project) -> None:
    """A6: a run that failed for one branch asks again for the job of the other one."""

    async def scenario(engine: Engine) -> None:
        FAILS.add("a")
        run = await engine.start_run("waiting", ["a", "b"])
        await until(lambda: len(CALLS) == 2)
        gate("a").set()
        with pytest.raises(RunFailedError):
            await run.result()
        await until(lambda: engine.jobs.at_work == 0)
        assert await statuses(engine, run) == ["failed", "cancelled"]
        FAILS.clear()
        gate("b").set()
        await run.retry()
        assert await run.result() == ["a done", "b done"]
        assert sorted(await statuses(engine, run)) == ["cancelled", "completed", "completed", "failed"]

    project.scenario(globals(), scenario)


@pytest.mark.both_stores
def test_rolling_back_and_forking_with_jobs(project: Project) -> None:
    """A6: jobs of what is undone are cancelled, ends that count are told again; a fork has jobs of its own."""

    async def scenario(engine: Engine) -> None:
        gate("a").set()
        run = await engine.start_run("in_turn", ["a", "b", "c"])
        await until(lambda: ("began", "b") in CALLS)
        first = next(event.seq for event in await run.history() if event.type == "step_completed")
        await run.rollback(first)
        await until(lambda: CALLS.count(("began", "b")) == 2)
        await until(lambda: ("cancelled", "b", True) in CALLS)
        fork = await run.fork(first)
        await until(lambda: CALLS.count(("began", "b")) == 3)
        gate("b").set()
        gate("c").set()
        assert await run.result() == await fork.result() == ["a done", "b done", "c done"]
        assert await statuses(engine, run) == ["completed", "cancelled", "completed", "completed"]
        assert await statuses(engine, fork) == ["completed", "completed"]

    project.scenario(globals(), scenario)
    assert CALLS.count(("began", "a")) == 1


@pytest.mark.both_stores
def test_a_run_that_starts_again_leaves_its_jobs_behind(project: Project) -> None:
    """B13: those that it awaited are cancelled, those that go their own way go on."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("continued", 0)
        await until(lambda: len(CALLS) == 2)
        await run.hooks["go"].resume("now")
        await until(lambda: ("cancelled", "left", True) in CALLS)
        await until(lambda: ("began", "second") in CALLS)
        gate("second").set()
        assert await run.result() == 1
        gate("alone").set()
        await until(lambda: engine.jobs.at_work == 0)
        found = {job.input: job.status for job in await jobs(engine, run)}
        assert found == {b'"left"': "cancelled", b'"alone"': "completed", b'"second"': "completed"}

    project.scenario(globals(), scenario)


def test_terminating_a_run_stops_its_jobs(project: Project) -> None:
    """B14: also the one that this process works."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waiting", ["a"])
        await until(lambda: CALLS)
        await run.terminate("enough")
        await until(lambda: engine.jobs.at_work == 0)
        assert await statuses(engine, run) == ["cancelled"]

    project.scenario(globals(), scenario)
    assert CALLS == [("began", "a"), ("cancelled", "a", True)]


def test_a_discarded_job_is_stopped(project: Project) -> None:
    """A6: who works it has lost it; what it would still record is refused."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("in_turn", ["a"])
        await until(lambda: CALLS)
        (job,) = await jobs(engine, run)
        await engine.store.discard_job(job.job_id)
        engine.jobs.changed()
        engine.told()
        with pytest.raises(RunFailedError, match="discarded"):
            await run.result()
        await until(lambda: engine.jobs.at_work == 0)

    project.scenario(globals(), scenario)
    assert ("ended", "a") not in CALLS


@pytest.mark.both_stores
def test_closing_gives_jobs_back(project: Project) -> None:
    """B14: what can begin elsewhere does so, as if it had not begun; what runs at most once was interrupted."""
    found: dict[str, Any] = {}

    async def first(engine: Engine) -> None:
        run, careful = await engine.start_run("in_turn", ["a"]), await engine.start_run("careful")
        await until(lambda: len(CALLS) == 2)
        found["ids"] = run.id, careful.id

    async def second(engine: Engine) -> list[Any]:
        gate("a").set()
        ends = [await engine.run(run_id).result() for run_id in found["ids"]]
        (job,) = await jobs(engine, engine.run(found["ids"][0]))
        assert (job.attempt, job.claims) == (1, 1)
        return ends

    project.scenario(globals(), first)
    assert ("cancelled", "a", True) in CALLS
    GATES.clear()
    done, interrupted = project.scenario(globals(), second)
    assert done == ["a done"]
    assert interrupted.startswith("interrupted: it runs at most once")
    assert CALLS.count("once") == 1


def test_draining_lets_jobs_end(project: Project) -> None:
    """B14: a process that drains takes no other job, and those at work come to their end."""
    project.settings = project.settings.model_copy(update={"job_concurrency": 1})

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waiting", ["a", "b"])
        await until(lambda: CALLS)
        draining = asyncio.create_task(engine.drain("20s"))
        await asyncio.sleep(0)
        (name,) = [call[1] for call in CALLS]
        gate(name).set()
        await draining
        assert [("began", name), ("ended", name)] == CALLS
        assert sorted(await statuses(engine, run)) == ["completed", "queued"]

    project.scenario(globals(), scenario)


def test_errors_of_jobs_are_step_errors(project: Project) -> None:
    """A17: with key, form and worker, as those of inline steps."""

    async def scenario(engine: Engine) -> None:
        FAILS.add("a")
        gate("a").set()
        run = await engine.start_run("in_turn", ["a"])
        with pytest.raises(RunFailedError) as raised:
            await run.result()
        assert raised.value.error_type == "wfgen.errors.StepError"
        failed = (await run.history())[-1].data
        assert (failed["step"], failed["code"]) == ("0/a", StepError.code)

    project.scenario(globals(), scenario)
