"""The rows with which a run begins, and its events."""

from __future__ import annotations

from collections.abc import Sequence

from wfgen.events import Event
from wfgen.store import tags
from wfgen.store.postgres.queries import Connection, one
from wfgen.store.records import NewRun, RunStatus
from wfgen.store.stored_events import encoded


async def insert_run(
    connection: Connection,
    new: NewRun,
    now: float,
    *,
    status: RunStatus = "pending",
    owner: str | None = None,
    epoch: int = 0,
    parent: int | None = None,
) -> int | None:
    """Insert the row of a new run, and what it is found by; gives its number.

    None if there is a run of that id, or one of its workflow with that idempotency key.

    Args:
        connection: inside a transaction.
        new: the run; its first event is the caller's to record.
        now: when it begins, in seconds since the epoch.
        status: pending, or running with an owner and an epoch.
        owner: the process that holds it from the start.
        epoch: of that.
        parent: number of the run that starts it as its child.
    """
    key, on_parent_end = (None, None) if new.parent is None else (new.parent[1], new.on_parent_end)
    row = await one(
        connection,
        "INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, salt, idempotency_key, owner,"
        " epoch, claims, claimed_seq, tags, parent, parent_key, on_parent_end, parent_part) VALUES (%s, %s, %s, %s, %s,"
        " %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, (SELECT first_seq FROM runs WHERE run = %s))"
        " ON CONFLICT DO NOTHING RETURNING run",
        (
            new.run_id, new.workflow, new.version, status, now, now, new.salt, new.idempotency_key, owner,
            epoch, epoch, epoch, tags.dumped(new.tags), parent, key, on_parent_end, parent,
        ),
    )  # fmt: skip
    if row is None:
        return None
    run: int = row[0]
    if new.tags:
        await connection.execute(
            "INSERT INTO tags (tag, created_at, run) SELECT DISTINCT tag, %s::double precision, %s::bigint"
            " FROM unnest(%s::text[]) AS given(tag)",
            (now, run, list(new.tags)),
        )
    return run


async def add_events(connection: Connection, run: int, events: Sequence[Event]) -> None:
    """Add events to the run of a number."""
    await connection.execute(
        "INSERT INTO events (run, seq, type, time, key, data, payload) SELECT %s, * FROM unnest(%s::integer[],"
        " %s::text[], %s::double precision[], %s::text[], %s::text[], %s::bytea[])",
        (
            run,
            [event.seq for event in events],
            [event.type for event in events],
            [event.time for event in events],
            [event.key for event in events],
            [encoded(event.data) if event.data else None for event in events],
            [event.payload for event in events],
        ),
    )
