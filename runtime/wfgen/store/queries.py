"""What is read from a store file. Each function is one reading on a given connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from wfgen.errors import UnknownRunError
from wfgen.events import Event
from wfgen.store.protocol import HookRecord, Message, ProcessRecord, RunRecord, RunStatus

_RUN_COLUMNS = (
    "r.run_id, r.workflow, r.version, r.status, e.payload, r.output, r.error_type, r.error, r.error_code, r.salt,"
    " r.idempotency_key, r.epoch, r.claims, r.owner, r.created_at, r.updated_at, r.finished_at,"
    " (SELECT p.run_id FROM runs AS p WHERE p.run = r.parent)"
)
_RUNS = f"SELECT {_RUN_COLUMNS} FROM runs AS r LEFT JOIN events AS e ON e.run = r.run AND e.seq = r.first_seq"
_STARTED_RUNS = f"SELECT {_RUN_COLUMNS} FROM runs AS r LEFT JOIN events AS e ON e.run = r.run AND e.seq = 1"
"""With the input of the start, also where a run was continued with another one."""
_EVENTS = "SELECT seq, type, time, key, data, payload FROM events WHERE run = ? AND seq > ? ORDER BY seq"
_MESSAGES = (
    "SELECT m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM messages AS m JOIN runs AS r ON r.run = m.run"
)


def unknown_run(run_id: str) -> UnknownRunError:
    return UnknownRunError(f"no run {run_id!r} in the store.", hint="`wfgen runs list` shows the runs that there are.")


def get_run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    row = connection.execute(f"{_RUNS} WHERE r.run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise unknown_run(run_id)
    return RunRecord(*row)


def get_by_number(connection: sqlite3.Connection, run: int) -> RunRecord:
    return RunRecord(*connection.execute(f"{_RUNS} WHERE r.run = ?", (run,)).fetchone())


def find_by_key(connection: sqlite3.Connection, workflow: str, key: str) -> RunRecord | None:
    row = connection.execute(
        f"{_STARTED_RUNS} WHERE r.workflow = ? AND r.idempotency_key = ?", (workflow, key)
    ).fetchone()
    return None if row is None else RunRecord(*row)


def list_runs(
    connection: sqlite3.Connection, workflow: str | None, status: Collection[RunStatus] | None, limit: int
) -> list[RunRecord]:
    conditions: list[str] = []
    values: list[Any] = []
    if workflow is not None:
        conditions.append("r.workflow = ?")
        values.append(workflow)
    if status is not None:
        conditions.append(f"r.status IN ({', '.join('?' * len(status))})")
        values += status
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = connection.execute(f"{_RUNS}{where} ORDER BY r.run DESC LIMIT ?", (*values, limit))
    return [RunRecord(*row) for row in rows]


def history(connection: sqlite3.Connection, run_id: str, after: int) -> list[Event]:
    row = connection.execute("SELECT run FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise unknown_run(run_id)
    return events(connection, row[0], after)


def events(connection: sqlite3.Connection, run: int, after: int = 0) -> list[Event]:
    return [
        Event(seq, type, time, key, json.loads(data) if data else {}, payload)
        for seq, type, time, key, data, payload in connection.execute(_EVENTS, (run, after))
    ]


def replayed_events(connection: sqlite3.Connection, run: int) -> list[Event]:
    """Events from the last start of a run on."""
    (first,) = connection.execute("SELECT first_seq FROM runs WHERE run = ?", (run,)).fetchone()
    return events(connection, run, first - 1)


def messages_of_run(connection: sqlite3.Connection, run: int) -> list[Message]:
    return [Message(*row) for row in connection.execute(f"{_MESSAGES} WHERE m.run = ? ORDER BY m.id", (run,))]


def messages_of_process(connection: sqlite3.Connection, process_id: str) -> list[Message]:
    return [Message(*row) for row in connection.execute(f"{_MESSAGES} WHERE r.owner = ? ORDER BY m.id", (process_id,))]


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
        "SELECT process_id, host, pid, pid_started, started_at, lease_until FROM processes ORDER BY started_at"
    )
    return [(ProcessRecord(*row[:5]), row[5]) for row in rows]


def is_registered(connection: sqlite3.Connection, process_id: str) -> bool:
    """Whether a process is known, and nobody has taken its runs over."""
    return connection.execute("SELECT 1 FROM processes WHERE process_id = ?", (process_id,)).fetchone() is not None
