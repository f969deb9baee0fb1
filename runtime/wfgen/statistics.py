"""How runs and steps have gone over a stretch of time: how many, how many of them well, how long they took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

ACCURACY = 0.01
"""Relative error of a percentile at most."""

GROWTH = math.log((1 + ACCURACY) / (1 - ACCURACY))
"""Logarithm of the factor between the bounds of a class of durations."""

SHORTEST = 1e-6
"""Seconds that are told from less."""


class Durations:
    """How long things took, in seconds, in space that does not grow with their number.

    Values are counted in classes whose bounds grow by 2 %, so that a percentile is right to within 1 %.
    """

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.add_class(_class(seconds), 1, seconds)

    def add_class(self, number: int, count: int, longest: float) -> None:
        """Count several of one class; its number is `ceil(ln(max(seconds, SHORTEST)) / GROWTH)`."""
        self.count += count
        self.longest = max(self.longest, longest)
        self._classes[number] += count

    def percentile(self, percent: float) -> float | None:
        """What so many percent did not exceed, in seconds; None if nothing was counted."""
        left = max(1, math.ceil(self.count * percent / 100))
        for number in sorted(self._classes):
            left -= self._classes[number]
            if left <= 0:
                return min(_middle(number), self.longest)
        return None


def _class(seconds: float) -> int:
    return math.ceil(math.log(max(seconds, SHORTEST)) / GROWTH)


def _middle(number: int) -> float:
    """The value that is off by the same factor from both bounds of a class."""
    return 2 * math.exp(number * GROWTH) / (math.exp(GROWTH) + 1)


@dataclass(slots=True)
class StepStatistics:
    """The executions of one step of a workflow."""

    name: str
    """Without its branch and occurrence; `undo/charge`, `before/check` and `after/tell` for those around the code."""
    completed: int = 0
    failed: int = 0
    """For good, their last attempt included."""
    retries: int = 0
    """Attempts that failed and were followed, or are to be, by another one."""
    durations: Durations = field(default_factory=Durations)
    """Of the last attempts of those that have ended."""

    @property
    def executions(self) -> int:
        """Those that have ended."""
        return self.completed + self.failed

    @property
    def success_rate(self) -> float | None:
        """Share of those that have ended well, 0 to 1; None if none has ended."""
        return self.completed / self.executions if self.executions else None


@dataclass(slots=True)
class WorkflowStatistics:
    """The runs of one version of a workflow that were started in a stretch of time."""

    workflow: str
    version: str
    statuses: Counter[str] = field(default_factory=Counter)
    """How many runs have each status."""
    durations: Durations = field(default_factory=Durations)
    """From start to end, of the runs that have completed."""
    steps: dict[str, StepStatistics] = field(default_factory=dict)
    """By name, in the order in which they first ended."""

    @property
    def runs(self) -> int:
        """All of them."""
        return sum(self.statuses.values())

    @property
    def success_rate(self) -> float | None:
        """Share of completed runs among those that have completed or failed, 0 to 1; None if none has."""
        ended = self.statuses["completed"] + self.statuses["failed"]
        return self.statuses["completed"] / ended if ended else None

    def add_run(self, status: str, seconds: float | None) -> None:
        """Count a run; `seconds` from its start to its end."""
        self.statuses[status] += 1
        if status == "completed" and seconds is not None:
            self.durations.add(max(0.0, seconds))

    def add_steps(self, events: Iterable[tuple[str, str, float | None]]) -> None:
        """Count events of steps: type, key, and seconds of the attempt."""
        for type, key, seconds in events:
            step = self.add_events(type, key, 1)
            if seconds is not None and type != "step_retrying":
                step.durations.add(max(0.0, seconds))

    def add_events(self, type: str, key: str, count: int) -> StepStatistics:
        """Count some events of one step, without their durations; gives that step."""
        name = _name(key)
        step = self.steps.get(name)
        if step is None:
            step = self.steps[name] = StepStatistics(name)
        if type == "step_retrying":
            step.retries += count
        elif type == "step_completed":
            step.completed += count
        else:
            step.failed += count
        return step


def _name(key: str) -> str:
    branch, _, name = key.partition("/")
    base, mark, number = name.rpartition("#")
    if mark and number.isdigit():
        name = base
    return name if branch[:1].isdigit() else f"{branch}/{name}"
