"""What is read from a store file. Each function is one reading on a given connection."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from wfgen.errors import StoreFormatError
from wfgen.events import Event
from wfgen.store.records import Held, HookRecord, Message, ProcessRecord, RunRecord
from wfgen.store.refusals import unknown_run
from wfgen.store.run_sql import FROM_RUNS, HOLDINGS, RUN_COLUMNS, run_record
from wfgen.store.stored_events import event_data

_RUNS = f"SELECT {RUN_COLUMNS}{FROM_RUNS}"
_STARTED_RUNS = f"SELECT {RUN_COLUMNS} FROM runs AS r LEFT JOIN events AS e ON e.run = r.run AND e.seq = 1"
"""With the input of the start, also where a run was continued with another one."""
_EVENTS = "SELECT seq, type, time, key, data, payload FROM events WHERE run = ? AND seq > ? ORDER BY seq"
_GIVEN = "SELECT value FROM json_each(?)"
"""Stands for any number of values, given as one JSON list."""


def get_run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    row = connection.execute(f"{_RUNS} WHERE r.run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise unknown_run(run_id)
    return run_record(row)


def get_by_number(connection: sqlite3.Connection, run: int) -> RunRecord:
    return run_record(connection.execute(f"{_RUNS} WHERE r.run = ?", (run,)).fetchone())


def find_by_key(connection: sqlite3.Connection, workflow: str, key: str) -> RunRecord | None:
    row = connection.execute(
        f"{_STARTED_RUNS} WHERE r.workflow = ? AND r.idempotency_key = ?", (workflow, key)
    ).fetchone()
    return None if row is None else run_record(row)


def history(connection: sqlite3.Connection, run_id: str, after: int) -> list[Event]:
    row = connection.execute("SELECT run FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise unknown_run(run_id)
    return events(connection, row[0], after)


def events(connection: sqlite3.Connection, run: int, after: int = 0) -> list[Event]:
    return [
        Event(seq, type, time, key, event_data(data) if data else {}, payload)
        for seq, type, time, key, data, payload in connection.execute(_EVENTS, (run, after))
    ]


def finished(connection: sqlite3.Connection, run_ids: Collection[str]) -> set[str]:
    going_on = f"SELECT run_id FROM runs WHERE run_id IN ({_GIVEN}) AND finished_at IS NULL"
    return set(run_ids) - {run_id for (run_id,) in connection.execute(going_on, (_given(run_ids),))}


def epochs(connection: sqlite3.Connection, run_ids: Collection[str]) -> dict[str, int]:
    rows = connection.execute(f"SELECT run_id, epoch FROM runs WHERE run_id IN ({_GIVEN})", (_given(run_ids),))
    return dict(rows.fetchall())


def runs_by_number(connection: sqlite3.Connection, runs: Sequence[int]) -> dict[int, RunRecord]:
    rows = connection.execute(f"SELECT r.run, {RUN_COLUMNS}{FROM_RUNS} WHERE r.run IN ({_GIVEN})", (_given(runs),))
    return {row[0]: run_record(row[1:]) for row in rows}


def replayed_events_of(
    connection: sqlite3.Connection, runs: Sequence[int]
) -> tuple[dict[int, list[Event]], dict[int, StoreFormatError]]:
    """Events of each of several runs, from its last start on, and what is wrong with those that are damaged."""
    found: dict[int, list[Event]] = {run: [] for run in runs}
    damaged: dict[int, StoreFormatError] = {}
    for run, seq, type, time, key, data, payload in connection.execute(
        "SELECT r.run, seq, type, time, key, data, payload FROM runs AS r JOIN events AS e"
        f" ON e.run = r.run AND e.seq >= r.first_seq WHERE r.run IN ({_GIVEN}) ORDER BY r.run, seq",
        (_given(runs),),
    ):
        try:
            known = event_data(data) if data else {}
        except ValueError as error:
            damaged.setdefault(run, StoreFormatError(f"event {seq} of it is damaged: {error}."))
            known = {}
        found[run].append(Event(seq, type, time, key, known, payload))
    return found, damaged


def messages_of_runs(connection: sqlite3.Connection, runs: Sequence[int]) -> dict[int, list[Message]]:
    """The inboxes of those runs that have one, oldest first."""
    found: dict[int, list[Message]] = {}
    rows = connection.execute(
        "SELECT r.run, m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM messages AS m"
        f" JOIN runs AS r ON r.run = m.run WHERE r.run IN ({_GIVEN}) ORDER BY m.id",
        (_given(runs),),
    )
    for run, *message in rows:
        found.setdefault(run, []).append(Message(*message))
    return found


_FAMILY = (
    f"WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE run_id IN ({_GIVEN})"
    " UNION SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run)"
    " SELECT runs.wake_at, runs.run, runs.workflow, runs.version FROM family JOIN runs USING (run)"
    " WHERE runs.owner IS NULL AND runs.finished_at IS NULL"
)


def free_relatives(
    connection: sqlite3.Connection, families: Collection[str], workflows: Collection[tuple[str, str]]
) -> list[tuple[float, int]]:
    """When each of these runs, their children and theirs that nobody holds is due, with its number; soonest first."""
    rows, known = connection.execute(_FAMILY, (_given(families),)), set(workflows)
    return sorted((wake_at, run) for wake_at, run, *pair in rows if tuple(pair) in known)


def next_wake(
    connection: sqlite3.Connection, workflows: Collection[tuple[str, str]], families: Collection[str] | None = None
) -> float:
    """When the next run of these (name, version) pairs that nobody holds is due; infinite if none is."""
    if families is not None:
        return next((wake_at for wake_at, _ in free_relatives(connection, families, workflows)), math.inf)
    times = [
        connection.execute(
            "SELECT min(wake_at) FROM runs WHERE owner IS NULL AND finished_at IS NULL"
            " AND workflow = ? AND version = ?",
            (workflow, version),
        ).fetchone()[0]
        for workflow, version in workflows
    ]
    return min((time for time in times if time is not None), default=math.inf)


def _given(values: Collection[int] | Collection[str]) -> str:
    return json.dumps(list(values))


def count_messages(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """How many of these messages are there."""
    (count,) = connection.execute(f"SELECT count(*) FROM messages WHERE id IN ({_GIVEN})", (_given(ids),)).fetchone()
    return int(count)


def messages_of_process(
    connection: sqlite3.Connection, process_id: str, after: int, run_id: str | None
) -> list[Message]:
    # CROSS JOIN keeps the order of the tables: what is new is little, what a process holds may be much.
    tables, where, values = "messages AS m CROSS JOIN runs AS r", "", [process_id, after]
    if run_id is not None:
        tables, where, values = "runs AS r CROSS JOIN messages AS m", " AND r.run_id = ?", [*values, run_id]
    rows = connection.execute(
        f"SELECT m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM {tables} ON r.run = m.run"
        f" WHERE r.owner = ? AND m.id > ?{where} ORDER BY m.id",
        values,
    )
    return [Message(*row) for row in rows]


def hooks(connection: sqlite3.Connection, run_id: str | None, state: str | None, limit: int) -> list[HookRecord]:
    conditions: list[str] = []
    values: list[Any] = []
    if run_id is not None:
        conditions.append("r.run_id = ?")
        values.append(run_id)
    if state is not None:
        conditions.append("h.state = ?")
        values.append(state)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(
        "SELECT h.token, r.run_id, r.workflow, h.key, h.name, h.due, h.state, h.created_at"
        f" FROM hooks AS h JOIN runs AS r ON r.run = h.run{where} ORDER BY h.hook LIMIT ?",
        (*values, limit),
    )
    return [HookRecord(*row) for row in rows]


def processes(connection: sqlite3.Connection) -> list[tuple[ProcessRecord, float]]:
    rows = connection.execute(
        "SELECT process_id, host, pid, pid_started, started_at, boot, serves, wfgen, heartbeat_at, lease_until"
        " FROM processes ORDER BY started_at, process_id"
    )
    return [(ProcessRecord(*row[:-1]), row[-1]) for row in rows]


def holdings(connection: sqlite3.Connection) -> dict[str, Held]:
    """What each process holds."""
    return {owner: Held(*held) for owner, *held in connection.execute(HOLDINGS)}


def lapsed(connection: sqlite3.Connection, process_id: str, now: float, monotonic: float) -> set[str]:
    """Ids of the processes whose lease has ended, as `process_id` sees it: by the monotonic clock that it shares with
    them, which nobody sets; by the wall clock with processes of another machine."""
    rows = connection.execute(
        "SELECT p.process_id FROM processes AS p LEFT JOIN processes AS me ON me.process_id = ?"
        " WHERE CASE WHEN p.boot = me.boot AND p.boot <> '' THEN p.lease_end <= ? ELSE p.lease_until <= ? END",
        (process_id, monotonic, now),
    )
    return {row[0] for row in rows}


def is_registered(connection: sqlite3.Connection, process_id: str) -> bool:
    """Whether a process is known, and nobody has taken its runs over."""
    return connection.execute("SELECT 1 FROM processes WHERE process_id = ?", (process_id,)).fetchone() is not None
