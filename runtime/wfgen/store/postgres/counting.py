"""Statistics read from a PostgreSQL store: counted there, in slices, so that no statement takes long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wfgen.statistics import GROWTH, SHORTEST, WorkflowStatistics
from wfgen.store.filters import RunPart, parts
from wfgen.store.postgres.listing import pairs
from wfgen.store.postgres.queries import Connection, rows

SLICE = 1000
"""Runs whose events are read by one statement."""

_STARTED = """'"started_at": ?([0-9.eE+-]+)'"""
"""Takes a number from JSON text as it stands, since PostgreSQL's JSON refuses texts with `\\u0000`. Within a string
every quote has a backslash before it, so that this finds a name alone."""

_CLASS = (
    f"CASE WHEN seconds IS NOT NULL THEN ceil(ln(greatest(seconds, {SHORTEST})) / {GROWTH})::integer END AS class,"
    " count(*), greatest(max(seconds), 0)"
)

_STEPS = (
    f"SELECT type, key, {_CLASS} FROM (SELECT place, seq, type, key, CASE WHEN type <> 'step_retrying'"
    f" THEN time - substring(data from {_STARTED})::double precision END AS seconds"
    " FROM unnest(%s::bigint[]) WITH ORDINALITY AS one(run, place) JOIN events USING (run)"
    " WHERE type IN ('step_completed', 'step_failed', 'step_retrying')"
    " AND coalesce(strpos(data, '\"after_cancel\":'), 0) = 0) AS step"
    " GROUP BY type, key, class ORDER BY min(ARRAY[place, seq])"
)


async def statistics(
    connection: Connection, workflow: str | None, version: str | None, since: float | None, until: float | None
) -> list[WorkflowStatistics]:
    """How the runs went that were started in a stretch of time, in seconds since the epoch."""
    begin, end = 0.0 if since is None else since, math.inf if until is None else until
    found = []
    for pair in await pairs(connection, workflow, version):
        one = WorkflowStatistics(*pair)
        for part in parts(pair, begin, end):
            await _count_runs(connection, one, part)
            last = (-math.inf, 0)
            while runs := await _next_runs(connection, part, last):
                await _count_steps(connection, one, [run for _, run in runs])
                last = runs[-1]
        if one.runs:
            found.append(one)
    return found


async def _count_runs(connection: Connection, found: WorkflowStatistics, part: RunPart) -> None:
    for status, number, count, longest in await rows(
        connection,
        f"SELECT status, {_CLASS} FROM (SELECT status, CASE WHEN status = 'completed'"
        f" THEN finished_at - created_at END AS seconds {_source(part)}) AS one GROUP BY status, class",
        _values(part),
    ):
        found.statuses[status] += count
        if number is not None:
            found.durations.add_class(number, count, longest)


async def _next_runs(connection: Connection, part: RunPart, after: tuple[float, int]) -> Sequence[tuple[float, int]]:
    """Starts and numbers of the next runs, oldest first."""
    found = await rows(
        connection,
        f"SELECT created_at, run {_source(part)} AND (created_at, run) > (%s::double precision, %s::bigint)"
        " ORDER BY created_at, run LIMIT %s",
        (*_values(part), *after, SLICE),
    )
    return [(time, run) for time, run in found]


async def _count_steps(connection: Connection, found: WorkflowStatistics, runs: list[int]) -> None:
    for type, key, number, count, longest in await rows(connection, _STEPS, (runs,)):
        step = found.add_events(type, key, count)
        if number is not None:
            step.durations.add_class(number, count, longest)


def _source(part: RunPart) -> str:
    """The tail of a statement that reads the runs of a part."""
    state = "finished_at IS NULL" if part.status is None else "finished_at IS NOT NULL AND status = %s"
    return f"FROM runs WHERE workflow = %s AND version = %s AND {state} AND created_at >= %s AND created_at < %s"


def _values(part: RunPart) -> tuple[str | float, ...]:
    """Of that statement."""
    state = () if part.status is None else (part.status,)
    return (*part.pair, *state, part.since, part.until)
