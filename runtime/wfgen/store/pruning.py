"""Removing runs that have been over for long from a store file, in small pieces."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from wfgen.store import tags
from wfgen.store.listing import pairs
from wfgen.store.protocol import FINISHED

EVENTS = 5000
"""Events after which a piece is large enough: a commit of more would keep others waiting."""

_OLD = (
    "SELECT run, run_id, (SELECT max(seq) FROM events WHERE events.run = r.run) FROM runs AS r"
    " INDEXED BY runs_finished WHERE workflow = ? AND version = ? AND finished_at IS NOT NULL AND status = ?"
    " AND created_at < ? AND finished_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM runs AS child WHERE child.parent = r.run)"
    " AND NOT EXISTS (SELECT 1 FROM runs AS up WHERE up.run = r.parent AND up.finished_at IS NULL)"
    " ORDER BY created_at LIMIT ?"
)
_COUNT = (
    "SELECT count(*) FROM runs AS r INDEXED BY runs_finished"
    " WHERE workflow = ? AND version = ? AND finished_at IS NOT NULL AND status = ?"
    " AND created_at < ? AND finished_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM runs AS child WHERE child.parent = r.run AND {young})"
    " AND NOT EXISTS (SELECT 1 FROM runs AS up WHERE up.run = r.parent AND up.finished_at IS NULL)"
)


def old_runs(
    connection: sqlite3.Connection, before: float, statuses: Collection[str] | None, limit: int
) -> Iterator[tuple[int, str, int]]:
    """Number, id and count of events of runs that ended before a time and can go now.

    A run stays as long as it has children, and as long as its parent is unfinished: so families go from below.
    """
    wanted = FINISHED if statuses is None else FINISHED & set(statuses)
    for pair in pairs(connection):
        for status in sorted(wanted):
            for found in connection.execute(_OLD, (*pair, status, before, before, limit)).fetchall():
                yield found
                limit -= 1
            if limit <= 0:
                return


def count_prunable(connection: sqlite3.Connection, before: float, statuses: Collection[str] | None) -> int:
    """How many runs would go; a parent counts if its children can go as well."""
    wanted = FINISHED if statuses is None else FINISHED & set(statuses)
    marks = ", ".join("?" * len(wanted))
    young = f"(child.finished_at IS NULL OR child.finished_at >= ? OR child.status NOT IN ({marks}))"
    count = 0
    for pair in pairs(connection):
        for status in sorted(wanted):
            count += connection.execute(
                _COUNT.format(young=young), (*pair, status, before, before, before, *sorted(wanted))
            ).fetchone()[0]
    return count


def prune(connection: sqlite3.Connection, before: float, statuses: Collection[str] | None, limit: int) -> list[str]:
    """Remove up to `limit` runs, fewer if they are long; gives their ids."""
    gone = []
    left = EVENTS
    for run, run_id, events in old_runs(connection, before, statuses, limit):
        tags.remove(connection, run)
        for table in ("events", "hooks", "messages"):
            connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
        connection.execute("DELETE FROM runs WHERE run = ?", (run,))
        gone.append(run_id)
        left -= events or 0
        if left <= 0:
            break
    return gone
