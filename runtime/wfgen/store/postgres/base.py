"""The base of the PostgreSQL store: control, jobs, definitions, all that is read; each method hands its question on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Literal, TypeVar, Unpack

from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.statistics import WorkflowStatistics
from wfgen.store.deployments import DefinitionRecord, NewDefinition
from wfgen.store.filters import RunFilters, RunQuery
from wfgen.store.jobs import JobEnd, JobRecord, JobStatus
from wfgen.store.postgres import (
    claiming,
    control,
    counting,
    job_queries,
    jobs,
    listing,
    pruning,
    queries,
)
from wfgen.store.postgres import definitions as deployed
from wfgen.store.postgres.connections import Connection
from wfgen.store.postgres.job_ends import JobEnds
from wfgen.store.postgres.queries import earliest
from wfgen.store.records import Held, HookRecord, Message, NewRun, ProcessRecord, RunRecord, RunStatus

T = TypeVar("T")


class PostgresBase(ABC):
    """All of the store that needs no more than one reading or one transaction, in the module that knows it."""

    _job_ends: JobEnds
    """Records the ends of jobs."""

    @abstractmethod
    async def _read(self, work: Callable[[Connection], Awaitable[T]], *, snapshot: bool = False) -> T:
        """Read, on a connection that changes nothing; with `snapshot` all statements see the same."""

    @abstractmethod
    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Change something, in a transaction; it is repeated as a whole where the server asks for that.

        Raises:
            StoreError: the store is not open, or cannot be written.
        """

    # Control.

    async def send(
        self,
        kind: Literal["hook", "cancel", "pause", "resume"],
        *,
        run_id: RunId | None = None,
        token: str | None = None,
        name: str | None = None,
        payload: bytes | None = None,
    ) -> Literal["sent", "duplicate"]:
        """Put a message in a run's inbox. A second request to cancel is a duplicate, too.

        Raises:
            UnknownHookError: no hook has the token, or it timed out or was closed.
            UnknownRunError: no such run.
            RunStateError: it is finished.
        """
        return await self._write(lambda connection: control.send(connection, kind, run_id, token, name, payload))

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """End a run where it stands. Raises UnknownRunError, RunStateError."""
        await self._write(lambda connection: control.terminate(connection, run_id, reason))

    async def retry(self, run_id: str) -> None:
        """Take a failed run up again. Raises UnknownRunError, RunStateError."""
        await self._write(lambda connection: control.retry(connection, run_id))

    async def rollback(self, run_id: str, to: int, *, compensate: bool = False, keep: int | None = None) -> None:
        """Take a run back to one of its checkpoints. Raises UnknownRunError, RunStateError."""
        await self._write(lambda connection: control.rollback(connection, run_id, to, compensate, keep))

    async def fork(
        self, run_id: str, at: int, new: NewRun, *, replace_input: bool = False, keep: int | None = None
    ) -> tuple[RunRecord, bool]:
        """Make a run that begins with the history of another one, up to a checkpoint.

        Raises:
            UnknownRunError: no such run.
            RunStateError: there is no such checkpoint.
            ConflictError: the idempotency key belongs to another run.
        """
        return await self._write(lambda connection: control.fork(connection, run_id, at, new, replace_input, keep))

    async def prune(
        self, before: float, statuses: Collection[RunStatus] | None = None, *, limit: int = 100
    ) -> Sequence[str]:
        """Remove some finished runs that ended before a time, in seconds since the epoch; gives their ids."""
        return await self._write(lambda connection: pruning.prune(connection, before, statuses, limit))

    # Jobs.

    async def next_job(
        self,
        workers: Collection[str],
        *,
        queues: Collection[str] | None = None,
        families: Collection[RunId] | None = None,
    ) -> float:
        """When the next job that could be claimed so is due; infinite if none is."""
        asked = job_queries.next_job(workers, queues, families)
        return await self._read(lambda connection: earliest(connection, *asked))

    async def held_jobs(self, process_id: str) -> Mapping[JobId, tuple[int, bool]]:
        """The jobs that a process works, each with its epoch and whether it is asked to stop."""
        return await self._read(lambda connection: job_queries.held_jobs(connection, process_id))

    async def report_job(self, job_id: JobId, epoch: int, progress: bytes) -> None:
        """Keep what a job's worker reports. Raises LeaseLostError."""
        await self._write(lambda connection: jobs.report_job(connection, job_id, epoch, progress))

    async def finish_job(self, job_id: JobId, epoch: int, end: JobEnd) -> None:
        """Record how a job ended, and tell its run. Raises LeaseLostError."""
        await self._job_ends.record(job_id, epoch, end)

    async def requeue_job(self, job_id: JobId, epoch: int, due: float, failed: JobEnd | None = None) -> None:
        """Put a job back on its queue until `due`, in seconds since the epoch. Raises LeaseLostError."""
        await self._write(lambda connection: jobs.requeue_job(connection, job_id, epoch, due, failed))

    async def get_job(self, job_id: str) -> JobRecord:
        """Raises UnknownJobError."""
        return await self._read(lambda connection: job_queries.get_job(connection, job_id))

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
        """Jobs that fit all filters, newest first. Raises UnknownJobError: there is no job `before`."""
        return await self._read(
            lambda connection: job_queries.list_jobs(connection, run_id, queue, worker, status, before, limit)
        )

    async def waiting_jobs(self) -> Sequence[tuple[str, str, int, float]]:
        """Queue, worker, number of queued jobs that are due and since when the oldest is."""
        return await self._read(job_queries.waiting_jobs)

    async def retry_job(self, job_id: str) -> None:
        """Let a queued job begin at once, or put it on its queue again. Raises UnknownJobError, RunStateError."""
        await self._write(lambda connection: jobs.retry_job(connection, job_id))

    async def discard_job(self, job_id: str) -> None:
        """Take a job away. Raises UnknownJobError, RunStateError."""
        await self._write(lambda connection: jobs.discard_job(connection, job_id))

    async def prune_jobs(self, before: float, *, limit: int = 100) -> Sequence[str]:
        """Remove finished jobs that ended before a time, in seconds since the epoch; gives their ids."""
        return await self._write(lambda connection: jobs.prune_jobs(connection, before, limit))

    # Definitions.

    async def record_definitions(self, definitions: Sequence[NewDefinition]) -> None:
        """Record what a process that registers has; its manifest replaces that of the same steps."""
        await self._write(lambda connection: deployed.record(connection, definitions))

    async def definitions(self, workflow: str | None = None, version: str | None = None) -> Sequence[DefinitionRecord]:
        """What was deployed, sorted; of each version the last deployed shape first."""
        return await self._read(lambda connection: deployed.definitions(connection, workflow, version))

    # Runs.

    async def next_wake(
        self, workflows: Collection[tuple[str, str]], families: Collection[RunId] | None = None
    ) -> float:
        """When the next run of these (name, version) pairs that nobody holds is due; infinite if none is."""
        asked = queries.next_wake(workflows, families)
        return await self._read(lambda connection: earliest(connection, *asked))

    async def epochs(self, run_ids: Collection[str]) -> dict[str, int]:
        """The epochs of runs, by id."""
        return await self._read(lambda connection: queries.epochs(connection, run_ids))

    async def finished(self, run_ids: Collection[str]) -> set[str]:
        """Those of some runs that are finished, or not there any more."""
        return await self._read(lambda connection: queries.finished(connection, run_ids))

    async def messages(
        self, process_id: str, *, after: int = 0, run_id: RunId | None = None
    ) -> tuple[list[Message], int]:
        """Messages for runs that this process holds, oldest first, and the mark for the next reading."""
        return await self._read(lambda connection: claiming.messages(connection, process_id, after, run_id))

    async def get_run(self, run_id: str) -> RunRecord:
        """Raises UnknownRunError."""
        return await self._read(lambda connection: queries.get_run(connection, run_id))

    async def list_runs(self, *, limit: int = 100, **filters: Unpack[RunFilters]) -> list[RunRecord]:
        """Runs that fit all filters, newest first. Raises UnknownRunError: there is no run `before`."""
        query = RunQuery(limit=limit, **filters)
        return await self._read(lambda connection: listing.list_runs(connection, query), snapshot=True)

    async def workflows(self) -> Sequence[tuple[str, str]]:
        """Name and version of the workflows that have runs here, sorted."""
        return await self._read(listing.pairs)

    async def statistics(
        self,
        *,
        workflow: str | None = None,
        version: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Sequence[WorkflowStatistics]:
        """How the runs went that were started in a stretch of time, in seconds since the epoch."""
        # No snapshot for all of it, which would keep what is removed meanwhile from being cleared away.
        return await self._read(lambda connection: counting.statistics(connection, workflow, version, since, until))

    async def count_prunable(self, before: float, statuses: Collection[RunStatus] | None = None) -> int:
        """How many runs repeated `prune` would remove."""
        return await self._read(lambda connection: pruning.count_prunable(connection, before, statuses))

    async def history(self, run_id: str, *, after: int = 0) -> list[Event]:
        """Events with seq > after. Raises UnknownRunError."""
        return await self._read(lambda connection: queries.history(connection, run_id, after))

    async def hooks(
        self, *, run_id: str | None = None, state: str | None = "open", limit: int = 100
    ) -> Sequence[HookRecord]:
        """Hooks, oldest first; of any state when `state` is None."""
        return await self._read(lambda connection: queries.hooks(connection, run_id, state, limit))

    async def processes(self) -> list[tuple[ProcessRecord, float]]:
        """Known processes with the time at which each one's lease ends, in seconds since the epoch."""
        return await self._read(queries.processes)

    async def holdings(self) -> Mapping[str, Held]:
        """What each process holds; only those that hold any."""
        return await self._read(queries.holdings)
