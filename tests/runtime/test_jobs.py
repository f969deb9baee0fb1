"""Steps on queues: put there with what their run records, worked by a process that has the worker, heard of once."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from wfgen import (
    Job,
    JobDiscardedError,
    JobExpiredError,
    JobRef,
    NonRetryable,
    Retry,
    RetryAfter,
    RunFailedError,
    StepError,
    StepTimeoutError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine
from wfgen.ids import JobId
from wfgen.middleware import Middleware, Proceed, StepCall
from wfgen.runinfo import RunStart
from wfgen.runs import Run
from wfgen.store.jobs import JobRecord
from wfgen.worker_process import WorkerProcess

from .conftest import Project

CALLS: list[Any] = []


class OutOfStock(Exception):
    """An error whose type travels by its name."""


class SoldOut(OutOfStock):
    """One that derives from it."""


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@define_worker("add", dispatch="queue")
async def add(n: int, job: Job) -> int:
    CALLS.append(("add", n, job.attempt))
    return n + 1


@define_worker("thread", dispatch="queue")
def in_thread(n: int) -> str:
    assert threading.current_thread() is not threading.main_thread()
    return f"{n} in a thread"


@define_worker("told", dispatch="queue")
async def told(job: Job[str]) -> list[str]:
    return [job.run_id, job.step, job.key, job.idempotency_key, str(job.context)]


@define_worker("shaky", dispatch="queue", retry=Retry(attempts=4, delay="1ms", on=(OutOfStock,), never=(KeyError,)))
async def shaky(errors: list[str], job: Job) -> int:
    CALLS.append(job.attempt)
    job.report({"attempt": job.attempt})
    if job.attempt > len(errors):
        return job.attempt
    kinds = {"sold out": SoldOut, "final": NonRetryable, "other": ValueError, "key": KeyError}
    kind = kinds.get(errors[job.attempt - 1])
    raise RetryAfter("later", "2ms") if kind is None else kind(f"in attempt {job.attempt}")


@define_worker("reporting", dispatch="queue")
def reporting(job: Job) -> str:
    for number in range(1000):
        job.report({"done": number})
    while not job.is_over and "go on" not in CALLS:
        time.sleep(0.001)
    return "done"


@define_worker("slow", dispatch="queue", timeout="20ms", retry=Retry(attempts=2, delay="1ms"))
async def slow(job: Job) -> None:
    CALLS.append(job.attempt)
    await asyncio.sleep(30)


@define_worker("wrong", dispatch="queue", retry=Retry(attempts=3, delay="1ms"))
async def wrong() -> int:
    CALLS.append("wrong")
    return "no number"  # type: ignore[return-value]


@define_worker("unserved", dispatch="queue", expires="50ms")
async def unserved() -> int:
    raise AssertionError("nobody serves it")


@define_worker("inline", dispatch="inline")
async def inline(n: int) -> int:
    return n * 2


@define_worker("either")
async def either(n: int) -> int:
    return n * 2


@define_workflow
async def simple(workflow: Workflow, n: int) -> list[Any]:
    return [
        await workflow.do("add", "add", n),
        await workflow.do("in_thread", "thread", n),
        await workflow.do("told", "told"),
        await workflow.do("own_key", "told", idempotency_key="mine"),
    ]


@define_workflow
async def retrying(workflow: Workflow, errors: list[str]) -> int:
    return int(await workflow.do("shaky", "shaky", errors))


@define_workflow
async def one(workflow: Workflow, worker: str) -> Any:
    return await workflow.do("step", worker)


@define_workflow
async def caught(workflow: Workflow, worker: str) -> tuple[str, str]:
    error = await workflow.do("step", worker, on_error="continue")
    assert isinstance(error, StepError)
    return type(error).__name__, error.error


@define_workflow
async def loose(workflow: Workflow) -> Any:
    return await workflow.do("step", "wrong", validate="warn")


@define_workflow
async def alone(workflow: Workflow, ends: str) -> JobRef:
    ref = await workflow.do("step", "add", 1, await_result=False)
    if ends == "later":
        await workflow.do("other", "inline", 1)
    if ends == "with an error":
        raise ValueError("on purpose")
    return ref


@define_workflow(execution_mode="remote")
async def remote(workflow: Workflow) -> list[int]:
    return [await workflow.do(name, name, 1) for name in ("either", "inline", "add")]


@define_workflow
async def local(workflow: Workflow) -> list[int]:
    return [await workflow.do(name, name, 1) for name in ("either", "inline", "add")]


@define_workflow
async def many(workflow: Workflow, count: int) -> int:
    found = await workflow.parallel({f"n{n}": workflow.do(f"n{n}", "add", n) for n in range(count)})
    return sum(found.values())


async def job_of(run: Run[Any]) -> JobRecord:
    (found,) = await run._engine.store.list_jobs(run_id=run.id)
    return found


async def of_type(run: Run[Any], type: str) -> list[dict[str, Any]]:
    return [event.data for event in await run.history() if event.type == type]


@pytest.mark.both_stores
def test_a_step_on_a_queue(project: Project) -> None:
    """B13: a worker with dispatch="queue" gets its job in whatever process; its history looks like an inline step's."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("simple", 4)
        added, threaded, facts, own = await run.result()
        assert (added, threaded) == (5, "4 in a thread")
        assert facts[:3] == [run.id, "told", "0/told"]
        assert facts[4] == "what the process has"
        assert own[3] == "mine"
        events = await run.history()
        assert [event.type for event in events[:3]] == ["run_started", "job_created", "step_completed"]
        created, completed = events[1].data, events[2].data
        assert (created["queue"], created["awaited"], created["form"]) == ("simple.add", True, "rpc")
        assert completed["job_id"] == created["job_id"]
        assert {"attempt", "started_at", "input", "form", "target", "at"} <= set(completed)
        job = await engine.store.get_job(created["job_id"])
        assert (job.status, job.output, job.queue, job.worker) == ("completed", b"5", "simple.add", "add")
        assert job.idempotency_key != facts[3]

    project.scenario(globals(), scenario, process=WorkerProcess(context=lambda: "what the process has"))
    assert CALLS == [("add", 4, 1)]


