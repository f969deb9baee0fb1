"""What is done to the jobs of a PostgreSQL store: who works which job, and how it ends.

The end of a job that its run awaits becomes a message to the run, in the transaction that records it. So whoever ends
one locks the row of its run first, and the job after it; who claims jobs waits for no row at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from wfgen.store import refusals
from wfgen.store.job_sql import COLUMNS, UNHEARD
from wfgen.store.jobs import CANCELLED, DISCARDED, EXPIRED, INTERRUPTED, JOB_FINISHED, Ending, JobEnd, JobRecord
from wfgen.store.postgres.job_queries import queued
from wfgen.store.postgres.queries import Connection, one, rows

SPARE = 50
"""Jobs that a claim looks at beyond those that it takes, since others may be taking them at the same time."""

_WAITING = "status = 'queued' AND attempt = 0 AND expires_at <= (SELECT now_seconds())"
_EXPIRED = f"SELECT job, run FROM jobs WHERE {_WAITING} ORDER BY expires_at LIMIT 1000"
_TAKE = """
WITH clock AS MATERIALIZED (SELECT now_seconds() AS now),
soonest AS MATERIALIZED ({soonest}),
chosen AS MATERIALIZED (
    SELECT job FROM jobs WHERE job = ANY(ARRAY(SELECT job FROM soonest))
        AND status = 'queued' AND (expires_at IS NULL OR attempt > 0 OR expires_at > (TABLE clock))
    ORDER BY due, job LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
-- Whoever removes this process waits for this, and then sees what it has taken; renewing goes on beside.
mine AS MATERIALIZED (
    SELECT 1 FROM processes WHERE process_id = %(process)s AND EXISTS (TABLE chosen) FOR KEY SHARE),
taken AS (
    UPDATE jobs SET status = 'running', owner = %(process)s, epoch = epoch + 1, attempt = attempt + 1,
        claims = claims + 1, started_at = clock.now, first_at = coalesce(first_at, clock.now), updated_at = clock.now
    FROM clock WHERE job = ANY(ARRAY(SELECT job FROM chosen)) AND EXISTS (TABLE mine) RETURNING jobs.*)
SELECT (SELECT count(*) FROM soonest), EXISTS (TABLE chosen) AND NOT EXISTS (TABLE mine), {columns}
FROM (SELECT) AS always LEFT JOIN (taken AS j JOIN runs AS r ON r.run = j.run) ON true ORDER BY j.due, j.job
"""


async def claim_jobs(
    connection: Connection,
    process_id: str,
    workers: Collection[str],
    limit: int,
    queues: Collection[str] | None,
    families: Collection[str] | None,
) -> list[JobRecord]:
    """Take queued jobs that are due; what has expired is ended. Raises LeaseLostError."""
    expired = await connection.execute(_EXPIRED.encode())
    taken: list[JobRecord] = []
    look = limit + SPARE
    while len(taken) < limit:
        soonest, values = queued(workers, queues, families, "(SELECT now FROM clock)", look)
        found = await rows(
            connection,
            _TAKE.format(soonest=soonest, columns=COLUMNS),
            {**values, "limit": limit - len(taken), "process": process_id},
        )
        if found[0][1]:
            raise refusals.not_registered(process_id)
        taken += [JobRecord(*row[2:]) for row in found if row[2] is not None]
        if found[0][0] < look:
            break
        look *= 8  # all that were looked at are others' by now
    await _expire(connection, await expired.fetchall())
    return taken


async def _expire(connection: Connection, expired: Collection[tuple[int, int]]) -> None:
    """End jobs, given with their runs, that no process has begun in time; if such a run is being written to, that waits
    for the next claim."""
    if expired:
        locked = await _lock_runs(connection, [run for _, run in expired], wait=False)
        await _end_all(
            connection, f"job = ANY(%s) AND {_WAITING}", [[job for job, run in expired if run in locked]], EXPIRED
        )


async def abandon(connection: Connection, process_ids: Collection[str], *, says_goodbye: bool) -> None:
    """Processes are gone: their jobs go back on their queues, or end as what may not begin a second time."""
    theirs = [list(process_ids)]
    held = await rows(connection, "SELECT run FROM jobs WHERE owner = ANY(%s)", theirs)
    if not held:
        return
    await _lock_runs(connection, [run for (run,) in held])
    await _end_all(connection, "owner = ANY(%s) AND cancel_requested", theirs, CANCELLED)
    await _end_all(connection, "owner = ANY(%s) AND at_most_once", theirs, INTERRUPTED)
    await connection.execute(
        "UPDATE jobs SET status = 'queued', owner = NULL, due = now_seconds(),"
        " claims = CASE WHEN %s THEN 0 ELSE claims END WHERE owner = ANY(%s)",
        (says_goodbye, *theirs),
    )


async def report_job(connection: Connection, job_id: str, epoch: int, progress: bytes) -> None:
    """Keep what a job's worker reports. Raises LeaseLostError."""
    cursor = await connection.execute(
        "UPDATE jobs SET progress = %s, updated_at = now_seconds() WHERE job_id = %s AND epoch = %s"
        " AND owner IS NOT NULL",
        (progress, job_id, epoch),
    )
    if not cursor.rowcount:
        raise await _not_held(connection, job_id, epoch)


async def requeue_job(connection: Connection, job_id: str, epoch: int, due: float, failed: JobEnd | None) -> None:
    """Put a job back on its queue; one that was given up meanwhile ends. Raises LeaseLostError."""
    await _lock_run_of(connection, job_id)
    if failed is None:
        change = (
            "attempt = attempt - 1, first_at = CASE WHEN attempt > 1 THEN first_at END,"
            " started_at = CASE WHEN attempt > 1 THEN started_at END"
        )
        values: tuple[Any, ...] = ()
    else:
        change, values = "error_type = %s, error = %s, details = %s", (failed.error_type, failed.error, failed.details)
    row = await one(
        connection,
        f"UPDATE jobs SET status = 'queued', owner = NULL, claims = 0, due = %s, updated_at = now_seconds(), {change}"
        " WHERE job_id = %s AND epoch = %s AND owner IS NOT NULL RETURNING job",
        (due, *values, job_id, epoch),
    )
    if row is None:
        raise await _not_held(connection, job_id, epoch)
    await _end_all(connection, "job = %s AND cancel_requested", row, CANCELLED)


async def retry_job(connection: Connection, job_id: str) -> None:
    """Let a queued job begin at once, or put one that did not complete on its queue again.

    Raises:
        UnknownJobError: no such job.
        RunStateError: it is at work or has completed, or its run has heard of its end.
    """
    job, status, awaited, unheard = await _find(connection, job_id)
    if status == "queued":  # written all the same: that is what others are told of
        await connection.execute("UPDATE jobs SET status = 'queued', due = now_seconds() WHERE job = %s", (job,))
        return
    if status in ("running", "completed") or (awaited and not unheard):
        raise refusals.job_cannot_be_retried(job_id, status)
    await connection.execute(
        "DELETE FROM messages USING jobs WHERE jobs.job = %s AND jobs.awaited AND messages.run = jobs.run"
        " AND messages.kind = 'job' AND messages.name = jobs.key",
        (job,),
    )
    await connection.execute(
        "UPDATE jobs SET status = 'queued', attempt = 0, claims = 0, first_at = NULL, started_at = NULL,"
        " finished_at = NULL, output = NULL, type = NULL, error_type = NULL, error = NULL, details = NULL,"
        " progress = NULL, cancel_requested = false, due = clock.now, updated_at = clock.now,"
        " expires_at = expires_at - created_at + clock.now FROM (SELECT now_seconds() AS now) AS clock WHERE job = %s",
        (job,),
    )


async def discard_job(connection: Connection, job_id: str) -> None:
    """Take a job away: an unfinished one ends, a finished one is removed.

    Raises:
        UnknownJobError: no such job.
        RunStateError: it is finished, and its run has not heard of its end yet.
    """
    job, status, _, unheard = await _find(connection, job_id)
    if status not in JOB_FINISHED:
        # Whoever works it has an epoch of the past.
        await connection.execute("UPDATE jobs SET epoch = epoch + 1 WHERE job = %s", (job,))
        await _end_all(connection, "job = %s", (job,), DISCARDED)
        return
    if unheard:
        raise refusals.job_cannot_be_discarded(job_id, status)
    await connection.execute("DELETE FROM jobs WHERE job = %s", (job,))


async def prune_jobs(connection: Connection, before: float, limit: int) -> Sequence[str]:
    """Remove finished jobs of which the runs have heard; gives their ids."""
    gone = await rows(
        connection,
        "DELETE FROM jobs WHERE job = ANY(ARRAY(SELECT job FROM jobs WHERE finished_at IS NOT NULL AND finished_at < %s"
        f" AND NOT {UNHEARD} ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED)) RETURNING job_id, finished_at",
        (before, limit),
    )
    return [job_id for job_id, _ in sorted(gone, key=lambda row: float(row[1]))]


# By controls of runs, whose rows are locked.


async def give_up(connection: Connection, run: int, key: str | None = None) -> None:
    """Nobody waits any more for the unfinished jobs of a run, or for that of one of its operations.

    Those that nobody works end as cancelled, who works another one is asked to stop; what is not awaited goes on.
    """
    await connection.execute("SELECT give_up_jobs(%s::bigint[], %s::text[])", ([run], [key]))


async def settle(
    connection: Connection, run: int, counted: Collection[str], ended: Collection[str | None], first: int
) -> None:
    """Bring the jobs of a run in line with what counts of its history.

    Args:
        connection: with the run's row locked.
        run: its number.
        counted: ids of the jobs that count.
        ended: keys of the operations whose end counts.
        first: seq with which the part of its history begins that counts.
    """
    await connection.execute("DELETE FROM messages WHERE run = %s AND kind = 'job'", (run,))
    heard_again: list[int] = []
    for job, job_id, key, finished_at, part in await rows(
        connection,
        "SELECT job, job_id, key, finished_at, part FROM jobs WHERE run = %s AND awaited ORDER BY job FOR UPDATE",
        (run,),
    ):
        if job_id in counted:
            if finished_at is not None and key not in ended and part == first:
                heard_again.append(job)
        elif part is not None and part >= first:
            await connection.execute("UPDATE jobs SET part = NULL WHERE job = %s", (job,))
            await give_up(connection, run, key)
    await _tell(connection, heard_again)


async def lost(connection: Connection, run: int, keys: dict[str, str]) -> list[str]:
    """Keys, of those by job id, whose job was taken from its queue, is asked to stop, or is gone."""
    lives = await rows(
        connection,
        "SELECT job_id FROM jobs WHERE run = %s AND status <> 'cancelled' AND NOT cancel_requested",
        (run,),
    )
    left = {job_id for (job_id,) in lives}
    return [key for job_id, key in keys.items() if job_id not in left]


# Inside.


async def _lock_runs(connection: Connection, runs: Collection[int], *, wait: bool = True) -> set[int]:
    """Lock rows of runs; without `wait` those that nobody else has locked. Gives their numbers."""
    skip = "" if wait else " SKIP LOCKED"
    locked = await rows(
        connection, f"SELECT run FROM runs WHERE run = ANY(%s) ORDER BY run FOR UPDATE{skip}", (sorted(set(runs)),)
    )
    return {run for (run,) in locked}


async def _lock_run_of(connection: Connection, job_id: str) -> None:
    await connection.execute(
        "SELECT 1 FROM runs WHERE run = (SELECT run FROM jobs WHERE job_id = %s) FOR UPDATE", (job_id,)
    )


async def _not_held(connection: Connection, job_id: str, epoch: int) -> Exception:
    found = await one(connection, "SELECT epoch, status FROM jobs WHERE job_id = %s", (job_id,))
    return refusals.job_not_held(job_id, epoch, None if found is None else (found[0], found[1]))


async def _find(connection: Connection, job_id: str) -> tuple[int, str, bool, bool]:
    """Number, status, whether it is awaited, and whether its end waits in the run's inbox; with both rows locked."""
    await _lock_run_of(connection, job_id)
    await connection.execute("SELECT 1 FROM jobs WHERE job_id = %s FOR UPDATE", (job_id,))
    row = await one(connection, f"SELECT job, status, awaited, {UNHEARD} FROM jobs WHERE job_id = %s", (job_id,))
    if row is None:
        raise refusals.unknown_job(job_id)
    job, status, awaited, unheard = row
    return job, status, awaited, unheard


async def _end_all(connection: Connection, which: str, values: Sequence[Any], ending: Ending) -> None:
    """End all jobs that a condition finds, and tell their runs, whose rows are locked."""
    ended = await rows(
        connection,
        "UPDATE jobs SET status = %s, owner = NULL, error_type = %s, error = %s, details = %s,"
        " updated_at = clock.now, finished_at = clock.now FROM (SELECT now_seconds() AS now) AS clock"
        f" WHERE {which} RETURNING job",
        (*ending, *values),
    )
    await _tell(connection, sorted(job for (job,) in ended))


async def _tell(connection: Connection, jobs: Sequence[int]) -> None:
    """Put the ends of jobs into the inboxes of their runs, if those await them and still listen."""
    if jobs:
        await connection.execute("SELECT tell_of_jobs(%s::bigint[])", (jobs,))
