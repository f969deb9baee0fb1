"""What a change means for runs and clients, from harmless to worst, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from wfgen.manifest import Span

Verdict = Literal["unchanged", "safe", "safe-with-warning", "breaks-clients", "needs-version", "breaks-runs"]
"""`unchanged`; `safe`: every recorded run goes on; `safe-with-warning`: it does, with another input to a recorded step;
`breaks-clients`: runs go on, callers do not; `needs-version`: some recorded run is not reproduced, unless the change
comes as a new version or behind `workflow.patched(…)`; `breaks-runs`: neither helps."""

VERDICTS: tuple[Verdict, ...] = (
    "unchanged",
    "safe",
    "safe-with-warning",
    "breaks-clients",
    "needs-version",
    "breaks-runs",
)


class Placed(Protocol):
    """Something that stands in a source file."""

    @property
    def line(self) -> int: ...
    @property
    def file(self) -> str | None:
        """None: the workflow's."""
        ...

    @property
    def span(self) -> Span: ...


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that has changed."""

    verdict: Verdict
    message: str
    """Without a full stop."""
    old: Placed | None = None
    """What stood there."""
    new: Placed | None = None
    """What stands there today."""
    plain: bool = False
    """Whether it is one inserted operation and nothing else."""


def worst(reasons: Iterable[Reason]) -> Verdict:
    """The verdict of several reasons together."""
    found = {reason.verdict for reason in reasons}
    for verdict in reversed(VERDICTS):
        if verdict in found:
            return verdict
    return "unchanged"
