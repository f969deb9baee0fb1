"""What is read from a PostgreSQL store. Each function is one reading on a given connection."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, LiteralString

from psycopg import AsyncClientCursor, AsyncConnection

from wfgen.errors import StoreFormatError
from wfgen.events import Event
from wfgen.store.records import Claimed, Held, HookRecord, Message, ProcessRecord, RunRecord
from wfgen.store.refusals import unknown_run
from wfgen.store.run_sql import FROM_RUNS, HOLDINGS, RUN_COLUMNS, run_record
from wfgen.store.stored_events import event_data

Connection = AsyncConnection[Any]
Values = Sequence[Any] | Mapping[str, Any]

FAMILY = (
    "WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE run_id = ANY(%(families)s)"
    " UNION SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run) SELECT run FROM family"
)
"""Numbers of runs, their children and theirs."""

_RUNS = f"SELECT {RUN_COLUMNS}{FROM_RUNS}"
_NUMBERED = f"SELECT r.run, {RUN_COLUMNS}{FROM_RUNS} WHERE r.run = ANY(%s)"
_REPLAYED = (
    "SELECT r.run, e.seq, e.type, e.time, e.key, e.data, e.payload FROM runs AS r JOIN events AS e"
    " ON e.run = r.run AND e.seq >= r.first_seq WHERE r.run = ANY(%s) ORDER BY r.run, e.seq"
)
_INBOX = (
    "SELECT r.run, m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM messages AS m"
    " JOIN runs AS r ON r.run = m.run WHERE m.run = ANY(%s) ORDER BY m.id"
)
_STARTED_RUNS = f"SELECT {RUN_COLUMNS} FROM runs AS r LEFT JOIN events AS e ON e.run = r.run AND e.seq = 1"
"""With the input of the start, also where a run was continued with another one."""


async def get_run(connection: Connection, run_id: str) -> RunRecord:
    """Raises UnknownRunError."""
    row = await one(connection, f"{_RUNS} WHERE r.run_id = %s", (run_id,))
    if row is None:
        raise unknown_run(run_id)
    return run_record(row)


async def get_by_number(connection: Connection, run: int) -> RunRecord:
    """The run of a number, which must be there."""
    (row,) = await rows(connection, f"{_RUNS} WHERE r.run = %s", (run,))
    return run_record(row)


async def find_by_key(connection: Connection, workflow: str, key: str) -> RunRecord | None:
    """The run of a workflow that has an idempotency key, with the input of its start."""
    row = await one(connection, f"{_STARTED_RUNS} WHERE r.workflow = %s AND r.idempotency_key = %s", (workflow, key))
    return None if row is None else run_record(row)


async def runs_by_number(connection: Connection, runs: Sequence[int]) -> dict[int, RunRecord]:
    """Runs by their numbers; those that are gone are left out."""
    return {row[0]: run_record(row[1:]) for row in await rows(connection, _NUMBERED, (list(runs),))}


async def history(connection: Connection, run_id: str, after: int) -> list[Event]:
    """Events of a run with seq > after. Raises UnknownRunError."""
    row = await one(connection, "SELECT run FROM runs WHERE run_id = %s", (run_id,))
    if row is None:
        raise unknown_run(run_id)
    return await events(connection, row[0], after)


async def events(connection: Connection, run: int, after: int = 0) -> list[Event]:
    """Events of the run of a number, in their order."""
    found = await rows(
        connection,
        "SELECT seq, type, time, key, data, payload FROM events WHERE run = %s AND seq > %s ORDER BY seq",
        (run, after),
    )
    return [
        Event(seq, type, time, key, event_data(data) if data else {}, payload)
        for seq, type, time, key, data, payload in found
    ]


async def taken_up(connection: Connection, runs: Sequence[int], with_messages: Sequence[int]) -> list[Claimed]:
    """What is needed to work runs: their records, the events that are replayed and their inboxes. All is asked at once
    where the connection is in pipeline mode.

    Args:
        connection: in a transaction.
        runs: their numbers; they must be there.
        with_messages: those of them that have any.
    """
    if not runs:
        return []
    statements = [(_NUMBERED, runs), (_REPLAYED, runs), *([(_INBOX, with_messages)] if with_messages else [])]
    asked = [await connection.execute(one.encode(), (list(numbers),)) for one, numbers in statements]
    records, recorded, *inboxes = [await cursor.fetchall() for cursor in asked]
    record_of = {row[0]: run_record(row[1:]) for row in records}
    events, damaged = _events_by_run(recorded)
    messages: dict[int, list[Message]] = {}
    for run, *message in chain.from_iterable(inboxes):
        messages.setdefault(run, []).append(Message(*message))
    return [Claimed(record_of[run], events.get(run, []), messages.get(run, []), damaged.get(run)) for run in runs]


def _events_by_run(
    recorded: Sequence[tuple[Any, ...]],
) -> tuple[dict[int, list[Event]], dict[int, StoreFormatError]]:
    found: dict[int, list[Event]] = {}
    damaged: dict[int, StoreFormatError] = {}
    for run, seq, type, time, key, data, payload in recorded:
        try:
            known = event_data(data) if data else {}
        except ValueError as error:
            damaged.setdefault(run, StoreFormatError(f"event {seq} of it is damaged: {error}."))
            known = {}
        found.setdefault(run, []).append(Event(seq, type, time, key, known, payload))
    return found, damaged


async def finished(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of some runs that are finished, or not there any more."""
    going_on = "SELECT run_id FROM runs WHERE run_id = ANY(%s) AND coalesce(finished_at, 0) = 0"
    return set(run_ids) - {run_id for (run_id,) in await rows(connection, going_on, (list(run_ids),))}


