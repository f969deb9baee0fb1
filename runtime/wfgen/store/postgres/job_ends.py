"""The ends of jobs on their way to a PostgreSQL store: what comes while others are recorded is recorded together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from wfgen.errors import LeaseLostError, StoreError, WfgenError
from wfgen.ids import JobId
from wfgen.store import refusals
from wfgen.store.jobs import JobEnd
from wfgen.store.postgres.queries import Connection, rows

T = TypeVar("T")

MOST = 500
"""Ends that one transaction records."""

_Finished = tuple[JobId, int, JobEnd]

_FINISH = (
    "SELECT * FROM finish_jobs(%s::text[], %s::bigint[], %s::text[], %s::double precision[], %s::bytea[], %s::text[],"
    " %s::text[], %s::text[], %s::text[])"
)


class _Write(Protocol):
    def __call__(self, work: Callable[[Connection], Awaitable[T]]) -> Awaitable[T]: ...


class JobEnds:
    """Gathers ends of jobs.

    Args:
        write: does something in a transaction.
    """

    def __init__(self, write: _Write) -> None:
        self._write = write
        self._waiting: list[tuple[_Finished, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def record(self, job_id: JobId, epoch: int, end: JobEnd) -> None:
        """Record how a job ended. Raises LeaseLostError."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((job_id, epoch, end), told))
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="wfgen-store-job-ends")
        await told

    async def _work(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                try:
                    await self._record(some)
                finally:
                    for _, told in some:
                        told.cancel()  # of those that have no answer, since this was cancelled
        finally:
            self._task = None

    async def _record(self, some: Sequence[tuple[_Finished, asyncio.Future[None]]]) -> None:
        try:
            refused = await self._write(lambda connection: finish_jobs(connection, [one for one, _ in some]))
        except WfgenError as error:
            if len(some) > 1 and type(error) is StoreError:
                for one in some:  # one of them may be at fault
                    await self._record([one])
                return
            for _, told in some:
                if not told.done():
                    told.set_exception(error)
            return
        for place, (_, told) in enumerate(some):
            if told.done():  # cancelled by who waited
                continue
            if (refusal := refused.get(place)) is not None:
                told.set_exception(refusal)
            else:
                told.set_result(None)


async def finish_jobs(connection: Connection, finished: Sequence[_Finished]) -> dict[int, LeaseLostError]:
    """Record how jobs ended; gives those that were refused, by their places."""
    columns = [(job_id, epoch, *_columns(end)) for job_id, epoch, end in finished]
    refused = await rows(connection, _FINISH, [list(column) for column in zip(*columns, strict=True)])
    found = {}
    for place, current, status in refused:
        job_id, epoch, _ = finished[place - 1]
        found[place - 1] = refusals.job_not_held(job_id, epoch, None if current is None else (current, status))
    return found


def _columns(end: JobEnd) -> tuple[object, ...]:
    return end.status, end.started_at, end.output, end.type, end.error_type, end.error, end.details
