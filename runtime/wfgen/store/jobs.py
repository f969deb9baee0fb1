"""Jobs as the engine sees them: steps that are handed to another process over a queue.

A job is put on its queue in the transaction that records `job_created` in its run, under an id that derives from the
run and the step, so that it is there once. A process takes it with a lease and an epoch, as it takes a run; and in the
transaction that records its end, the store puts that end into the run's inbox, where only the process that holds the
run turns it into an event.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from wfgen.errors import JobDiscardedError, JobExpiredError, StepInterruptedError
from wfgen.ids import JobId, RunId

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled", "expired"]
"""`queued` also between two attempts; `expired`: no process took it in time."""

JOB_FINISHED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be put on its queue, by the append that records it."""

    job_id: JobId
    queue: str
    """Workflow and step: `onboarding.create_user`."""
    worker: str
    """Id of the worker whose function it is."""
    key: str
    """Key of the run's operation."""
    name: str
    """Name of the step."""
    input: bytes | None
    """Encoded; None without one."""
    policy: str
    """How it is tried, as JSON: see `wfgen.job_policy`."""
    idempotency_key: str
    """Of the step: the same in each attempt."""
    awaited: bool = True
    """Whether the run hears of its end."""
    at_most_once: bool = False
    """Whether it is never begun a second time."""
    expires_at: float | None = None
    """When it is given up if no process has begun it, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands."""

    job_id: JobId
    run_id: RunId
    workflow: str
    version: str
    queue: str
    worker: str
    key: str
    name: str
    status: JobStatus
    input: bytes | None
    policy: str
    idempotency_key: str
    awaited: bool
    at_most_once: bool
    attempt: int
    """Attempts begun; that of a process that died counts."""
    first_at: float | None
    """When the first attempt began, in seconds since the epoch."""
    started_at: float | None
    """When the last attempt began."""
    claims: int
    """How often in a row a process took it and neither ended the attempt nor gave it back."""
    epoch: int
    """Raised by each claim: who has an older one can neither end it nor report."""
    owner: str | None
    """The process that works it."""
    due: float
    """Queued: when it may begin, in seconds since the epoch."""
    cancel_requested: bool
    """Whether the process that works it is asked to stop."""
    progress: bytes | None
    """What its worker reported last, encoded."""
    output: bytes | None
    """Encoded result, once completed; of a failed one what it reported last."""
    type: str | None
    """Class of an output that has no declared type, as `module:qualname`."""
    error_type: str | None
    """Of the last attempt that failed."""
    error: str | None
    details: str | None
    """More of that failure, as JSON (traceback, whether it timed out)."""
    created_at: float
    updated_at: float
    """When it was last taken, reported on, or ended."""
    expires_at: float | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended, or an attempt at it."""

    status: Literal["completed", "failed", "cancelled", "expired"]
    attempt: int
    started_at: float
    """Of the last attempt, in seconds since the epoch."""
    output: bytes | None = None
    """Encoded result, once completed; of a failed one what it reported last."""
    type: str | None = None
    error_type: str | None = None
    error: str | None = None
    details: str | None = None

    def dump(self) -> bytes:
        """As bytes: a line of JSON, then the output as it is."""
        head = [self.status, self.attempt, self.started_at, self.type, self.error_type, self.error, self.details]
        return json.dumps(head).encode() + b"\n" + (self.output or b"")

    @classmethod
    def load(cls, dumped: bytes) -> JobEnd:
        """The opposite of `dump`."""
        head, _, output = dumped.partition(b"\n")
        status, attempt, started_at, type, error_type, error, details = json.loads(head)
        return cls(status, attempt, started_at, output or None, type, error_type, error, details)


Ending = tuple[str, str, str, str]
"""The end that a store itself gives to a job: status, error type, error, and details as JSON."""


def _name(error: type[Exception]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


CANCELLED: Ending = ("cancelled", "CancelledError", "it was cancelled", "{}")
EXPIRED: Ending = (
    "expired", _name(JobExpiredError), "no process took it off its queue in time", json.dumps({"expired": True})
)  # fmt: skip
INTERRUPTED: Ending = (
    "failed",
    _name(StepInterruptedError),
    "it runs at most once, and its process ended before its end was recorded",
    json.dumps({"interrupted": True}),
)
DISCARDED: Ending = (
    "cancelled", _name(JobDiscardedError), "somebody has discarded its job", json.dumps({"discarded": True})
)  # fmt: skip


class JobStore(Protocol):
    """What every store does with jobs; part of `Store`. Coroutines of the engine's loop.

    All methods raise `StoreError` and its kin when the store cannot be used.
    """

    async def claim_jobs(
        self,
        process_id: str,
        workers: Collection[str],
        limit: int,
        *,
        queues: Collection[str] | None = None,
        families: Collection[RunId] | None = None,
    ) -> list[JobRecord]:
        """Take up to `limit` queued jobs of these workers that are due, the longest overdue first.

        Raises each one's epoch, counts the attempt, sets it to this process. Processes that have lapsed lose theirs
        before: such a job is queued again, or has failed (StepInterruptedError) if it runs at most once. What has
        expired is ended on the way, whoever its worker is, with its run told.

        Args:
            process_id: the process.
            workers: ids of the workers whose functions it has.
            limit: how many.
            queues: names of queues, or beginnings of names that end in `*`; None for all.
            families: only jobs of these runs, of their children and theirs.

        Raises:
            LeaseLostError: the process is not registered, or has lost its own lease.
        """
        ...

    async def next_job(
        self,
        workers: Collection[str],
        *,
        queues: Collection[str] | None = None,
        families: Collection[RunId] | None = None,
    ) -> float:
        """When the next job that could be claimed so is due, or any job expires; infinite if none is."""
        ...

    async def held_jobs(self, process_id: str) -> Mapping[JobId, tuple[int, bool]]:
        """The jobs that a process works, each with its epoch and whether it is asked to stop."""
        ...

    async def report_job(self, job_id: JobId, epoch: int, progress: bytes) -> None:
        """Keep what a job's worker reports in place of the last report. Raises LeaseLostError: it is another's now."""
        ...

    async def finish_job(self, job_id: JobId, epoch: int, end: JobEnd) -> None:
        """Record how a job ended, and tell its run if that waits for it.

        Raises:
            LeaseLostError: another process has it, or it was ended meanwhile; nothing was recorded.
        """
        ...

    async def requeue_job(self, job_id: JobId, epoch: int, due: float, failed: JobEnd | None = None) -> None:
        """Put a job back on its queue until `due`, in seconds since the epoch.

        Args:
            job_id: the job.
            epoch: with which it was claimed.
            due: when it may begin again.
            failed: what the attempt came to; None gives it back as if the attempt had not begun.

        Raises:
            LeaseLostError: another process has it, or it was ended meanwhile; nothing was recorded.
        """
        ...

    async def get_job(self, job_id: str) -> JobRecord:
        """Raises UnknownJobError."""
        ...

    async def list_jobs(
        self,
        *,
        run_id: str | None = None,
        queue: str | None = None,
        worker: str | None = None,
        status: Collection[JobStatus] | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[JobRecord]:
        """Jobs that fit all filters, newest first. Page with `before`, a job's id. Raises UnknownJobError for it.

        The queue is a name, or a beginning that ends in `*`.
        """
        ...

    async def waiting_jobs(self) -> Sequence[tuple[str, str, int, float]]:
        """Queue, worker, number of queued jobs that are due and since when the oldest is, for each queue and worker."""
        ...

    async def retry_job(self, job_id: str) -> None:
        """Let a queued job begin at once; put one that did not complete on its queue again, with attempts anew.

        Raises:
            UnknownJobError: no such job.
            RunStateError: it is at work or has completed, or its run has heard of its end already.
        """
        ...

    async def discard_job(self, job_id: str) -> None:
        """Take a job away: one that is not finished ends as cancelled, and its run is told; a finished one is removed.

        Raises:
            UnknownJobError: no such job.
            RunStateError: it is finished, and its run has not heard of its end yet.
        """
        ...

    async def prune_jobs(self, before: float, *, limit: int = 100) -> Sequence[str]:
        """Remove finished jobs that ended before a time and whose run has heard of it; gives their ids. Repeat until
        none goes. Jobs also go with their runs."""
        ...