async def epochs(connection: Connection, run_ids: Collection[str]) -> dict[str, int]:
    """The epochs of runs, by id."""
    return dict(await rows(connection, "SELECT run_id, epoch FROM runs WHERE run_id = ANY(%s)", (list(run_ids),)))


async def free_relatives(
    connection: Connection, families: Collection[str], workflows: Collection[tuple[str, str]]
) -> list[int]:
    """Those of these runs, their children and theirs that nobody holds, by number; the longest overdue first."""
    found = await rows(
        connection,
        f"SELECT runs.run, runs.workflow, runs.version FROM ({FAMILY}) AS family JOIN runs USING (run)"
        " WHERE runs.owner IS NULL AND runs.finished_at IS NULL ORDER BY runs.wake_at, runs.run",
        {"families": list(families)},
    )
    known = set(workflows)
    return [run for run, *pair in found if tuple(pair) in known]


def next_wake(
    workflows: Collection[tuple[str, str]], families: Collection[str] | None = None
) -> tuple[str, dict[str, Any]]:
    """A statement that gives when the next run of these (name, version) pairs that nobody holds is due, null if none
    is, and its values."""
    values: dict[str, Any] = {
        "workflows": [workflow for workflow, _ in workflows],
        "versions": [version for _, version in workflows],
    }
    if families is not None:
        values["families"] = list(families)
        return (
            f"SELECT min(runs.wake_at) FROM ({FAMILY}) AS family JOIN runs USING (run) WHERE runs.owner IS NULL"
            " AND runs.finished_at IS NULL AND (runs.workflow, runs.version) IN"
            " (SELECT * FROM unnest(%(workflows)s::text[], %(versions)s::text[]))",
            values,
        )
    return (
        "SELECT min(next.wake_at) FROM unnest(%(workflows)s::text[], %(versions)s::text[]) AS pair(workflow, version),"
        " LATERAL (SELECT wake_at FROM runs WHERE owner IS NULL AND finished_at IS NULL"
        " AND runs.workflow = pair.workflow AND runs.version = pair.version ORDER BY wake_at LIMIT 1) AS next",
        values,
    )


async def earliest(connection: Connection, statement: str, values: Values) -> float:
    """The time that a statement gives; infinite for none."""
    row = await one(connection, statement, values)
    return math.inf if row is None or row[0] is None else float(row[0])


async def hooks(connection: Connection, run_id: str | None, state: str | None, limit: int) -> list[HookRecord]:
    """Hooks, oldest first; of any state when `state` is None."""
    conditions: list[LiteralString] = []
    values: list[Any] = []
    if run_id is not None:
        conditions.append("r.run_id = %s")
        values.append(run_id)
    if state is not None:
        conditions.append("h.state = %s")
        values.append(state)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = await planned(
        connection,
        "SELECT h.token, r.run_id, r.workflow, h.key, h.name, h.due, h.state, h.created_at"
        f" FROM hooks AS h JOIN runs AS r ON r.run = h.run{where} ORDER BY h.hook LIMIT %s",
        (*values, limit),
    )
    return [HookRecord(*row) for row in found]


async def processes(connection: Connection) -> list[tuple[ProcessRecord, float]]:
    """Known processes with the time at which each one's lease ends, in seconds since the epoch."""
    found = await rows(
        connection,
        "SELECT process_id, host, pid, pid_started, started_at, boot, serves, wfgen, heartbeat_at, lease_until"
        " FROM processes ORDER BY started_at, process_id",
    )
    return [(ProcessRecord(*row[:-1]), row[-1]) for row in found]


async def holdings(connection: Connection) -> dict[str, Held]:
    """What each process holds."""
    return {owner: Held(*map(int, held)) for owner, *held in await rows(connection, HOLDINGS)}


async def rows(connection: Connection, statement: str, values: Values = ()) -> list[tuple[Any, ...]]:
    """All rows that a statement gives."""
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall()


async def planned(connection: Connection, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows that a statement gives which is planned for these values: for one that has a good plan for each, and
    none for all."""
    cursor = await AsyncClientCursor(connection).execute(statement.encode(), values)
    return await cursor.fetchall()


async def one(connection: Connection, statement: str, values: Values = ()) -> tuple[Any, ...] | None:
    """The first row that a statement gives, None if there is none."""
    cursor = await connection.execute(statement.encode(), values)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    return row
