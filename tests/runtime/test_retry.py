"""Retry policies at work (A11, A12, D4)."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import NonRetryable, Retry, RetryAfter, RunFailedError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine
from wfgen.errors import DefinitionError, InvalidInputError
from wfgen.testing import TestEngine

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

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


@define_worker("bounded", retry=Retry(attempts=1000, delay="20s", factor=1, jitter=0, within="5m"))
async def bounded() -> None:
    CALLS.append(time.time())
    raise ConnectionError("down")


@define_worker("tireless", retry=Retry(attempts=1000, delay="5ms", factor=1, within="1h"))
async def tireless() -> None:
    CALLS.append(time.time())
    raise ConnectionError("down")


@define_worker("slow", retry=Retry(attempts=3, delay="1ms", within="200ms"), timeout="1h")
async def slow() -> None:
    CALLS.append(time.time())
    await asyncio.sleep(60)


@define_worker("choosy", retry=Retry(attempts=4, delay="1ms", on=(ConnectionError, TimeoutError)))
async def choosy(kind: str) -> None:
    CALLS.append(time.time())
    raise (ConnectionResetError if kind == "network" else LookupError)(kind)


@define_workflow(retry=Retry(attempts=2, delay="1ms"))
async def defaults(workflow: Workflow) -> list[int]:
    """How often a step is tried that has a policy of its own, one of its worker, or only the workflow's."""

    def fails() -> None:
        CALLS.append(time.time())
        raise ConnectionError("down")

    found = []
    for target, data, options in (
        (fails, (), {"retry": Retry(attempts=3, delay="1ms")}),
        ("choosy", ("network",), {"retry": Retry(attempts=3, delay="1ms")}),
        ("choosy", ("network",), {}),
        (fails, (), {}),
    ):
        error = await workflow.do("step", target, *data, on_error="continue", **options)  # type: ignore[arg-type]
        found.append(error.attempts)
    return found


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
    """A11, D4: one call, whatever the policy allows."""
    with pytest.raises(RunFailedError, match="no such customer"):
        result(project, "hopeless")
    assert len(CALLS) == 1


@pytest.mark.parametrize(("how", "least"), [("number", 0.3), ("250ms", 0.25)])
def test_an_error_may_ask_for_its_delay(project: Project, how: str, least: float) -> None:
    """A11, D4: the next attempt comes after the error's `retry_after`, not after the policy's hour."""
    assert result(project, "patient", how) == "done"
    assert CALLS[1] - CALLS[0] >= least


def test_all_attempts_together_have_a_bound() -> None:
    """A11, A12, B4: of a thousand attempts as many begin as fit into the time; then the step fails."""
    CALLS.clear()
    with pytest.raises(RunFailedError, match=r"down|all attempts together"):
        TestEngine(flow, bounded).run_scenario(lambda wf: wf.execute("flow", ("bounded", None)))
    assert len(CALLS) == 15, "each 20 s, for less than 5 minutes"


def test_an_attempt_at_work_ends_with_the_bound(project: Project) -> None:
    """A12, B4: it times out, although its own timeout is longer, and none follows."""
    with pytest.raises(RunFailedError, match=r"all attempts together took longer than 0\.2 s"):
        result(project, "slow")
    assert len(CALLS) == 1


def test_the_bound_holds_across_processes(project: Project) -> None:
    """A12, D4: a run that is taken over counts from its first attempt."""
    CALLS.clear()
    clock = AheadClock()

    async def first(engine: Engine) -> str:
        run = await engine.start_run("flow", ("tireless", None))
        while len(CALLS) < 3:
            await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> None:
        clock.go_on(engine, 7200)
        with pytest.raises(RunFailedError, match=r"down|all attempts together"):
            await engine.run(run_id).result()

    run_id = project.scenario(globals(), first, environment=clock.environment)
    before = len(CALLS)
    project.scenario(globals(), second, environment=clock.environment)
    assert len(CALLS) - before <= 1


def test_a_delay_that_is_none_leaves_the_policy(project: Project) -> None:
    """A11, D4: whatever `retry_after` holds that is no duration is passed over."""
    policy = Retry(delay="2s", jitter=0)
    source: Any = type("Even", (), {"uniform": lambda self, low, high: 0.0})()
    for asked in (None, True, "soon", -1, float("nan"), float("inf"), object()):
        error = RuntimeError()
        error.retry_after = asked  # type: ignore[attr-defined]
        assert policy.delay_after(1, error, source) == 2.0
    error.retry_after = timedelta(seconds=5)  # type: ignore[attr-defined]
    assert policy.delay_after(1, error, source) == 5.0


def test_a_bound_that_is_no_duration_is_refused() -> None:
    """A12, D4: when the policy is made, not when it is needed."""
    with pytest.raises((DefinitionError, InvalidInputError)):
        Retry(within="soon")


@pytest.mark.parametrize(("kind", "calls"), [("network", 4), ("logic", 1)])
def test_only_some_errors_are_retried(project: Project, kind: str, calls: int) -> None:
    """A11, D4: `on` names the errors that are, with those derived from them."""
    with pytest.raises(RunFailedError, match=kind):
        result(project, "choosy", kind)
    assert len(CALLS) == calls


def test_delays_grow_up_to_a_maximum() -> None:
    """A11, D4: delay, multiplier and upper bound; jitter spreads a delay to both sides, by its share at most."""
    policy = Retry(attempts=9, delay="1s", factor=3, maximum="20s", jitter=0)
    source = random.Random(0)
    assert [policy.delay_after(n, ValueError(), source) for n in (1, 2, 3, 4, 500)] == [1, 3, 9, 20, 20]
    jittered = [Retry(delay="10s", jitter=0.2).delay_after(1, ValueError(), source) for _ in range(200)]
    assert 8 <= min(jittered) < 9
    assert 11 < max(jittered) <= 12


def test_whose_policy_counts(project: Project) -> None:
    """A11, D4: the step's own, else the worker's, else the workflow's."""

    async def scenario(engine: Engine) -> Any:
        return await (await engine.start_run("defaults")).result()

    assert project.scenario(globals(), scenario) == [3, 3, 4, 2]
