"""What is read from a PostgreSQL store. Each function is one reading on a given connection."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection

from wfgen.errors import StoreFormatError
from wfgen.events import Event
from wfgen.store.protocol import Held, HookRecord, Message, ProcessRecord, RunRecord
from wfgen.store.queries import FROM_RUNS, HOLDINGS, RUN_COLUMNS, event_data, run_record
from wfgen.store.refusals import unknown_run

Connection = AsyncConnection[Any]
Values = Sequence[Any] | Mapping[str, Any]

_RUNS = f"SELECT {RUN_COLUMNS}{FROM_RUNS}"
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
    found = await rows(connection, f"SELECT r.run, {RUN_COLUMNS}{FROM_RUNS} WHERE r.run = ANY(%s)", (list(runs),))
    return {row[0]: run_record(row[1:]) for row in found}


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


async def replayed_events_of(
    connection: Connection, runs: Sequence[int]
) -> tuple[dict[int, list[Event]], dict[int, StoreFormatError]]:
    """Events of each of several runs, from its last start on, and what is wrong with those that are damaged."""
    found: dict[int, list[Event]] = {run: [] for run in runs}
    damaged: dict[int, StoreFormatError] = {}
    for run, seq, type, time, key, data, payload in await rows(
        connection,
        "SELECT r.run, e.seq, e.type, e.time, e.key, e.data, e.payload FROM runs AS r JOIN events AS e"
        " ON e.run = r.run AND e.seq >= r.first_seq WHERE r.run = ANY(%s) ORDER BY r.run, e.seq",
        (list(runs),),
    ):
        try:
            known = event_data(data) if data else {}
        except ValueError as error:
            damaged.setdefault(run, StoreFormatError(f"event {seq} of it is damaged: {error}."))
            known = {}
        found[run].append(Event(seq, type, time, key, known, payload))
    return found, damaged


async def finished(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of some runs that are finished, or not there any more."""
    going_on = "SELECT run_id FROM runs WHERE run_id = ANY(%s) AND finished_at IS NULL"
    return set(run_ids) - {run_id for (run_id,) in await rows(connection, going_on, (list(run_ids),))}


async def epochs(connection: Connection, run_ids: Collection[str]) -> dict[str, int]:
    """The epochs of runs, by id."""
    return dict(await rows(connection, "SELECT run_id, epoch FROM runs WHERE run_id = ANY(%s)", (list(run_ids),)))


async def messages_of_runs(connection: Connection, runs: Sequence[int]) -> dict[int, list[Message]]:
    """The inboxes of those runs that have one, oldest first."""
    found: dict[int, list[Message]] = {}
    for run, *message in await rows(
        connection,
        "SELECT r.run, m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM messages AS m"
        " JOIN runs AS r ON r.run = m.run WHERE m.run = ANY(%s) ORDER BY m.id",
        (list(runs),),
    ):
        found.setdefault(run, []).append(Message(*message))
    return found


async def free_relatives(
    connection: Connection, families: Collection[str], workflows: Collection[tuple[str, str]]
) -> list[tuple[float, int]]:
    """When each of these runs, their children and theirs that nobody holds is due, with its number; soonest first."""
    found = await rows(
        connection,
        "WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE run_id = ANY(%s)"
        " UNION SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run)"
        " SELECT runs.wake_at, runs.run, runs.workflow, runs.version FROM family JOIN runs USING (run)"
        " WHERE runs.owner IS NULL AND runs.finished_at IS NULL",
        (list(families),),
    )
    known = set(workflows)
    return sorted((wake_at, run) for wake_at, run, *pair in found if tuple(pair) in known)


async def next_wake(
    connection: Connection, workflows: Collection[tuple[str, str]], families: Collection[str] | None = None
) -> float:
    """When the next run of these (name, version) pairs that nobody holds is due; infinite if none is."""
    if families is not None:
        return next((wake_at for wake_at, _ in await free_relatives(connection, families, workflows)), math.inf)
    row = await one(
        connection,
        "SELECT min(next.wake_at) FROM unnest(%s::text[], %s::text[]) AS pair(workflow, version), LATERAL"
        " (SELECT wake_at FROM runs WHERE owner IS NULL AND finished_at IS NULL AND runs.workflow = pair.workflow"
        " AND runs.version = pair.version ORDER BY wake_at LIMIT 1) AS next",
        ([workflow for workflow, _ in workflows], [version for _, version in workflows]),
    )
    assert row is not None
    return math.inf if row[0] is None else float(row[0])


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
    found = await rows(
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


async def one(connection: Connection, statement: str, values: Values = ()) -> tuple[Any, ...] | None:
    """The first row that a statement gives, None if there is none."""
    cursor = await connection.execute(statement.encode(), values)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    return row
