"""Timeouts and retries that statistics suggest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wfgen import Retry
from wfgen.durations import seconds
from wfgen.statistics import WorkflowStatistics
from wfgen.suggestions import ENOUGH, suggestions


def history(completed: int, failed: int, retries: int, times: Sequence[float] = (0.1,)) -> WorkflowStatistics:
    """Of one step `work`, whose attempts took these times by turns."""
    found = WorkflowStatistics("w", "1")
    found.add_steps([("step_retrying", "0/work", None)] * retries)
    for number, type in enumerate(["step_completed"] * completed + ["step_failed"] * failed):
        found.add_steps([(type, f"0/work#{number + 1}", times[number % len(times)])])
    return found


def suggested(found: WorkflowStatistics) -> dict[str, str]:
    return {one.option: one.value for one in suggestions(found)}


@pytest.mark.parametrize(
    ("times", "timeout"),
    [([0.1], "1s"), ([0.1, 3.0], "10s"), ([9.0, 20.0], "1m"), ([1200.0], "1h"), ([8 * 3600.0], "24h")],
)
def test_a_timeout_leaves_room_above_nearly_all_attempts(times: list[float], timeout: str) -> None:
    """B23: three times what 99 % of the attempts took, rounded up to what people write; a duration for `timeout=`."""
    assert suggested(history(100, 0, 0, times)) == {"timeout": timeout}
    assert seconds(timeout) >= 3 * max(times) * 0.99


@pytest.mark.parametrize(
    ("completed", "failed", "retries", "attempts"),
    [(990, 0, 10, "2"), (100, 0, 100, "10"), (90, 0, 10, "3"), (80, 20, 0, "5"), (10, 30, 60, "10")],
)
def test_attempts_by_how_many_fail(completed: int, failed: int, retries: int, attempts: str) -> None:
    """B23: so many that one of a thousand executions fails at most, up to a bound; what `Retry` takes."""
    assert suggested(history(completed, failed, retries))["attempts"] == attempts
    assert Retry(attempts=int(attempts)).attempts == int(attempts)


def test_nothing_is_said_without_reason() -> None:
    """B23: too few executions, steps that never fail, and steps that never succeed suggest no attempts."""
    assert suggested(history(ENOUGH - 1, 0, 5)) == {}
    assert "attempts" not in suggested(history(100, 0, 0))
    assert "attempts" not in suggested(history(0, 100, 0))


def test_a_step_that_mostly_fails_needs_something_else() -> None:
    """B23: the reason says so."""
    (one,) = [one for one in suggestions(history(10, 30, 60)) if one.option == "attempts"]
    assert one.reason == "90 of 100 attempts failed: look into the cause, more attempts alone help little"
