"""The row with which a run begins, and what a row can hold."""

from __future__ import annotations

import sqlite3

from wfgen.store.records import NewRun, RunStatus
from wfgen.store.sqlite import tags
from wfgen.store.tags import dumped


def insert_run(
    connection: sqlite3.Connection,
    new: NewRun,
    now: float,
    *,
    status: RunStatus = "pending",
    owner: str | None = None,
    epoch: int = 0,
    parent: int | None = None,
) -> int | None:
    """Insert the row of a new run, and what it is found by; gives its number, None if there is a run of that id.

    Args:
        connection: of the store file.
        new: the run; its first event is the caller's to record.
        now: when it begins, in seconds since the epoch.
        status: pending, or running with an owner and an epoch.
        owner: the process that holds it from the start.
        epoch: of that.
        parent: number of the run that starts it as its child.
    """
    key, on_parent_end = (None, None) if new.parent is None else (new.parent[1], new.on_parent_end)
    cursor = connection.execute(
        "INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, salt, idempotency_key, owner,"
        " epoch, claims, claimed_seq, tags, parent, parent_key, on_parent_end, parent_part) VALUES (?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT first_seq FROM runs WHERE run = ?)) ON CONFLICT (run_id) DO NOTHING",
        (
            new.run_id, new.workflow, new.version, status, now, now, new.salt, new.idempotency_key, owner,
            epoch, epoch, epoch, dumped(new.tags), parent, key, on_parent_end, parent,
        ),
    )  # fmt: skip
    if not cursor.rowcount:
        return None
    run = cursor.lastrowid
    assert run is not None
    tags.add(connection, run, now, new.tags)
    return run


def storable(text: str | None) -> str | None:
    """The message of an exception, which may hold what UTF-8 cannot (names of files that are not text)."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
