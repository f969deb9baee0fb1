"""Statistics read from a store file, in slices that leave room for other readings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from wfgen.statistics import WorkflowStatistics
from wfgen.store.filters import RunPart

SLICE = 200
"""Runs whose events are read in one go."""

_STEPS = (
    "SELECT type, key, time - json_extract(data, '$.started_at') FROM events"
    " WHERE run = ? AND type IN ('step_completed', 'step_failed', 'step_retrying')"
    " AND json_extract(data, '$.after_cancel') IS NULL ORDER BY seq"
)


def count_runs(connection: sqlite3.Connection, found: WorkflowStatistics, part: RunPart) -> None:
    """Add runs by status, with how long they took; of finished ones from the index alone."""
    rows = connection.execute(f"SELECT status, finished_at - created_at {source(part)}", values(part))
    for status, seconds in rows:
        found.add_run(status, seconds)


def next_runs(connection: sqlite3.Connection, part: RunPart, after: tuple[float, int]) -> Sequence[tuple[float, int]]:
    """Starts and numbers of the next runs, oldest first."""
    return connection.execute(
        f"SELECT created_at, run {source(part)} AND (created_at, run) > (?6, ?7) ORDER BY created_at, run LIMIT ?8",
        (*values(part), *after, SLICE),
    ).fetchall()


def count_steps(connection: sqlite3.Connection, found: WorkflowStatistics, runs: Sequence[tuple[float, int]]) -> None:
    """Add the steps of some runs."""
    for _, run in runs:
        found.add_steps(connection.execute(_STEPS, (run,)))


def source(part: RunPart) -> str:
    """The tail of a statement that reads the runs of a part."""
    index, where = (
        ("runs_unfinished", "finished_at IS NULL")
        if part.status is None
        else ("runs_finished", "finished_at IS NOT NULL AND status = ?3")
    )
    return (
        f"FROM runs INDEXED BY {index} WHERE workflow = ?1 AND version = ?2 AND {where}"
        " AND created_at >= ?4 AND created_at < ?5"
    )


def values(part: RunPart) -> tuple[str | float | None, ...]:
    """Of the statement."""
    return (*part.pair, part.status, part.since, part.until)