def test_where_a_step_goes(project: Project) -> None:
    """C7: the worker says, else the workflow's execution_mode."""

    async def scenario(engine: Engine) -> dict[str, list[str]]:
        found = {}
        for name in ("remote", "local"):
            run = await engine.start_run(name)
            assert await run.result() == [2, 2, 2]
            found[name] = [job.worker for job in reversed(await engine.store.list_jobs(run_id=run.id))]
        return found

    assert project.scenario(globals(), scenario) == {"remote": ["either", "add"], "local": ["add"]}


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("errors", "attempts", "ends"),
    [
        (["sold out", "asks"], 2, "RetryAfter"),
        (["sold out", "sold out"], 3, None),
        (["sold out", "final"], 2, "wfgen.retry.NonRetryable"),
        (["other"], 1, "ValueError"),
        (["sold out", "key"], 2, "KeyError"),
        (["sold out"] * 4, 4, "SoldOut"),
    ],
)
def test_retries_follow_the_policy(project: Project, errors: list[str], attempts: int, ends: str | None) -> None:
    """B13: the policy travels with the job; types of errors go by name, base classes included."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("retrying", errors)
        if ends is None:
            assert await run.result() == attempts
        else:
            with pytest.raises(RunFailedError):
                await run.result()
            (failed,) = await of_type(run, "step_failed")
            assert failed["attempt"] == attempts
            assert failed["error_type"].endswith(ends)
            assert "Traceback" in failed["traceback"]
            event = next(event for event in await run.history() if event.type == "step_failed")
            assert json.loads(event.payload or b"") == {"attempt": attempts}
        job = await job_of(run)
        assert job.attempt == attempts
        kept = json.loads(job.details or "{}")["attempts"]
        failures = attempts - 1 if ends is None else attempts
        assert [one["attempt"] for one in kept] == list(range(1, failures + 1))
        assert "SoldOut" in kept[0]["error_type"] or ends == "ValueError"

    project.scenario(globals(), scenario)
    assert list(range(1, attempts + 1)) == CALLS


def test_an_attempt_that_takes_too_long(project: Project) -> None:
    """B14: its timeout is the worker's; the last one ends the step with StepTimeoutError."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("caught", "slow")
        assert await run.result() == ("StepTimeoutError", "the attempt took longer than 0.02 s")
        assert [one["timed_out"] for one in await of_type(run, "step_failed")] == [True]

    project.scenario(globals(), scenario)
    assert CALLS == [1, 2]
    assert StepTimeoutError.code == "WF711"


def test_a_result_that_does_not_fit(project: Project) -> None:
    """C7: the process that works the job checks it, and does not try again; with validate="warn" it goes on."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("caught", "wrong")
        name, error = await run.result()
        assert name == "StepError"
        assert "cannot be recorded as int" in error
        run = await engine.start_run("loose")
        assert await run.result() == "no number"
        (completed,) = await of_type(run, "step_completed")
        assert "cannot be recorded as int" in completed["warning"]

    project.scenario(globals(), scenario)
    assert CALLS == ["wrong", "wrong"]


@pytest.mark.both_stores
def test_what_a_worker_reports_is_there_to_be_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A6: the last report is kept with the job while it is at work, one of many in a while, one after the other."""
    monkeypatch.setattr("wfgen.job_progress.REPORT", 0.05)
    kept: list[bytes] = []
    stored: list[bytes] = []
    began = time.monotonic()

    async def scenario(engine: Engine) -> None:
        keep = engine.store.report_job

        async def counted(job_id: JobId, epoch: int, progress: bytes) -> None:
            kept.append(progress)
            await asyncio.sleep(0.3 if len(kept) == 1 else 0)  # longer than the while
            await keep(job_id, epoch, progress)
            stored.append(progress)

        monkeypatch.setattr(engine.store, "report_job", counted)
        run = await engine.start_run("one", "reporting")
        while not (jobs := await engine.store.list_jobs(run_id=run.id)) or jobs[0].progress != b'{"done":999}':
            await asyncio.sleep(0.005)
        assert jobs[0].status == "running"
        CALLS.append("go on")
        assert await run.result() == "done"

    project.scenario(globals(), scenario)
    assert len(kept) <= 2 + (time.monotonic() - began) / 0.05
    assert stored == kept


