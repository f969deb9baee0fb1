"""What is done to the jobs of a store file: who works which job, and how it ends.

The end of a job that its run awaits becomes a message to the run, in the transaction that records it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from wfgen.environment import Clock
from wfgen.store import refusals
from wfgen.store.job_sql import UNHEARD
from wfgen.store.jobs import CANCELLED, DISCARDED, EXPIRED, INTERRUPTED, JOB_FINISHED, JobEnd, JobRecord, NewJob
from wfgen.store.sqlite import job_queries
from wfgen.store.sqlite.rows import storable

if TYPE_CHECKING:
    from wfgen.store.sqlite.transitions import Transitions

_OPEN = "finished_at IS NULL"


class JobTransitions:
    """The transitions of one connection that concern jobs."""

    def __init__(self, transitions: Transitions, connection: sqlite3.Connection, clock: Clock) -> None:
        self._transitions = transitions
        self._connection = connection
        self._clock = clock

    # By what runs record.

    def put(self, run: int, jobs: Iterable[NewJob]) -> None:
        """Put jobs of a run on their queues; one whose id is there already is left alone."""
        now = self._clock.time()
        self._connection.executemany(
            "INSERT INTO jobs (job_id, run, part, queue, worker, key, name, input, policy, idempotency_key, awaited,"
            " at_most_once, due, created_at, updated_at, expires_at) VALUES (?, ?, (SELECT first_seq FROM runs WHERE"
            " run = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id) DO NOTHING",
            [
                (
                    j.job_id, run, run, j.queue, j.worker, j.key, j.name, j.input, j.policy, j.idempotency_key,
                    j.awaited, j.at_most_once, now, now, now, j.expires_at,
                )
                for j in jobs
            ],
        )  # fmt: skip

    def give_up(self, run: int, key: str | None = None) -> None:
        """Nobody waits any more for the unfinished jobs of a run, or for that of one of its operations.

        Those that nobody works end as cancelled, who works another one is asked to stop; what is not awaited goes on.
        """
        which, values = f"run = ? AND awaited AND {_OPEN}", [run, *([] if key is None else [key])]
        if key is not None:
            which += " AND key = ?"
        self._end_all(f"{which} AND owner IS NULL", values, *CANCELLED)
        self._connection.execute(f"UPDATE jobs SET cancel_requested = 1 WHERE {which}", values)

    # By the processes that work them.

    def claim(
        self,
        process_id: str,
        workers: Collection[str],
        limit: int,
        queues: Collection[str] | None,
        families: Collection[str] | None,
    ) -> list[JobRecord]:
        """Take queued jobs that are due; processes that are gone lose theirs before, and what has expired is ended."""
        self._transitions.flush()
        now = self._clock.time()
        self._transitions.claiming.remove_gone(process_id, now)
        self._end_all(
            "status = 'queued' AND expires_at IS NOT NULL AND expires_at <= ? AND attempt = 0",
            [now],
            *EXPIRED,
        )
        taken = job_queries.due_jobs(self._connection, workers, queues, families, now, limit)
        self._connection.executemany(
            "UPDATE jobs SET status = 'running', owner = ?1, epoch = epoch + 1, attempt = attempt + 1,"
            " claims = claims + 1, started_at = ?2, first_at = coalesce(first_at, ?2), updated_at = ?2 WHERE job = ?3",
            [(process_id, now, job) for job in taken],
        )
        return job_queries.jobs_by_number(self._connection, taken)

    def abandon(self, process_id: str, *, says_goodbye: bool) -> None:
        """A process is gone: its jobs go back on their queues, or end as what may not begin a second time."""
        mine = [process_id]
        self._end_all("owner = ? AND cancel_requested", mine, *CANCELLED)
        self._end_all("owner = ? AND at_most_once", mine, *INTERRUPTED)
        now = self._clock.time()
        self._connection.execute(
            "UPDATE jobs SET status = 'queued', owner = NULL, due = ?, claims = CASE WHEN ? THEN 0 ELSE claims END"
            " WHERE owner = ?",
            (now, says_goodbye, process_id),
        )

    def report(self, job_id: str, epoch: int, progress: bytes) -> None:
        """Keep what a job's worker reports."""
        job = self._held(job_id, epoch)
        now = self._clock.time()
        self._connection.execute("UPDATE jobs SET progress = ?, updated_at = ? WHERE job = ?", (progress, now, job))

    def finish(self, job_id: str, epoch: int, end: JobEnd) -> None:
        """Record how a job ended."""
        self._end(self._held(job_id, epoch), end)

    def requeue(self, job_id: str, epoch: int, due: float, failed: JobEnd | None) -> None:
        """Put a job back on its queue; one that was given up meanwhile ends."""
        job = self._held(job_id, epoch)
        self._connection.execute(
            "UPDATE jobs SET status = 'queued', owner = NULL, claims = 0, due = ?, updated_at = ? WHERE job = ?",
            (due, self._clock.time(), job),
        )
        if failed is not None:
            self._connection.execute(
                "UPDATE jobs SET error_type = ?, error = ?, details = ? WHERE job = ?",
                (failed.error_type, storable(failed.error), storable(failed.details), job),
            )
        else:
            self._connection.execute(
                "UPDATE jobs SET attempt = attempt - 1, first_at = CASE WHEN attempt > 1 THEN first_at END,"
                " started_at = CASE WHEN attempt > 1 THEN started_at END WHERE job = ?",
                (job,),
            )
        self._end_all("job = ? AND cancel_requested", [job], *CANCELLED)

    # By people.

    def retry(self, job_id: str) -> None:
        """Let a queued job begin at once, or put one that did not complete on its queue again."""
        job, status, awaited, unheard = self._find(job_id)
        now = self._clock.time()
        if status == "queued":
            self._connection.execute("UPDATE jobs SET due = ? WHERE job = ?", (now, job))
            return
        if status in ("running", "completed"):
            raise refusals.job_cannot_be_retried(job_id, status)
        if awaited and not unheard:
            raise refusals.job_cannot_be_retried(job_id, status)
        self._withdraw(job)
        self._connection.execute(
            "UPDATE jobs SET status = 'queued', attempt = 0, claims = 0, first_at = NULL, started_at = NULL,"
            " finished_at = NULL, output = NULL, type = NULL, error_type = NULL, error = NULL, details = NULL,"
            " progress = NULL, cancel_requested = 0, due = ?1, updated_at = ?1, created_at = created_at,"
            " expires_at = expires_at - created_at + ?1 WHERE job = ?2",
            (now, job),
        )

    def discard(self, job_id: str) -> None:
        """Take a job away: an unfinished one ends, a finished one is removed."""
        job, status, _, unheard = self._find(job_id)
        if status not in JOB_FINISHED:
            # Whoever works it has an epoch of the past.
            self._connection.execute("UPDATE jobs SET epoch = epoch + 1, owner = NULL WHERE job = ?", (job,))
            self._end_all("job = ?", [job], *DISCARDED)
            return
        if unheard:
            raise refusals.job_cannot_be_discarded(job_id, status)
        self._connection.execute("DELETE FROM jobs WHERE job = ?", (job,))

    def prune(self, before: float, limit: int) -> list[str]:
        """Remove finished jobs that ended before a time and whose run has heard of it; gives their ids."""
        self._transitions.flush()
        gone = self._connection.execute(
            "SELECT job, job_id FROM jobs WHERE finished_at IS NOT NULL AND finished_at < ?"
            f" AND NOT {UNHEARD} ORDER BY finished_at LIMIT ?",
            (before, limit),
        ).fetchall()
        self._connection.executemany("DELETE FROM jobs WHERE job = ?", [(job,) for job, _ in gone])
        return [job_id for _, job_id in gone]

    # By controls of runs.

    def settle(self, run: int, counted: Collection[str], ended: Collection[str | None], first: int) -> None:
        """Bring the jobs of a run in line with what counts of its history.

        Args:
            run: its number.
            counted: ids of the jobs that count.
            ended: keys of the operations whose end counts.
            first: seq with which the part of its history begins that counts.
        """
        connection = self._connection
        connection.execute("DELETE FROM messages WHERE run = ? AND kind = 'job'", (run,))
        for job, job_id, key, finished_at, part in connection.execute(
            "SELECT job, job_id, key, finished_at, part FROM jobs WHERE run = ? AND awaited", (run,)
        ).fetchall():
            if job_id in counted:
                if finished_at is not None and key not in ended and part == first:
                    self._tell(job)
            elif part is not None and part >= first:
                connection.execute("UPDATE jobs SET part = NULL WHERE job = ?", (job,))
                self.give_up(run, key)

    def lost(self, run: int, keys: dict[str, str]) -> list[str]:
        """Keys, of those by job id, whose job was taken from its queue, is asked to stop, or is gone."""
        lives = self._connection.execute(
            "SELECT job_id FROM jobs WHERE run = ? AND status <> 'cancelled' AND NOT cancel_requested", (run,)
        )
        left = {job_id for (job_id,) in lives}
        return [key for job_id, key in keys.items() if job_id not in left]

    # Inside.

    def _held(self, job_id: str, epoch: int) -> int:
        row = self._connection.execute(
            "SELECT job, epoch, owner, status FROM jobs WHERE job_id = ?", (job_id,)
        ).fetchone()
        if row is not None and row[1] == epoch and row[2] is not None:
            return int(row[0])
        raise refusals.job_not_held(job_id, epoch, None if row is None else (row[1], row[3]))

    def _find(self, job_id: str) -> tuple[int, str, bool, bool]:
        """Number, status, whether it is awaited, and whether its end waits in the run's inbox."""
        self._transitions.flush()
        row = self._connection.execute(
            f"SELECT job, status, awaited, {UNHEARD} FROM jobs WHERE job_id = ?", (job_id,)
        ).fetchone()
        if row is None:
            raise refusals.unknown_job(job_id)
        return int(row[0]), row[1], bool(row[2]), bool(row[3])

    def _end_all(self, which: str, values: list[Any], status: str, error_type: str, error: str, details: str) -> None:
        """End all jobs that a condition finds, and tell their runs."""
        now = self._clock.time()
        ended = self._connection.execute(
            "UPDATE jobs SET status = ?, owner = NULL, error_type = ?, error = ?, details = ?, updated_at = ?,"
            f" finished_at = ? WHERE {which} RETURNING job",
            (status, error_type, error, details, now, now, *values),
        ).fetchall()
        for (job,) in ended:
            self._tell(job)

    def _end(self, job: int, end: JobEnd) -> None:
        now = self._clock.time()
        self._connection.execute(
            "UPDATE jobs SET status = ?, owner = NULL, started_at = ?, output = ?, type = ?, error_type = ?, error = ?,"
            " details = ?, updated_at = ?, finished_at = ? WHERE job = ?",
            (
                end.status, end.started_at, end.output, end.type, end.error_type, storable(end.error),
                storable(end.details), now, now, job,
            ),
        )  # fmt: skip
        self._tell(job)

    def _tell(self, job: int) -> None:
        """Put a finished job's end into the inbox of its run, if that awaits it and still listens."""
        run, part, key, awaited, *end, started_at, updated_at = self._connection.execute(
            "SELECT run, part, key, awaited, output, type, error_type, error, details, status, attempt, started_at,"
            " updated_at FROM jobs WHERE job = ?",
            (job,),
        ).fetchone()
        if not awaited:
            return
        output, type, error_type, error, details, status, attempt = end
        began = updated_at if started_at is None else started_at
        payload = JobEnd(status, attempt, began, output, type, error_type, error, details).dump()
        self._connection.execute(
            "INSERT INTO messages (run, kind, name, payload)"
            " SELECT run, 'job', ?, ? FROM runs WHERE run = ? AND finished_at IS NULL AND first_seq = ?",
            (key, payload, run, part),
        )

    def _withdraw(self, job: int) -> None:
        self._connection.execute(
            "DELETE FROM messages WHERE kind = 'job' AND (run, name) = (SELECT run, key FROM jobs WHERE job = ?"
            " AND awaited)",
            (job,),
        )
