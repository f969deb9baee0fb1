"""The policy that travels with a job, and what becomes of jobs that a process cannot or should not work."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from wfgen import Job, NonRetryable, Retry, RunFailedError, SerializationError, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.job_policy import JobPolicy
from wfgen.registry import Registry, WorkerSource
from wfgen.serving import Serving
from wfgen.store.processes import this_process

from .clocks import Limits
from .conftest import Project

CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


class Flaky(ConnectionError):
    """Derives from a built-in error."""


@define_worker("work", dispatch="queue")
async def work(job: Job) -> int:
    CALLS.append(job.attempt)
    return 7


@define_worker("bounded", dispatch="queue", retry=Retry(attempts=100, delay="20ms", jitter=0, within="150ms"))
async def bounded(job: Job) -> int:
    CALLS.append(job.attempt)
    raise Flaky("again")


@define_worker("lasting", dispatch="queue", timeout="30ms", retry=Retry(attempts=2, delay="1ms", overlap=False))
def lasting(job: Job) -> int:
    CALLS.append(("begins", job.attempt))
    while job.attempt == 1 and not job.is_over:
        time.sleep(0.001)
    CALLS.append(("ends", job.attempt))
    return job.attempt


@define_workflow
async def one(workflow: Workflow, worker: str) -> int:
    return int(await workflow.do("step", worker))


def policy(**changes: Any) -> JobPolicy:
    """What is left of a policy once it has travelled."""
    return JobPolicy.load(JobPolicy(Retry(**changes), 2.5, "warn").dump())


def test_a_policy_travels() -> None:
    """D4: attempts, delays, bounds and options are the same afterwards."""
    retry = Retry(attempts=5, delay="2s", factor=3, maximum="1h", jitter=0, within="1d", overlap=False)
    found = JobPolicy.load(JobPolicy(retry, 2.5, "warn").dump())
    assert (found.timeout, found.validate, found.retry.attempts, found.retry.overlap) == (2.5, "warn", 5, False)
    assert [found.retry.delay_after(n, Flaky(), Environment().random) for n in (1, 2, 9)] == [2, 6, 3600]
    assert found.retry.deadline(100.0) == 100.0 + 86400
    assert JobPolicy.load("{}").retry.attempts == 1


@pytest.mark.parametrize(
    ("changes", "error", "goes_on"),
    [
        ({}, Flaky(), True),
        ({"on": (OSError,)}, Flaky(), True),
        ({"on": (Flaky,)}, Flaky(), True),
        ({"on": (Flaky,)}, ConnectionError(), False),
        ({"never": (ConnectionError,)}, Flaky(), False),
        ({}, NonRetryable(), False),
        ({}, SerializationError("no"), False),
        ({}, KeyboardInterrupt(), False),
    ],
)
def test_errors_are_known_by_name(changes: dict[str, Any], error: BaseException, goes_on: bool) -> None:
    """D4: an error is one of a type if its class, or one that this derives from, has that name."""
    assert policy(**changes).retry.retries(error, 1) is goes_on
    assert policy(**changes).retry.retries(error, 3) is False


def test_all_attempts_together_have_a_bound(project: Project) -> None:
    """A12: counted from the start of the first one, whichever process makes the others."""

    async def scenario(engine: Engine) -> None:
        with pytest.raises(RunFailedError, match=r"again|all attempts together took longer"):
            await (await engine.start_run("one", "bounded")).result()

    project.scenario(globals(), scenario)
    assert 1 <= len(CALLS) < 10


def test_the_next_attempt_waits_for_the_thread_of_the_last(project: Project) -> None:
    """A12: with overlap=False, where the same process makes both."""
    limits = Limits()

    async def scenario(engine: Engine) -> int:
        run = await engine.start_run("one", "lasting")
        while not CALLS:
            await asyncio.sleep(0.005)
        await limits.end()
        return int(await run.result())

    assert project.scenario(globals(), scenario, environment=Environment(timeout=limits)) == 2
    assert CALLS == [("begins", 1), ("ends", 1), ("begins", 2), ("ends", 2)]


def registry(**broken: str) -> Registry:
    """The definitions above; `broken` workers have a source that does not load."""
    found = Registry("no_such_package", workers=[WorkerSource(id, module, "f.py") for id, module in broken.items()])
    definitions = globals()[NAMESPACE]
    found.register(*[made for key, made in definitions.items() if key[1] not in broken])
    return found


@pytest.mark.both_stores
def test_a_job_that_brings_its_processes_down_is_given_up(project: Project) -> None:
    """B14: after so many processes in a row have died with it, it fails, and says so."""
    settings = project.settings.model_copy(update={"max_claims": 2})

    async def main() -> None:
        async with open_engine(registry(), settings, serving=Serving(workers=[])) as engine, asyncio.timeout(60):
            run = await engine.start_run("one", "work")
            while not (jobs := await engine.store.list_jobs()):
                await asyncio.sleep(0.005)
            for _ in range(2):
                doomed = this_process(Environment())
                await engine.store.register(doomed, 15)
                while not await engine.store.claim_jobs(doomed.process_id, ["work"], 1):
                    await asyncio.sleep(0.005)
                assert await asyncio.to_thread(engine.store.renew, doomed.process_id, 0.001)
            async with open_engine(registry(), settings, serving=Serving(workflows=[])):
                with pytest.raises(RunFailedError, match="2 processes in a row died"):
                    await run.result()
            job = await engine.store.get_job(jobs[0].job_id)
            assert (job.status, job.error_type) == ("failed", "wfgen.errors.CrashLoopError")

    asyncio.run(main())
    assert CALLS == []


def test_a_worker_that_does_not_load_is_left_to_others(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """B13: its process says so once, and takes no job of that worker."""

    async def main() -> None:
        jobs_alone = Serving(workflows=[])
        async with (
            open_engine(registry(), project.settings, serving=Serving(workers=[])) as engine,
            asyncio.timeout(60),
        ):
            async with open_engine(registry(work="missing"), project.settings, serving=jobs_alone):
                run = await engine.start_run("one", "work")
                while "worker 'work' cannot be loaded" not in caplog.text or not (jobs := await run.jobs()):
                    await asyncio.sleep(0.005)
                assert (jobs[0].status, jobs[0].claims) == ("queued", 0)
            async with open_engine(registry(), project.settings, serving=jobs_alone):
                assert await run.result() == 7
            (job,) = await engine.store.list_jobs()
            assert job.attempt == 1

    asyncio.run(main())
    assert caplog.text.count("worker 'work' cannot be loaded") == 1
    assert CALLS == [1]


def test_an_input_that_the_worker_does_not_take(project: Project) -> None:
    """C7: a job put by a process with another version of the worker fails at once, and says why."""

    async def main() -> None:
        changed = registry()

        @define_worker("changed", dispatch="queue", retry=Retry(attempts=9))
        async def before(n: int) -> int:
            raise AssertionError("it is never called")

        definitions = globals()[NAMESPACE]
        old = definitions.pop(("worker", "changed", ""))

        @define_worker("changed", dispatch="queue")
        async def after() -> int:
            raise AssertionError("it is never called")

        new = definitions.pop(("worker", "changed", ""))

        @define_workflow
        async def asks(workflow: Workflow) -> int:
            return int(await workflow.do("step", "changed", 1))

        flow = definitions.pop(("workflow", "asks", "1"))
        changed.register(old, flow)
        deployed = registry()
        deployed.register(new)
        async with (
            open_engine(changed, project.settings, serving=Serving(workers=[])) as engine,
            open_engine(deployed, project.settings, serving=Serving(workflows=[])),
            asyncio.timeout(60),
        ):
            run = await engine.start_run("asks")
            with pytest.raises(RunFailedError, match="takes no input here"):
                await run.result()
            (job,) = await engine.store.list_jobs()
            assert (job.attempt, json.loads(job.policy)["attempts"]) == (1, 9)

    asyncio.run(main())
