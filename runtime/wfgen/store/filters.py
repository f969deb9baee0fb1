"""What runs can be looked for by."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypedDict

from wfgen.errors import InvalidInputError
from wfgen.store.records import FINISHED, RunStatus

Pair = tuple[str, str]
"""Name and version of a workflow."""


class RunFilters(TypedDict, total=False):
    """Filters of a list of runs: those of all that are given apply."""

    workflow: str | None
    """Its name."""
    version: str | None
    status: Collection[RunStatus] | None
    """One of these; none at all finds nothing."""
    tag: str | None
    """One that its workflow has, or that it was started with."""
    since: float | None
    """Started at this time or later, in seconds since the epoch."""
    until: float | None
    """Started before this time, in seconds since the epoch."""
    idempotency_key: str | None
    parent: str | None
    """Id of the run that started it as its child."""
    error_code: str | None
    """Stable code of the error with which it failed."""
    before: str | None
    """Id of the last run of the page before: those after it in the list."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """A question for runs: the filters and how many at most."""

    workflow: str | None = None
    version: str | None = None
    status: Collection[RunStatus] | None = None
    tag: str | None = None
    since: float | None = None
    until: float | None = None
    idempotency_key: str | None = None
    parent: str | None = None
    error_code: str | None = None
    before: str | None = None
    limit: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.status, str):
            raise InvalidInputError(f"status={self.status!r} is no list.", hint=f"Write status=[{self.status!r}].")


@dataclass(frozen=True, slots=True)
class RunPart:
    """The runs of one version of a workflow that are unfinished, or ended in one way, started in a stretch of time."""

    pair: Pair
    status: str | None
    """None: unfinished."""
    since: float
    until: float


def parts(pair: Pair, since: float, until: float) -> Iterator[RunPart]:
    """All runs of a workflow in a stretch of time."""
    yield RunPart(pair, None, since, until)
    for status in sorted(FINISHED):
        yield RunPart(pair, status, since, until)