@pytest.mark.both_stores
@pytest.mark.parametrize("ends", ["at once", "later", "with an error"])
def test_a_result_that_is_not_awaited(project: Project, ends: str) -> None:
    """C7: `do` gives a JobRef at once; the run goes on and ends, the job goes its own way."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("alone", ends)
        ref: JobRef | None = None
        if ends == "with an error":
            with pytest.raises(RunFailedError):
                await run.result()
        else:
            ref = await run.result()
        while (job := await job_of(run)).status != "completed":
            await asyncio.sleep(0.005)
        assert (job.awaited, job.output) == (False, b"2")
        assert ref in (None, JobRef(job.job_id, "alone.step"))
        (created,) = await of_type(run, "job_created")
        assert (created["awaited"], created["job_id"]) == (False, job.job_id)
        step = next(one for one in await run.steps() if one.key == "0/step")
        assert step.status == "completed"

    project.scenario(globals(), scenario)
    assert CALLS == [("add", 1, 1)]


@pytest.mark.both_stores
def test_a_job_that_nobody_takes_expires(project: Project) -> None:
    """A6: the step fails with JobExpiredError, which the code may catch, and fails the run otherwise."""

    async def scenario(engine: Engine) -> None:
        engine.jobs._refused.add("unserved")
        run, other = await engine.start_run("caught", "unserved"), await engine.start_run("one", "unserved")
        assert await run.result() == ("JobExpiredError", "no process took it off its queue in time")
        with pytest.raises(RunFailedError, match="no process took it"):
            await other.result()
        assert (await other.info()).error_code == JobExpiredError.code == "WF714"

    project.scenario(globals(), scenario)


def test_a_job_that_somebody_discards(project: Project) -> None:
    """A6: the step fails with JobDiscardedError."""

    async def scenario(engine: Engine) -> None:
        engine.jobs._refused.add("unserved")
        run = await engine.start_run("caught", "unserved")
        while not (jobs := await engine.store.list_jobs()):
            await asyncio.sleep(0.005)
        await engine.store.discard_job(jobs[0].job_id)
        engine.told()
        assert await run.result() == ("JobDiscardedError", "somebody has discarded its job")
        assert JobDiscardedError.code == "WF715"

    project.scenario(globals(), scenario)


def test_as_many_as_there_are_slots(project: Project) -> None:
    """B13: a process takes no more jobs than it begins at once; all get done."""
    project.settings = project.settings.model_copy(update={"job_concurrency": 3})
    seen: list[int] = []

    class Counting(Middleware):
        async def step(self, call: StepCall, proceed: Proceed) -> Any:
            running = await engines[0].store.list_jobs(status=["running"])
            seen.append(len(running))
            return await proceed()

    engines: list[Engine] = []

    async def scenario(engine: Engine) -> int:
        engines.append(engine)
        return int(await (await engine.start_run("many", 12)).result())

    assert project.scenario(globals(), scenario, process=WorkerProcess(middleware=[Counting()])) == 78
    assert len(seen) == 12
    assert max(seen) == 3


class Note(Middleware):
    def __init__(self, name: str) -> None:
        self.name = name

    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        result = await proceed()
        CALLS.append((self.name, call.run.workflow, call.run.tags, call.worker, call.attempt, call.input, call.context))
        return result


def _shop(dependencies: Any, start: RunStart) -> str:
    return f"{dependencies} for {start.input}"


@define_workflow(middleware=[Note("workflow")], context=_shop, tags=["shop"])
async def surrounded(workflow: Workflow, order: str) -> str:
    facts = await workflow.do("told", "told")
    return str(facts[4])


def test_context_and_middleware_are_those_of_an_inline_step(project: Project) -> None:
    """C7: the workflow's context factory is told of the run's input, its middleware stands inside the process's."""

    async def scenario(engine: Engine) -> str:
        return str(await (await engine.start_run("surrounded", "Ada")).result())

    process = WorkerProcess(context=lambda: "a database", middleware=[Note("process")])
    assert project.scenario(globals(), scenario, process=process) == "a database for Ada"
    common = ("surrounded", ("shop",), "told", 1, None, "a database for Ada")
    assert [("workflow", *common), ("process", *common)] == CALLS
