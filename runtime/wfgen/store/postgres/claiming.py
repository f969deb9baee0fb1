"""Who holds which run: processes come and go, claim runs that are due, and give them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from wfgen.events import Event
from wfgen.store import refusals
from wfgen.store.postgres import jobs, queries
from wfgen.store.postgres.connections import Connection
from wfgen.store.postgres.queries import one, rows
from wfgen.store.postgres.rows import add_events
from wfgen.store.records import Claimed, Message, ProcessRecord
from wfgen.store.stored_events import last_process

IsGone = Callable[[ProcessRecord], bool]


async def register(connection: Connection, process: ProcessRecord, lease: float) -> None:
    """Announce a process, with a lease in seconds."""
    await connection.execute(
        "INSERT INTO processes (process_id, host, pid, pid_started, started_at, boot, serves, wfgen, lease_until,"
        " heartbeat_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now_seconds() + %s, now_seconds())"
        " ON CONFLICT (process_id) DO UPDATE SET (host, pid, pid_started, started_at, boot, serves, wfgen, lease_until,"
        " heartbeat_at) = (excluded.host, excluded.pid, excluded.pid_started, excluded.started_at, excluded.boot,"
        " excluded.serves, excluded.wfgen, excluded.lease_until, excluded.heartbeat_at)",
        (
            process.process_id, process.host, process.pid, process.pid_started, process.started_at, process.boot,
            process.serves, process.wfgen, lease,
        ),
    )  # fmt: skip


async def leave(connection: Connection, process_id: str) -> None:
    """A process says goodbye: that it held runs says nothing about them."""
    await remove(connection, [process_id], says_goodbye=True)


async def remove(connection: Connection, process_ids: Collection[str], *, says_goodbye: bool = False) -> None:
    """Forget processes, whatever their leases say; what they held is free."""
    # Whoever claims or creates for one of them holds its row: this waits for that, and then sees the new runs.
    await connection.execute("DELETE FROM processes WHERE process_id = ANY(%s)", (sorted(process_ids),))
    await _free(connection, sorted(process_ids), says_goodbye=says_goodbye)


async def look(
    connection: Connection, process_id: str, is_gone_here: IsGone, next_due: str, values: dict[str, Any]
) -> tuple[bool, bool]:
    """Whether a process is gone, and whether something is due: a claim that would do nothing costs no commit.

    Args:
        connection: for reading.
        process_id: the process that asks.
        is_gone_here: whether a process of this machine has ended.
        next_due: a statement that gives when the first of what it would take is due.
        values: of that statement.

    Raises:
        LeaseLostError: the process is not registered, or has lost its own lease.
    """
    found = await rows(
        connection,
        "SELECT process_id, host, pid, pid_started, started_at, lease_until <= clock.now,"
        f" coalesce(({next_due}) <= clock.now, false)"
        " FROM processes, (SELECT now_seconds() AS now OFFSET 0) AS clock",
        values,
    )
    if process_id not in [row[0] for row in found]:
        raise refusals.not_registered(process_id)
    is_gone = any(
        row[0] != process_id and (is_lapsed or is_gone_here(ProcessRecord(*row))) for *row, is_lapsed, _ in found
    )
    return is_gone, found[0][-1]


async def remove_gone(connection: Connection, process_id: str, is_gone_here: IsGone) -> None:
    """Take from the processes that are gone what they held: those whose lease is over, and those of this machine that
    have ended. Not from the process that asks."""
    found = await rows(
        connection,
        "SELECT process_id, host, pid, pid_started, started_at, lease_until <= now_seconds() FROM processes",
    )
    lapsed = [id for id, *_, is_lapsed in found if is_lapsed and id != process_id]
    dead = [row[0] for row in found if row[0] != process_id and is_gone_here(ProcessRecord(*row[:5]))]
    if not lapsed and not dead:
        return
    removed = await rows(
        connection,
        "DELETE FROM processes WHERE process_id IN (SELECT process_id FROM processes WHERE process_id = ANY(%s)"
        " AND lease_until <= now_seconds() OR process_id = ANY(%s) ORDER BY process_id FOR UPDATE SKIP LOCKED)"
        " RETURNING process_id",
        (lapsed, dead),
    )
    if removed:
        await _free(connection, sorted(id for (id,) in removed), says_goodbye=False)
        # By nobody, so that who asked hears of it, too: it may have freed jobs while it looked for runs.
        await connection.execute("SELECT pg_notify(left('wfgen_' || current_schema(), 63), ' runs messages jobs ends')")


async def _free(connection: Connection, process_ids: Sequence[str], *, says_goodbye: bool) -> None:
    await connection.execute("SELECT free_runs(%s::text[], %s)", (list(process_ids), says_goodbye))
    await jobs.abandon(connection, process_ids, says_goodbye=says_goodbye)


async def claim(
    connection: Connection,
    process_id: str,
    workflows: Collection[tuple[str, str]],
    limit: int,
    families: Collection[str] | None,
) -> list[Claimed]:
    """Take runs that are due, the longest overdue first. Raises LeaseLostError."""
    among = None
    if families is not None:
        among = await queries.free_relatives(connection, families, workflows)
        if not among:
            return []
    found = await rows(
        connection,
        "SELECT * FROM take_runs(%s, %s::text[], %s::text[], %s::bigint[], %s)",
        (process_id, [name for name, _ in workflows], [version for _, version in workflows], among, limit),
    )
    if found == [(None, None)]:
        raise refusals.not_registered(process_id)
    runs: list[int] = [run for run, _ in found]
    taken = await queries.taken_up(connection, runs, [run for run, has_messages in found if has_messages])
    for run, claimed in zip(runs, taken, strict=True):
        # Nothing to tell of the first one: whatever follows is its work.
        if claimed.run.epoch > 1 and claimed.fault is None and last_process(claimed.events) != process_id:
            last = claimed.events[-1]
            data = {"process": process_id, "epoch": claimed.run.epoch}
            event = Event(last.seq + 1, "run_claimed", max(claimed.run.updated_at, last.time), None, data)
            claimed.events.append(event)
            await add_events(connection, run, [event])
            await connection.execute("UPDATE runs SET claimed_seq = %s WHERE run = %s", (event.seq, run))
    return taken


async def release(connection: Connection, run_id: str, epoch: int, wake_at: float, seen: int) -> float:
    """Give a run back; gives the time from which it is claimed, infinite if it was not held."""
    row = await one(connection, "SELECT release_run(%s, %s, %s, %s)", (run_id, epoch, wake_at, seen))
    assert row is not None
    return float("inf") if row[0] is None else float(row[0])


async def messages(
    connection: Connection, process_id: str, after: int, run_id: str | None
) -> tuple[list[Message], int]:
    """Messages for the runs of a process, oldest first, and the mark from which the next reading goes on.

    The mark is a number of transactions: all before it were over when this was read. A message that is written by one
    of the others may be seen now and again then.
    """
    found = await rows(
        connection,
        "SELECT now.mark, m.* FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark) AS now"
        " LEFT JOIN LATERAL (SELECT m.id, r.run_id, m.kind, m.token, m.name, m.payload FROM messages AS m"
        " JOIN runs AS r ON r.run = m.run WHERE r.owner = %s AND m.xact >= %s"
        + ("" if run_id is None else " AND r.run_id = %s")
        + ") AS m ON true ORDER BY m.id",
        (process_id, after) if run_id is None else (process_id, after, run_id),
    )
    return [Message(*message) for _, *message in found if message[0] is not None], found[0][0]
