"""Statistics read from a store file, in slices that leave room for other readings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wfgen.statistics import WorkflowStatistics
from wfgen.store.listing import Pair
from wfgen.store.protocol import FINISHED

SLICE = 200
"""Runs whose events are read in one go."""

_STEPS = (
    "SELECT type, key, time - json_extract(data, '$.started_at') FROM events"
    " WHERE run = ? AND type IN ('step_completed', 'step_failed', 'step_retrying')"
    " AND json_extract(data, '$.after_cancel') IS NULL ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Part:
    """The runs of one version of a workflow that are unfinished, or ended in one way, started in a stretch of time."""

    pair: Pair
    status: str | None
    """None: unfinished."""
    since: float
    until: float

    @property
    def source(self) -> str:
        """The tail of a statement that reads them."""
        index, where = (
            ("runs_unfinished", "finished_at IS NULL")
            if self.status is None
            else ("runs_finished", "finished_at IS NOT NULL AND status = ?3")
        )
        return (
            f"FROM runs INDEXED BY {index} WHERE workflow = ?1 AND version = ?2 AND {where}"
            " AND created_at >= ?4 AND created_at < ?5"
        )

    @property
    def values(self) -> tuple[str | float | None, ...]:
        """Of the statement."""
        return (*self.pair, self.status, self.since, self.until)


def parts(pair: Pair, since: float, until: float) -> Iterator[Part]:
    """All runs of a workflow in a stretch of time."""
    yield Part(pair, None, since, until)
    for status in sorted(FINISHED):
        yield Part(pair, status, since, until)


def count_runs(connection: sqlite3.Connection, found: WorkflowStatistics, part: Part) -> None:
    """Add runs by status, with how long they took; of finished ones from the index alone."""
    rows = connection.execute(f"SELECT status, finished_at - created_at {part.source}", part.values)
    for status, seconds in rows:
        found.add_run(status, seconds)


def next_runs(connection: sqlite3.Connection, part: Part, after: tuple[float, int]) -> Sequence[tuple[float, int]]:
    """Starts and numbers of the next runs, oldest first."""
    return connection.execute(
        f"SELECT created_at, run {part.source} AND (created_at, run) > (?6, ?7) ORDER BY created_at, run LIMIT ?8",
        (*part.values, *after, SLICE),
    ).fetchall()


def count_steps(connection: sqlite3.Connection, found: WorkflowStatistics, runs: Sequence[tuple[float, int]]) -> None:
    """Add the steps of some runs."""
    for _, run in runs:
        found.add_steps(connection.execute(_STEPS, (run,)))
