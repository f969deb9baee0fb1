"""What the checks of jobs share: jobs to put, their ends, and a run that has them."""

from __future__ import annotations

import dataclasses
from typing import Any

from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.store.jobs import JobEnd, JobRecord, NewJob
from wfgen.store.protocol import Store
from wfgen.testing.stores.desk import Desk, inbox, new, record

AT = 1_800_000_000.5
R = RunId("r")
WORKER = "users.create"


def job(job_id: str = "j", **changes: Any) -> NewJob:
    """A job to put on its queue; by default that of the operation `0/<id>`."""
    plain = NewJob(
        JobId(job_id), "flow.work", WORKER, f"0/{job_id}", "work", b'{"a":1}', '{"attempts":1}', f"key-{job_id}"
    )
    return dataclasses.replace(plain, **changes)


def created(seq: int, job_id: str = "j", **data: Any) -> Event:
    """The event with which a run records that a step is on a queue."""
    return Event(seq, "job_created", AT, f"0/{job_id}", {"job_id": job_id, "awaited": True, **data})


def done(output: bytes = b"7", attempt: int = 1, **changes: Any) -> JobEnd:
    """The end of a job that completed."""
    return dataclasses.replace(JobEnd("completed", attempt, AT, output), **changes)


async def put(desk: Desk, *jobs: NewJob, lease: float = 15) -> tuple[Store, str]:
    """A run `r` that a process holds, with jobs; gives the store and the process."""
    store: Store = await desk.open()
    process = await desk.register(store, lease)
    await store.create(new("r"), process)
    events = [created(seq, str(one.job_id), awaited=one.awaited) for seq, one in enumerate(jobs, 2)]
    assert await record(store, "r", 1, *events, jobs=list(jobs)) is None
    return store, process


async def take(store: Store, process: str, limit: int = 10, **filters: Any) -> list[JobRecord]:
    return await store.claim_jobs(process, [WORKER], limit, **filters)


async def take_one(store: Store, process: str, **filters: Any) -> JobRecord:
    (taken,) = await take(store, process, **filters)
    return taken


async def told(store: Store, process: str) -> list[tuple[str | None, JobEnd]]:
    """What the run has been told of its jobs: keys and ends."""
    return [(one.name, JobEnd.load(one.payload or b"")) for one in await inbox(store, process) if one.kind == "job"]


async def message_ids(store: Store, process: str) -> list[int]:
    return [one.id for one in await inbox(store, process)]
