"""Removing runs that have been over for long from a store file, in small pieces.

Families go from above, and only when all of one can go: a parent that is still there may be retried or taken back, and
then it has to hear how its children ended.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator

from wfgen.store.records import FINISHED, PRUNED_EVENTS
from wfgen.store.sqlite import tags
from wfgen.store.sqlite.listing import pairs

_FAMILY = (
    "WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE parent = r.run"
    " UNION ALL SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run)"
)
"""The children of the run `r`, and theirs."""

_FROM_OLD = (
    " FROM runs AS r INDEXED BY runs_finished WHERE workflow = ?1 AND version = ?2 AND finished_at IS NOT NULL"
    " AND status = ?3 AND created_at < ?4 AND finished_at < ?4 AND parent IS NULL"
    f" AND NOT EXISTS ({_FAMILY} SELECT 1 FROM family JOIN runs AS one USING (run) WHERE one.finished_at IS NULL"
    " OR one.finished_at >= ?4 OR one.status NOT IN (SELECT value FROM json_each(?5)))"
)
_OLD = (
    "SELECT run, run_id, (SELECT max(seq) FROM events WHERE events.run = r.run)"
    f"{_FROM_OLD} ORDER BY created_at LIMIT ?6"
)
_COUNT = f"SELECT coalesce(sum(1 + ({_FAMILY} SELECT count(*) FROM family)), 0){_FROM_OLD}"


def old_runs(
    connection: sqlite3.Connection, before: float, statuses: Collection[str] | None, limit: int
) -> Iterator[tuple[int, str, int]]:
    """Number, id and count of events of runs that ended before a time and can go now.

    A run stays as long as its parent is there, and as long as one of its children, or of theirs, cannot go.
    """
    wanted = _wanted(statuses)
    for pair in pairs(connection):
        for status in wanted:
            values = (*pair, status, before, json.dumps(wanted), limit)
            for found in connection.execute(_OLD, values).fetchall():
                yield found
                limit -= 1
            if limit <= 0:
                return


def count_prunable(connection: sqlite3.Connection, before: float, statuses: Collection[str] | None) -> int:
    """How many runs would go, one piece after the other."""
    wanted = _wanted(statuses)
    count = 0
    for pair in pairs(connection):
        for status in wanted:
            values = (*pair, status, before, json.dumps(wanted))
            count += connection.execute(_COUNT, values).fetchone()[0]
    return count


def prune(connection: sqlite3.Connection, before: float, statuses: Collection[str] | None, limit: int) -> list[str]:
    """Remove up to `limit` runs, fewer if they are long; gives their ids."""
    gone = []
    left = PRUNED_EVENTS
    for run, run_id, events in old_runs(connection, before, statuses, limit):
        tags.remove(connection, run)
        for table in ("events", "hooks", "messages", "jobs"):
            connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
        connection.execute("UPDATE runs SET parent = NULL WHERE parent = ?", (run,))  # they go next
        connection.execute("DELETE FROM runs WHERE run = ?", (run,))
        gone.append(run_id)
        left -= events or 0
        if left <= 0:
            break
    return gone


def _wanted(statuses: Collection[str] | None) -> list[str]:
    return sorted(FINISHED if statuses is None else FINISHED & set(statuses))
