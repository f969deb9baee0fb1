"""Steps on queues in a test engine: mocks, time, failures and crashes work as for steps in the run's process."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from wfgen import (
    Job,
    JobExpiredError,
    Retry,
    RunFailedError,
    StepTimeoutError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.testing import TestEngine

CALLS: list[int] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@define_worker("charge", dispatch="queue", retry=Retry(attempts=3, delay="1m"), timeout="1h", expires="1d")
async def charge(amount: int, job: Job) -> int:
    CALLS.append(job.attempt)
    return amount * 2


@define_workflow
async def pay(workflow: Workflow, amount: int) -> int:
    await workflow.sleep("a while", "1h")
    return int(await workflow.do("charge", "charge", amount))


@define_workflow
async def twice(workflow: Workflow) -> list[int]:
    first = await workflow.do("first", "charge", 1)
    answer = await workflow.hook("answer", int)
    return [first, answer, await workflow.do("second", "charge", 2)]


@define_workflow
async def alone(workflow: Workflow) -> str:
    return (await workflow.do("charge", "charge", 1, await_result=False)).queue


@pytest.fixture(params=["needed", "always"])
def wf(request: pytest.FixtureRequest) -> Any:
    return TestEngine(sys.modules[__name__], replay=request.param)


def test_a_mock_works_the_job(wf: Any) -> None:
    """C7: it is called with the input and a Job, and its calls are there to look at."""

    async def scenario(wf: Any) -> None:
        mock = wf.mock("charge", returns=7)
        assert await wf.execute("pay", 3) == 7
        mock.assert_called_once_with(3)
        assert mock.calls[0].job.step == "charge"

    wf.run_scenario(scenario)


def test_time_passes_between_attempts(wf: Any) -> None:
    """C7: a delay before the next attempt takes no time, and the clock has gone on by it."""

    async def scenario(wf: Any) -> None:
        wf.mock("charge", outcomes=[ValueError("no"), ValueError("no"), 5])
        before = wf.clock.now
        assert await wf.execute("pay", 3) == 5
        passed = (wf.clock.now - before).total_seconds()
        assert 3600 + 0.9 * 180 <= passed <= 3600 + 1.1 * 180

    wf.run_scenario(scenario)


def test_a_slow_job_times_out(wf: Any) -> None:
    """C7: by the test's clock."""

    async def scenario(wf: Any) -> None:
        wf.mock("charge", returns=1, takes="2h")
        with pytest.raises(RunFailedError) as raised:
            await wf.execute("pay", 3)
        assert raised.value.error_code == StepTimeoutError.code

    wf.run_scenario(scenario)


def test_failures_and_crashes_at_a_job(wf: Any) -> None:
    """C7: an attempt that a test lets fail is followed by the next one; a process that dies is, too."""

    async def scenario(wf: Any) -> None:
        wf.fail("charge", ValueError("arranged"))
        wf.crash_during("first")
        wf.crash_after("second")
        assert await wf.execute("pay", 3) == 6
        run = await wf.start("twice")
        wf.answer("answer", 5)
        assert await run.result() == [2, 5, 4]

    wf.run_scenario(scenario)
    assert CALLS == [2, 1, 2, 1], "the attempt of a process that died counts"


def test_a_restart_takes_jobs_up(wf: Any) -> None:
    """C7: also one whose next attempt is still to come."""

    async def scenario(wf: Any) -> None:
        wf.fail("charge", ValueError("arranged"))
        run = await wf.start("pay", 3)
        await wf.clock.advance("61m")
        await wf.restart()
        assert await run.result() == 6

    wf.run_scenario(scenario)
    assert CALLS == [2]


def test_a_job_that_no_process_takes(wf: Any) -> None:
    """A6: it expires by the test's clock."""

    async def scenario(wf: Any) -> None:
        wf._opened().engine.jobs._refused.add("charge")
        with pytest.raises(RunFailedError) as raised:
            await wf.execute("pay", 3)
        assert raised.value.error_code == JobExpiredError.code

    TestEngine(sys.modules[__name__]).run_scenario(scenario)


def test_what_is_not_awaited_is_worked_all_the_same(wf: Any) -> None:
    """C7: the test ends once it is still."""

    async def scenario(wf: Any) -> None:
        assert await wf.execute("alone") == "alone.charge"
        await wf.until_still()
        assert CALLS == [1]

    wf.run_scenario(scenario)
