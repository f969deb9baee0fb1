"""Timeouts and retries that the history of a workflow's steps suggests. For people to read: nothing acts on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wfgen.statistics import StepStatistics, WorkflowStatistics

ENOUGH = 20
"""Ended executions of a step from which on its history says something."""
SLACK = 3.0
"""By how much a timeout is above what 99 % of the attempts have taken."""
FAILING = 0.001
"""Share of executions that may fail with all their attempts."""
MOST = 10
"""Attempts that are suggested at most."""
_ROUND = {"s": (1, 2, 5, 10, 15, 30), "m": (1, 2, 5, 10, 15, 30), "h": (1, 2, 5, 10, 15, 24)}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to write at a step, or at its worker."""

    step: str
    option: Literal["timeout", "attempts"]
    value: str
    """As it is written: `30s`, `4`."""
    reason: str


def suggestions(found: WorkflowStatistics) -> list[Suggestion]:
    """What the history of one workflow suggests for its steps, in their order.

    It takes the attempts of a step to fail independently of each other, with the same chance each. What timed out
    counts as what it took until then, so a timeout that is too short does not show.
    """
    made = []
    for step in found.steps.values():
        if step.executions >= ENOUGH:
            made += [one for one in (_timeout(step), _attempts(step)) if one is not None]
    return made


def _timeout(step: StepStatistics) -> Suggestion | None:
    slow = step.durations.percentile(99)
    if slow is None:
        return None
    for unit, numbers in _ROUND.items():
        for number in numbers:
            if number * _SECONDS[unit] >= slow * SLACK:
                return Suggestion(
                    step.name,
                    "timeout",
                    f"{number}{unit}",
                    f"99 % of {step.durations.count} attempts took at most {slow:.3g} s",
                )
    return None


def _attempts(step: StepStatistics) -> Suggestion | None:
    failed = step.retries + step.failed
    tried = step.retries + step.executions
    share = failed / tried
    if failed == 0 or step.completed == 0:
        return None  # it never fails, or nothing says that another attempt would help
    needed = math.ceil(math.log(FAILING) / math.log(share) - 1e-9)
    return Suggestion(
        step.name,
        "attempts",
        str(min(max(needed, 2), MOST)),
        f"{failed} of {tried} attempts failed; so many in a row fail in one of {1 / FAILING:.0f} executions or fewer"
        if needed <= MOST
        else f"{failed} of {tried} attempts failed: look into the cause, more attempts alone help little",
    )
