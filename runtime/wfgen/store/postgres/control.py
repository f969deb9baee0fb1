"""What people do to runs of a PostgreSQL store: sending to, pausing, terminating, retrying, taking back, forking them.

Each is one transaction. It locks the run's row first (and the parent's before it, the children's after it: a parent has
a smaller number than its children), and looks at nothing of the run before. Those that take a run from the process that
holds it raise its epoch, so that whatever that process still writes is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

from wfgen.checkpoints import (
    check_checkpoint,
    check_compensation,
    copied,
    current_part,
    effective,
    is_cancelling,
    open_children,
    open_jobs,
    retried_from,
    rolled_back,
    seed_origin,
    undone_effects,
)
from wfgen.events import COMPLETIONS, Event, EventType
from wfgen.store import refusals
from wfgen.store.postgres import jobs, queries
from wfgen.store.postgres.queries import Connection, one, rows
from wfgen.store.postgres.rows import add_events, insert_run
from wfgen.store.records import FINISHED, NewRun, RunRecord, RunStatus
from wfgen.store.stored_events import encoded

_CONTROL = "kind IN ('pause', 'resume')"


class _Row(NamedTuple):
    run: int
    status: str
    owner: str | None
    parent: int | None
    parent_key: str | None


async def send(
    connection: Connection,
    kind: Literal["hook", "cancel", "pause", "resume"],
    run_id: str | None,
    token: str | None,
    name: str | None,
    payload: bytes | None,
) -> Literal["sent", "duplicate"]:
    """Put a message in a run's inbox.

    Raises:
        UnknownHookError: no hook has the token, or it timed out or was closed.
        UnknownRunError: no such run.
        RunStateError: it is finished.
    """
    if kind in ("pause", "resume"):
        return await _pause_or_resume(connection, kind, str(run_id))
    if token is not None:
        run, duplicate = await _find_hook(connection, token)
    else:
        run, duplicate = await _find_inbox(connection, str(run_id), kind)
    if duplicate:
        return "duplicate"
    await connection.execute(
        "INSERT INTO messages (run, kind, token, name, payload) VALUES (%s, %s, %s, %s, %s)",
        (run, kind, token, name, payload),
    )
    return "sent"


async def _find_hook(connection: Connection, token: str) -> tuple[int, bool]:
    await connection.execute(
        "SELECT 1 FROM runs WHERE run = (SELECT run FROM hooks WHERE token = %s) FOR UPDATE", (token,)
    )
    row = await one(
        connection,
        "SELECT h.run, h.state, h.name, r.run_id, EXISTS (SELECT 1 FROM messages AS m WHERE m.token = h.token)"
        " FROM hooks AS h JOIN runs AS r ON r.run = h.run WHERE h.token = %s",
        (token,),
    )
    if row is None:
        raise refusals.unknown_hook()
    run, state, name, run_id, waiting = row
    if state in ("timed_out", "closed"):
        raise refusals.hook_is_over(name, run_id, state)
    return run, state == "resumed" or waiting


async def _find_inbox(connection: Connection, run_id: str, kind: str) -> tuple[int, bool]:
    row = await _find(connection, run_id)
    if row.status in FINISHED:
        raise refusals.run_takes_no_messages(run_id, row.status)
    if kind != "cancel":
        return row.run, False
    asked = await one(connection, "SELECT 1 FROM messages WHERE run = %s AND kind = 'cancel'", (row.run,))
    return row.run, asked is not None


async def _pause_or_resume(
    connection: Connection, kind: Literal["pause", "resume"], run_id: str
) -> Literal["sent", "duplicate"]:
    """Pause a run, or end its pause: at once if nobody holds it, else by a message to its owner.

    `duplicate`: it is so already, or is asked to be.
    """
    row = await _find_unfinished(connection, run_id, f"{kind}d")
    asked = await one(
        connection, f"SELECT kind FROM messages WHERE run = %s AND {_CONTROL} ORDER BY id DESC LIMIT 1", (row.run,)
    )
    current = asked[0] if asked else "pause" if row.status == "paused" else "resume"
    if current == kind:
        return "duplicate"
    if row.owner is not None:
        await connection.execute("INSERT INTO messages (run, kind) VALUES (%s, %s)", (row.run, kind))
        return "sent"
    await connection.execute(f"DELETE FROM messages WHERE run = %s AND {_CONTROL}".encode(), (row.run,))
    if (row.status == "paused") == (kind == "pause"):
        return "sent"
    now = await _record(connection, row.run, "run_paused" if kind == "pause" else "run_resumed")
    # A request to cancel that waits is not put to sleep.
    await connection.execute(
        "UPDATE runs SET status = %s, updated_at = %s, wake_at = CASE WHEN %s AND NOT EXISTS (SELECT 1 FROM messages"
        " WHERE messages.run = runs.run AND kind = 'cancel') THEN 'Infinity'::double precision ELSE 0 END"
        " WHERE run = %s",
        ("paused" if kind == "pause" else "pending", now, kind == "pause", row.run),
    )
    await _announce(connection)
    return "sent"


async def terminate(connection: Connection, run_id: str, reason: str | None) -> None:
    """End a run where it stands. Raises UnknownRunError, RunStateError."""
    row = await _find_unfinished(connection, run_id, "terminated", with_parent=True)
    await _lock_children(connection, row.run)
    now = await _record(connection, row.run, "run_terminated", {"reason": reason})
    await connection.execute(
        "UPDATE runs SET status = 'terminated', owner = NULL, epoch = epoch + 1, updated_at = %s, finished_at = %s,"
        " error = %s WHERE run = %s",
        (now, now, reason, row.run),
    )
    await connection.execute("UPDATE hooks SET state = 'closed' WHERE run = %s AND state = 'open'", (row.run,))
    await connection.execute("DELETE FROM messages WHERE run = %s", (row.run,))
    await _cancel_children(connection, row.run)
    await jobs.give_up(connection, row.run)
    await _tell_parent(connection, row.run, None)
    await _announce(connection)


async def retry(connection: Connection, run_id: str) -> None:
    """Take a failed run up again. Raises UnknownRunError, RunStateError."""
    row = await _find(connection, run_id, with_parent=True)
    if row.status != "failed":
        raise refusals.run_cannot_be_retried(run_id, row.status)
    await _lock_children(connection, row.run)
    events = await queries.events(connection, row.run)
    data = retried_from(events, f"run {run_id}")
    if anew := await _cancelled_calls(connection, row.run, events, "run_retried", data):
        data["anew"] = anew
    await _take_up(connection, row, await _record(connection, row.run, "run_retried", data))


async def rollback(connection: Connection, run_id: str, to: int, compensate: bool, keep: int | None) -> None:
    """Undo what was recorded after an event; with `compensate` the run first undoes the effects itself.

    Raises:
        UnknownRunError: no such run.
        RunStateError: there is no such checkpoint.
    """
    row = await _find(connection, run_id, with_parent=True)
    await _lock_children(connection, row.run)
    events = await queries.events(connection, row.run)
    check_checkpoint(events, to, f"run {run_id}", keep)
    anew = await _cancelled_calls(connection, row.run, events, "rolled_back", {"to": to})
    if compensate:
        check_compensation(events, to, f"run {run_id}")
        data = {"to": to, "compensate": True, **({"anew": anew} if anew else {})}
        now = await _record(connection, row.run, "rollback_requested", data)
    else:
        data = rolled_back(to, undone_effects(events) is not None, anew)
        now = await _record(connection, row.run, "rolled_back", data)
    await _take_up(connection, row, now)


async def fork(
    connection: Connection, run_id: str, at: int, new: NewRun, replace_input: bool, keep: int | None
) -> tuple[RunRecord, bool]:
    """Make a run that begins with the history of another one, up to a checkpoint.

    Raises:
        UnknownRunError: no such run.
        RunStateError: there is no such checkpoint.
        ConflictError: the idempotency key belongs to another run.
    """
    row = await _find(connection, run_id)
    if existing := await _same_fork(connection, run_id, at, new, replace_input):
        return existing, False
    events = await queries.events(connection, row.run)
    check_checkpoint(events, at, f"run {run_id}", keep)
    ((now,),) = await rows(connection, "SELECT now_seconds()")
    record = await queries.get_by_number(connection, row.run)
    part = [event for event in effective(events) if event.seq <= at]
    seeds_from = seed_origin(record.salt, current_part(part)[0].seq)
    chosen = copied(events, at, run_id, seeds_from, now)
    if replace_input:
        chosen[0].payload = new.input
    run = await insert_run(connection, new, now)
    if run is None:
        # Somebody else may have forked it with that key since the look above.
        if existing := await _same_fork(connection, run_id, at, new, replace_input):
            return existing, False
        raise refusals.taken(new.run_id)
    await add_events(connection, run, chosen)
    await _announce(connection)
    return await queries.get_by_number(connection, run), True


async def _same_fork(
    connection: Connection, run_id: str, at: int, new: NewRun, replace_input: bool
) -> RunRecord | None:
    """The run that has the idempotency key of a fork, if one has. Raises ConflictError: it is not the same fork."""
    if new.idempotency_key is None:
        return None
    existing = await queries.find_by_key(connection, new.workflow, new.idempotency_key)
    if existing is None:
        return None
    start = (await queries.history(connection, existing.run_id, 0))[0]
    origin = (start.data.get("forked_from"), start.data.get("forked_at"))
    if origin == (run_id, at) and (not replace_input or existing.input == new.input):
        return existing
    raise refusals.another_fork(new.workflow, new.idempotency_key, existing.run_id)


async def give_back(connection: Connection, run: int, status: RunStatus) -> None:
    """Its owner has paused a run, or taken it back, and works it no longer; its row is locked, its events are recorded.

    What nobody has told the owner in time is not lost: a run that is to go on again, or to be cancelled, wakes.
    """
    if status == "pending":
        await _lock_children(connection, run)
        await settle(connection, run)
    await connection.execute(
        "UPDATE runs SET owner = NULL, wake_at = CASE WHEN %s AND NOT EXISTS (SELECT 1 FROM messages WHERE"
        " messages.run = runs.run AND kind IN ('cancel', 'resume')) THEN 'Infinity'::double precision ELSE 0 END"
        " WHERE run = %s",
        (status == "paused", run),
    )
    await _announce(connection)


async def settle(connection: Connection, run: int) -> None:
    """Bring hooks, children, jobs and messages of a run in line with what counts of its history.

    Its row and those of its children are locked.
    """
    events = effective(await queries.events(connection, run))
    part = current_part(events)
    first = part[0].seq
    ended = {event.key for event in part if event.type in COMPLETIONS}
    opened = {event.data.get("token"): event.key for event in part if event.type == "hook_created"}
    await _settle_hooks(connection, run, {token for token, key in opened.items() if token and key not in ended})
    await connection.execute(f"DELETE FROM messages WHERE run = %s AND (kind = 'child' OR {_CONTROL})".encode(), (run,))
    await connection.execute("UPDATE runs SET first_seq = %s WHERE run = %s", (first, run))
    put = {event.data["job_id"] for event in part if event.type == "job_created"}
    await jobs.settle(connection, run, put, ended, first)
    counted = {event.data.get("run_id") for event in part if event.type == "child_started"}
    for child, child_id, key, finished_at, of_part in await rows(
        connection,
        "SELECT run, run_id, parent_key, finished_at, parent_part FROM runs WHERE parent = %s ORDER BY run",
        (run,),
    ):
        if child_id in counted:
            if finished_at is not None and key not in ended and of_part == first:
                last = (await queries.events(connection, child))[-1]
                await _tell_parent(connection, child, last.data.get("type"))
        elif of_part is not None and of_part >= first:
            # Of a part of the history that does not count: nobody listens to it any more.
            await _cancel_children(connection, run, key)
            await connection.execute("UPDATE runs SET parent_part = NULL WHERE run = %s", (child,))


async def _settle_hooks(connection: Connection, run: int, wanted: Collection[str]) -> None:
    """Let just these hooks of a run be open, by their tokens."""
    tokens = sorted(wanted)
    await connection.execute(
        "DELETE FROM messages WHERE token = ANY(ARRAY(SELECT token FROM hooks WHERE run = %s AND state = 'open'"
        " AND token <> ALL(%s)))",
        (run, tokens),
    )
    await connection.execute(
        "UPDATE hooks SET state = CASE WHEN token = ANY(%s) THEN 'open' ELSE 'closed' END"
        " WHERE run = %s AND (state = 'open') <> (token = ANY(%s))",
        (tokens, run, tokens),
    )


async def _cancelled_calls(
    connection: Connection, run: int, events: list[Event], type: EventType, data: dict[str, Any]
) -> list[str]:
    """Keys of what is open again, but whose child or job was asked to stop when the run ended."""
    keys = open_children(events, type, data)
    calls = []
    for child, child_id, is_asked in await rows(
        connection,
        "SELECT run, run_id, status = 'cancelled' OR EXISTS (SELECT 1 FROM messages AS m WHERE m.run = runs.run"
        " AND m.kind = 'cancel') FROM runs WHERE parent = %s AND on_parent_end = 'cancel'"
        " AND (status = 'cancelled' OR finished_at IS NULL)",
        (run,),
    ):
        if child_id in keys and (is_asked or is_cancelling(await queries.events(connection, child))):
            calls.append(keys[child_id])
    return sorted(calls + await jobs.lost(connection, run, open_jobs(events, type, data)))


async def _take_up(connection: Connection, row: _Row, now: float) -> None:
    """Make a run, finished or not, one that waits for a process; whoever holds it loses it.

    What came for an unfinished one stays, a request to cancel it, too.
    """
    if row.parent is not None:  # an end that the parent has not taken yet is none any more
        await connection.execute(
            "DELETE FROM messages WHERE run = %s AND kind = 'child' AND name = %s", (row.parent, row.parent_key)
        )
    await connection.execute(
        "UPDATE runs SET status = 'pending', owner = NULL, epoch = epoch + 1, claims = 0, claimed_seq = 0,"
        " wake_at = 0, finished_at = NULL, output = NULL, error_type = NULL, error = NULL, error_code = NULL,"
        " updated_at = %s WHERE run = %s",
        (now, row.run),
    )
    await settle(connection, row.run)
    await _announce(connection)


async def _find(connection: Connection, run_id: str, *, with_parent: bool = False) -> _Row:
    """Lock a run, and the one that started it as its child. Raises UnknownRunError."""
    numbers = "unnest(ARRAY[run, parent])" if with_parent else "run"
    locked = await rows(
        connection,
        "SELECT run_id, run, status, owner, parent, parent_key FROM runs"
        f" WHERE run = ANY(ARRAY(SELECT {numbers} FROM runs WHERE run_id = %s)) ORDER BY run FOR UPDATE",
        (run_id,),
    )
    # The given text may not be as it is kept: the number says which one it is, the last of the two.
    if not locked:
        raise refusals.unknown_run(run_id)
    return _Row(*locked[-1][1:])


async def _find_unfinished(connection: Connection, run_id: str, done: str, *, with_parent: bool = False) -> _Row:
    row = await _find(connection, run_id, with_parent=with_parent)
    if row.status in FINISHED:
        raise refusals.run_is_over(run_id, done, row.status)
    return row


async def _lock_children(connection: Connection, run: int) -> None:
    """Lock the children of a run that is locked, so that it gets no others."""
    await connection.execute("SELECT 1 FROM runs WHERE parent = %s ORDER BY run FOR UPDATE", (run,))


async def _cancel_children(connection: Connection, run: int, key: str | None = None) -> None:
    """Ask the unfinished children of a run to stop, but those that go on alone; all, or those of one operation."""
    await connection.execute("SELECT cancel_children(%s::bigint[], %s::text[])", ([run], [key]))


async def _tell_parent(connection: Connection, run: int, type: str | None) -> None:
    """Put a finished run's end into the inbox of the run that started it, if one did and still listens."""
    await connection.execute("SELECT tell_parents(%s::bigint[], %s::text[])", ([run], [type]))


async def _announce(connection: Connection) -> None:
    """Let other processes look again, also those that do not get a message."""
    await connection.execute("SELECT announce('runs ends')")


async def _record(connection: Connection, run: int, type: EventType, data: dict[str, Any] | None = None) -> float:
    """Add an event to a run; gives its time."""
    ((now,),) = await rows(
        connection,
        "INSERT INTO events (run, seq, type, time, data) SELECT run, max(seq) + 1, %s,"
        " greatest((SELECT now_seconds()), max(time)), %s FROM events WHERE run = %s GROUP BY run RETURNING time",
        (type, encoded(data) if data else None, run),
    )
    return float(now)
