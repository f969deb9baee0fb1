"""What is read of jobs from a store file. Each function is one reading on a given connection."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from wfgen.ids import JobId
from wfgen.store.job_sql import COLUMNS, NEXT_EXPIRY
from wfgen.store.jobs import JobRecord, JobStatus
from wfgen.store.refusals import unknown_job

_JOBS = f"SELECT {COLUMNS} FROM jobs AS j CROSS JOIN runs AS r ON r.run = j.run"
_FLAGS = tuple(place for place, name in enumerate(JobRecord.__slots__) if JobRecord.__annotations__[name] == "bool")
"""Places of the columns that are kept as 0 or 1."""
_GIVEN = "SELECT value FROM json_each(?)"
_FAMILY = (
    f"WITH RECURSIVE family(run) AS (SELECT run FROM runs WHERE run_id IN ({_GIVEN})"
    " UNION SELECT child.run FROM family JOIN runs AS child ON child.parent = family.run)"
)


def get_job(connection: sqlite3.Connection, job_id: str) -> JobRecord:
    row = connection.execute(f"{_JOBS} WHERE j.job_id = ?", (job_id,)).fetchone()
    if row is None:
        raise unknown_job(job_id)
    return _record(row)


def jobs_by_number(connection: sqlite3.Connection, jobs: Sequence[int]) -> list[JobRecord]:
    """In the order that is given."""
    rows = connection.execute(f"SELECT j.job, {_JOBS.removeprefix('SELECT ')} WHERE j.job IN ({_GIVEN})", _given(jobs))
    found = {row[0]: _record(row[1:]) for row in rows}
    return [found[job] for job in jobs]


def _record(row: Sequence[Any]) -> JobRecord:
    columns = list(row)
    for place in _FLAGS:
        columns[place] = bool(columns[place])
    return JobRecord(*columns)


def due_jobs(
    connection: sqlite3.Connection,
    workers: Collection[str],
    queues: Collection[str] | None,
    families: Collection[str] | None,
    now: float,
    limit: int,
) -> list[int]:
    """Numbers of queued jobs that are due, the longest overdue first."""
    return [job for _, job in _queued(connection, workers, queues, families, now, limit)][:limit]


def next_job(
    connection: sqlite3.Connection,
    workers: Collection[str],
    queues: Collection[str] | None,
    families: Collection[str] | None,
) -> float:
    """When the next queued job is due, or any one expires; infinite without one."""
    due = next((due for due, _ in _queued(connection, workers, queues, families, math.inf, 1)), math.inf)
    (expires_at,) = connection.execute(NEXT_EXPIRY).fetchone()
    return due if expires_at is None else min(due, expires_at)


def _queued(
    connection: sqlite3.Connection,
    workers: Collection[str],
    queues: Collection[str] | None,
    families: Collection[str] | None,
    until: float,
    limit: int,
) -> list[tuple[float, int]]:
    """When the first queued jobs of each worker are due, with their numbers; soonest first."""
    if limit <= 0:
        return []
    wanted, values = _wanted(queues)
    found: list[tuple[float, int]] = []
    if families is not None:
        # A family is small: its jobs are looked through.
        rows = connection.execute(
            f"{_FAMILY} SELECT due, job FROM family CROSS JOIN jobs USING (run) WHERE status = 'queued' AND due <= ?"
            f" AND worker IN ({_GIVEN}){wanted} ORDER BY due, job LIMIT ?",
            (*_given(families), until, *_given(workers), *values, limit),
        )
        return rows.fetchall()
    for worker in workers:
        found += connection.execute(
            f"SELECT due, job FROM jobs WHERE status = 'queued' AND worker = ? AND due <= ?{wanted}"
            " ORDER BY due, job LIMIT ?",
            (worker, until, *values, limit),
        )
    found.sort()
    return found


def _wanted(queues: Collection[str] | None) -> tuple[str, list[str]]:
    """The condition for queues by name, or by a beginning that ends in `*`, and its values."""
    if queues is None:
        return "", []
    values = [json.dumps([queue for queue in queues if not queue.endswith("*")])]
    conditions = [f"queue IN ({_GIVEN})"]
    for queue in queues:
        if queue.endswith("*"):
            conditions.append("substr(queue, 1, length(?)) = ?")
            values += [queue[:-1]] * 2
    return f" AND ({' OR '.join(conditions)})", values


def held_jobs(connection: sqlite3.Connection, process_id: str) -> dict[JobId, tuple[int, bool]]:
    rows = connection.execute("SELECT job_id, epoch, cancel_requested FROM jobs WHERE owner = ?", (process_id,))
    return {job_id: (epoch, bool(asked)) for job_id, epoch, asked in rows}


def list_jobs(
    connection: sqlite3.Connection,
    run_id: str | None,
    queue: str | None,
    worker: str | None,
    status: Collection[JobStatus] | None,
    before: str | None,
    limit: int,
) -> list[JobRecord]:
    conditions: list[str] = []
    values: list[Any] = []
    for column, value in (("r.run_id", run_id), ("j.queue", queue), ("j.worker", worker)):
        if column == "j.queue" and value is not None and value.endswith("*"):
            conditions.append("substr(j.queue, 1, length(?)) = ?")
            values += [value[:-1]] * 2
        elif value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if status is not None:
        conditions.append(f"j.status IN ({_GIVEN})")
        values += _given(sorted(status))
    if before is not None:
        row = connection.execute("SELECT job FROM jobs WHERE job_id = ?", (before,)).fetchone()
        if row is None:
            raise unknown_job(before)
        conditions.append("j.job < ?")
        values.append(row[0])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    # Of one run they are found by that; else they are gone through from the newest on.
    jobs = _JOBS if run_id is None else _JOBS.replace("CROSS JOIN", "JOIN")
    return [_record(row) for row in connection.execute(f"{jobs}{where} ORDER BY j.job DESC LIMIT ?", (*values, limit))]


def waiting_jobs(connection: sqlite3.Connection, now: float) -> list[tuple[str, str, int, float]]:
    """Queue, worker, number of queued jobs that are due, and since when the oldest is."""
    rows = connection.execute(
        "SELECT queue, worker, count(*), min(due) FROM jobs WHERE status = 'queued' AND due <= ?"
        " GROUP BY queue, worker ORDER BY queue, worker",
        (now,),
    )
    return rows.fetchall()


def _given(values: Iterable[int] | Iterable[str]) -> tuple[str]:
    return (json.dumps(list(values)),)
