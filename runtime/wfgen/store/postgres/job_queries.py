"""What is read of jobs from a PostgreSQL store. Each function is one reading on a given connection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from wfgen.ids import JobId
from wfgen.store.job_sql import COLUMNS, NEXT_EXPIRY
from wfgen.store.jobs import JobRecord, JobStatus
from wfgen.store.postgres.queries import FAMILY, Connection, one, planned, rows
from wfgen.store.refusals import unknown_job

_JOBS = f"SELECT {COLUMNS} FROM jobs AS j JOIN runs AS r ON r.run = j.run"

OF_WORKERS = "jobs.status = 'queued' AND jobs.worker = ANY(%(workers)s)"


def queued(
    workers: Collection[str],
    queues: Collection[str] | None,
    families: Collection[str] | None,
    until: str,
    limit: int,
) -> tuple[str, dict[str, Any]]:
    """A statement that gives `due` and `job` of queued jobs of these workers, soonest first, and its values.

    It reads the index of each worker no further than the limit; a family is small: its jobs are looked through.

    Args:
        workers: ids.
        queues: names, or beginnings of names that end in `*`; None for all.
        families: ids of runs, whose jobs and those of their children are meant; None for all.
        until: SQL of the time until which they are due.
        limit: how many at most.
    """
    condition = f"jobs.status = 'queued' AND jobs.due <= {until}"
    values: dict[str, Any] = {"workers": sorted(set(workers)), "look": limit}
    if queues is not None:
        condition += " AND (jobs.queue = ANY(%(queues)s) OR EXISTS (SELECT 1 FROM unnest(%(beginnings)s::text[])"
        condition += " AS beginning WHERE starts_with(jobs.queue, beginning)))"
        values["queues"] = [queue for queue in queues if not queue.endswith("*")]
        values["beginnings"] = [queue[:-1] for queue in queues if queue.endswith("*")]
    order = "ORDER BY due, job LIMIT %(look)s"
    if families is not None:
        values["families"] = list(families)
        return (
            f"SELECT due, job FROM jobs WHERE run = ANY(ARRAY({FAMILY})) AND worker = ANY(%(workers)s)"
            f" AND {condition} {order}",
            values,
        )
    return (
        "SELECT due, job FROM unnest(%(workers)s::text[]) AS served, LATERAL"
        f" (SELECT due, job FROM jobs WHERE worker = served AND {condition} {order}) AS soonest {order}",
        values,
    )


def next_job(
    workers: Collection[str], queues: Collection[str] | None, families: Collection[str] | None
) -> tuple[str, dict[str, Any]]:
    """A statement that gives when the next queued job is due or any one expires, null without one, and its values."""
    soonest, values = queued(workers, queues, families, "'Infinity'", 1)
    return f"SELECT least((SELECT due FROM ({soonest}) AS next), ({NEXT_EXPIRY}))", values


async def get_job(connection: Connection, job_id: str) -> JobRecord:
    """Raises UnknownJobError."""
    row = await one(connection, f"{_JOBS} WHERE j.job_id = %s", (job_id,))
    if row is None:
        raise unknown_job(job_id)
    return JobRecord(*row)


async def held_jobs(connection: Connection, process_id: str) -> dict[JobId, tuple[int, bool]]:
    """The jobs that a process works, each with its epoch and whether it is asked to stop."""
    found = await rows(connection, "SELECT job_id, epoch, cancel_requested FROM jobs WHERE owner = %s", (process_id,))
    return {job_id: (epoch, asked) for job_id, epoch, asked in found}


async def list_jobs(
    connection: Connection,
    run_id: str | None,
    queue: str | None,
    worker: str | None,
    status: Collection[JobStatus] | None,
    before: str | None,
    limit: int,
) -> list[JobRecord]:
    """Jobs that fit all filters, newest first. Raises UnknownJobError: there is no job `before`."""
    conditions: list[str] = []
    values: list[Any] = []
    if run_id is not None:
        conditions.append("j.run = (SELECT run FROM runs WHERE run_id = %s)")
        values.append(run_id)
    for column, value in (("j.queue", queue), ("j.worker", worker)):
        if column == "j.queue" and value is not None and value.endswith("*"):
            conditions.append("starts_with(j.queue, %s)")
            values.append(value[:-1])
        elif value is not None:
            conditions.append(f"{column} = %s")
            values.append(value)
    if status is not None:
        conditions.append("j.status = ANY(%s)")
        values.append(sorted(status))
    if before is not None:
        row = await one(connection, "SELECT job FROM jobs WHERE job_id = %s", (before,))
        if row is None:
            raise unknown_job(before)
        conditions.append("j.job < %s")
        values.append(row[0])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = await planned(connection, f"{_JOBS}{where} ORDER BY j.job DESC LIMIT %s", (*values, limit))
    return [JobRecord(*row) for row in found]


async def waiting_jobs(connection: Connection) -> Sequence[tuple[str, str, int, float]]:
    """Queue, worker, number of queued jobs that are due, and since when the oldest is."""
    found = await rows(
        connection,
        "SELECT queue, worker, count(*), min(due) FROM jobs WHERE status = 'queued' AND due <= (SELECT now_seconds())"
        " GROUP BY queue, worker ORDER BY queue, worker",
    )
    return [(queue, worker, count, due) for queue, worker, count, due in found]
