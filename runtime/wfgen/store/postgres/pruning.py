"""Removing runs that have been over for long from a PostgreSQL store, in small pieces.

As in a store file, see `wfgen.store.pruning`. Only rows of runs that are over are locked, and those that somebody else
has locked, for instance to retry them, are left for the next piece: no run that is at work waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from wfgen.store.postgres.listing import pairs
from wfgen.store.postgres.queries import Connection, rows
from wfgen.store.records import FINISHED, PRUNED_EVENTS

_FAMILY = (
    "WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE parent = r.run"
    " UNION ALL SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run)"
)
"""The children of the run `r`, and theirs."""

_CAN_GO = (
    "finished_at IS NOT NULL AND finished_at < %(before)s AND parent IS NULL AND status = ANY(%(wanted)s)"
    f" AND NOT EXISTS ({_FAMILY} SELECT 1 FROM family JOIN runs AS one USING (run) WHERE one.finished_at IS NULL"
    " OR one.finished_at >= %(before)s OR one.status <> ALL(%(wanted)s))"
)
_FROM_OLD = (
    " FROM runs AS r WHERE workflow = %(workflow)s AND version = %(version)s AND status = %(status)s"
    f" AND created_at < %(before)s AND {_CAN_GO}"
)
"""Runs of one version of a workflow that ended in one way: a range of the index `runs_finished`."""

_COUNT = f"SELECT coalesce(sum(1 + ({_FAMILY} SELECT count(*) FROM family)), 0){_FROM_OLD}"
_LOCK = (
    "SELECT run FROM runs WHERE run = ANY(%(runs)s || ARRAY(SELECT run FROM runs WHERE parent = ANY(%(runs)s)))"
    " ORDER BY run FOR UPDATE SKIP LOCKED"
)
"""Runs and their children."""
_OLD = (
    "SELECT run, run_id, tags, created_at, (SELECT max(seq) FROM events WHERE events.run = r.run), ARRAY(SELECT run"
    f" FROM runs AS child WHERE child.parent = r.run) FROM runs AS r WHERE run = ANY(%(runs)s) AND {_CAN_GO}"
    " ORDER BY created_at"
)


async def count_prunable(connection: Connection, before: float, statuses: Collection[str] | None) -> int:
    """How many runs would go, one piece after the other."""
    wanted = _wanted(statuses)
    count = 0
    for workflow, version in await pairs(connection):
        for status in wanted:
            values = {"workflow": workflow, "version": version, "status": status, "before": before, "wanted": wanted}
            ((found,),) = await rows(connection, _COUNT, values)
            count += int(found)
    return count


async def prune(connection: Connection, before: float, statuses: Collection[str] | None, limit: int) -> Sequence[str]:
    """Remove up to `limit` runs, fewer if they are long; gives their ids."""
    gone: list[str] = []
    left = PRUNED_EVENTS
    wanted = _wanted(statuses)
    for workflow, version in await pairs(connection):
        for status in wanted:
            if len(gone) >= limit or left <= 0:
                return gone
            found = await rows(
                connection,
                f"SELECT run{_FROM_OLD} ORDER BY created_at LIMIT %(limit)s",
                {
                    "workflow": workflow,
                    "version": version,
                    "status": status,
                    "before": before,
                    "wanted": wanted,
                    "limit": limit - len(gone),
                },
            )
            candidates = [run for (run,) in found]
            if candidates:
                removed, events = await _remove(connection, candidates, before, wanted, left)
                gone += removed
                left -= events
    return gone


async def _remove(
    connection: Connection, candidates: list[int], before: float, wanted: list[str], left: int
) -> tuple[list[str], int]:
    """Remove those of some runs that can still go now that they are locked; gives their ids, and how many events.

    It stops once `left` events are gone.
    """
    locked = {run for (run,) in await rows(connection, _LOCK, {"runs": candidates})}
    mine = [run for run in candidates if run in locked]
    found = await rows(connection, _OLD, {"runs": mine, "before": before, "wanted": wanted})
    runs: list[int] = []
    gone: list[str] = []
    tagged: list[tuple[str, float, int]] = []
    count = 0
    for run, run_id, tags, created_at, events, children in found:
        if not locked.issuperset(children):
            continue
        runs.append(run)
        gone.append(run_id)
        tagged += [(tag, created_at, run) for tag in json.loads(tags or "[]")]
        count += events or 0
        if count >= left:
            break
    if runs:
        await connection.execute(
            "DELETE FROM tags USING unnest(%s::text[], %s::double precision[], %s::bigint[]) AS gone(tag, at, number)"
            " WHERE tags.tag = gone.tag AND tags.created_at = gone.at AND tags.run = gone.number",
            [list(column) for column in zip(*tagged, strict=True)] or [[], [], []],
        )
        for table in ("events", "hooks", "messages", "jobs"):
            await connection.execute(f"DELETE FROM {table} WHERE run = ANY(%s)".encode(), (runs,))
        await connection.execute("UPDATE runs SET parent = NULL WHERE parent = ANY(%s)", (runs,))  # they go next
        await connection.execute("DELETE FROM runs WHERE run = ANY(%s)", (runs,))
    return gone, count


def _wanted(statuses: Collection[str] | None) -> list[str]:
    return sorted(FINISHED if statuses is None else FINISHED & set(statuses))
