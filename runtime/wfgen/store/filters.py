"""What runs can be looked for by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from wfgen.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from wfgen.store.protocol import RunStatus


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
