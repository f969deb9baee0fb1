"""Retry policies at work (A11, A12, D4)."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import NonRetryable, Retry, RetryAfter, RunFailedError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine
from wfgen.errors import DefinitionError, InvalidInputError

if TYPE_CHECKING:
    from conftest import Project

CALLS: list[float] = []


class RateLimitError(Exception):
    """As a client library would raise it, with HTTP's header as a number."""

    retry_after = 0.3


@define_worker("hopeless", retry=Retry(attempts=5, delay="1ms"))
async def hopeless() -> None:
    CALLS.append(time.time())
    raise NonRetryable("no such customer")


@define_worker("patient", retry=Retry(attempts=3, delay="1h"))
async def patient(how: str) -> str:
    CALLS.append(time.time())
    if len(CALLS) == 1:
        raise RateLimitError if how == "number" else RetryAfter("busy", how)
    return "done"


@define_worker("bounded", retry=Retry(attempts=1000, delay="20ms", factor=1, jitter=0, within="300ms"))
async def bounded() -> None:
    CALLS.append(time.time())
    raise ConnectionError("down")


@define_worker("slow", retry=Retry(attempts=3, delay="1ms", within="200ms"), timeout="1h")
async def slow() -> None:
    CALLS.append(time.time())
    await asyncio.sleep(60)


@define_workflow
async def flow(workflow: Workflow, given: tuple[str, str | None]) -> Any:
    name, data = given
    return await (workflow.do("step", name) if data is None else workflow.do("step", name, data))


def result(project: Project, name: str, data: str | None = None) -> Any:
    CALLS.clear()

    async def scenario(engine: Engine) -> Any:
        return await (await engine.start_run("flow", (name, data))).result()

    return project.scenario(globals(), scenario)


def test_an_error_that_is_not_retryable_ends_the_attempts(project: Project) -> None:
    """One call, whatever the policy allows."""
    with pytest.raises(RunFailedError, match="no such customer"):
        result(project, "hopeless")
    assert len(CALLS) == 1


@pytest.mark.parametrize(("how", "least"), [("number", 0.3), ("250ms", 0.25)])
def test_an_error_may_ask_for_its_delay(project: Project, how: str, least: float) -> None:
    """The next attempt comes after the error's `retry_after`, not after the policy's hour."""
    assert result(project, "patient", how) == "done"
    assert CALLS[1] - CALLS[0] >= least


def test_all_attempts_together_have_a_bound(project: Project) -> None:
    """Of a thousand attempts as many begin as fit into the time; then the step fails."""
    with pytest.raises(RunFailedError, match=r"down|all attempts together"):
        result(project, "bounded")
    assert 2 <= len(CALLS) <= 16
    assert CALLS[-1] - CALLS[0] <= 0.31  # an attempt notes its own time a moment after it has begun


def test_an_attempt_at_work_ends_with_the_bound(project: Project) -> None:
    """It times out, although its own timeout is longer, and none follows."""
    with pytest.raises(RunFailedError, match=r"all attempts together took longer than 0\.2 s"):
        result(project, "slow")
    assert len(CALLS) == 1


def test_the_bound_holds_across_processes(project: Project) -> None:
    """A run that is taken over counts from its first attempt."""
    CALLS.clear()

    async def first(engine: Engine) -> str:
        run = await engine.start_run("flow", ("bounded", None))
        while len(CALLS) < 3:
            await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> None:
        with pytest.raises(RunFailedError, match=r"down|all attempts together"):
            await engine.run(run_id).result()

    run_id = project.scenario(globals(), first)
    time.sleep(0.3)
    before = len(CALLS)
    project.scenario(globals(), second)
    assert len(CALLS) - before <= 1


def test_a_delay_that_is_none_leaves_the_policy(project: Project) -> None:
    """Whatever `retry_after` holds that is no duration is passed over."""
    policy = Retry(delay="2s", jitter=0)
    source: Any = type("Even", (), {"uniform": lambda self, low, high: 0.0})()
    for asked in (None, True, "soon", -1, float("nan"), float("inf"), object()):
        error = RuntimeError()
        error.retry_after = asked  # type: ignore[attr-defined]
        assert policy.delay_after(1, error, source) == 2.0
    error.retry_after = timedelta(seconds=5)  # type: ignore[attr-defined]
    assert policy.delay_after(1, error, source) == 5.0


def test_a_bound_that_is_no_duration_is_refused() -> None:
    """When the policy is made, not when it is needed."""
    with pytest.raises((DefinitionError, InvalidInputError)):
        Retry(within="soon")
