"""The base of the SQLite store: control, jobs, definitions, and all that is read; each method hands its question on."""

from __future__ import annotations

import math
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar, Unpack

from wfgen.environment import Clock
from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.statistics import WorkflowStatistics
from wfgen.store.deployments import DefinitionRecord, NewDefinition
from wfgen.store.filters import RunFilters, RunQuery, parts
from wfgen.store.jobs import JobEnd, JobRecord, JobStatus
from wfgen.store.records import Held, HookRecord, Message, NewRun, ProcessRecord, RunRecord, RunStatus
from wfgen.store.sqlite import counting, job_queries, listing, pruning, queries
from wfgen.store.sqlite import definitions as deployed
from wfgen.store.sqlite.transitions import Transitions

_T = TypeVar("_T")


class SQLiteBase(ABC):
    """All of the store that needs no more than one reading or one transaction, in the module that knows it."""

    @property
    @abstractmethod
    def clock(self) -> Clock:
        """The clock of all times that the store records."""

    @abstractmethod
    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Read, on the reading thread."""

    @abstractmethod
    async def _write(self, work: Callable[[Transitions], _T], *, brief: bool = False) -> _T:
        """Change something, in a transaction of the committing thread; `brief` work is done together with other such.

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
        return await self._write(lambda transitions: transitions.send(kind, run_id, token, name, payload))

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """End a run where it stands. Raises UnknownRunError, RunStateError."""
        await self._write(lambda transitions: transitions.control.terminate(run_id, reason))

    async def retry(self, run_id: str) -> None:
        """Take a failed run up again. Raises UnknownRunError, RunStateError."""
        await self._write(lambda transitions: transitions.control.retry(run_id))

    async def rollback(self, run_id: str, to: int, *, compensate: bool = False, keep: int | None = None) -> None:
        """Take a run back to one of its checkpoints. Raises UnknownRunError, RunStateError."""
        await self._write(lambda transitions: transitions.control.rollback(run_id, to, compensate, keep))

    async def fork(
        self, run_id: str, at: int, new: NewRun, *, replace_input: bool = False, keep: int | None = None
    ) -> tuple[RunRecord, bool]:
        """Make a run that begins with the history of another one, up to a checkpoint.

        Raises:
            UnknownRunError: no such run.
            RunStateError: there is no such checkpoint.
            ConflictError: the idempotency key belongs to another run.
        """
        return await self._write(lambda transitions: transitions.control.fork(run_id, at, new, replace_input, keep))

    # Runs.

    async def epochs(self, run_ids: Collection[str]) -> dict[str, int]:
        """The epochs of runs, by id."""
        return await self._read(lambda connection: queries.epochs(connection, run_ids))

    async def finished(self, run_ids: Collection[str]) -> set[str]:
        """Those of some runs that are finished, or not there any more."""
        return await self._read(lambda connection: queries.finished(connection, run_ids))

    async def messages(
        self, process_id: str, *, after: int = 0, run_id: RunId | None = None
    ) -> tuple[list[Message], int]:
        """Messages for runs that this process holds, oldest first, and the number of the last one as the mark."""
        found = await self._read(lambda connection: queries.messages_of_process(connection, process_id, after, run_id))
        return found, found[-1].id if found else after

    # Jobs.

    async def next_job(
        self,
        workers: Collection[str],
        *,
        queues: Collection[str] | None = None,
        families: Collection[RunId] | None = None,
    ) -> float:
        """When the next job that could be claimed so is due, or any job expires; infinite if none is."""
        return await self._read(lambda connection: job_queries.next_job(connection, workers, queues, families))

    async def held_jobs(self, process_id: str) -> Mapping[JobId, tuple[int, bool]]:
        """The jobs that a process works, each with its epoch and whether it is asked to stop."""
        return await self._read(lambda connection: job_queries.held_jobs(connection, process_id))

    async def report_job(self, job_id: JobId, epoch: int, progress: bytes) -> None:
        """Keep what a job's worker reports. Raises LeaseLostError."""
        await self._write(lambda transitions: transitions.jobs.report(job_id, epoch, progress), brief=True)

    async def finish_job(self, job_id: JobId, epoch: int, end: JobEnd) -> None:
        """Record how a job ended, and tell its run. Raises LeaseLostError."""
        await self._write(lambda transitions: transitions.jobs.finish(job_id, epoch, end), brief=True)

    async def requeue_job(self, job_id: JobId, epoch: int, due: float, failed: JobEnd | None = None) -> None:
        """Put a job back on its queue until `due`, in seconds since the epoch. Raises LeaseLostError."""
        await self._write(lambda transitions: transitions.jobs.requeue(job_id, epoch, due, failed), brief=True)

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
        now = self.clock.time()
        return await self._read(lambda connection: job_queries.waiting_jobs(connection, now))

    async def retry_job(self, job_id: str) -> None:
        """Let a queued job begin at once, or put it on its queue again. Raises UnknownJobError, RunStateError."""
        await self._write(lambda transitions: transitions.jobs.retry(job_id))

    async def discard_job(self, job_id: str) -> None:
        """Take a job away. Raises UnknownJobError, RunStateError."""
        await self._write(lambda transitions: transitions.jobs.discard(job_id))

    async def prune_jobs(self, before: float, *, limit: int = 100) -> Sequence[str]:
        """Remove finished jobs that ended before a time, in seconds since the epoch; gives their ids."""
        return await self._write(lambda transitions: transitions.jobs.prune(before, limit))

    # Reading and pruning.

    async def get_run(self, run_id: str) -> RunRecord:
        """Raises UnknownRunError."""
        return await self._read(lambda connection: queries.get_run(connection, run_id))

    async def list_runs(self, *, limit: int = 100, **filters: Unpack[RunFilters]) -> list[RunRecord]:
        """Runs that fit all filters, newest first. Raises UnknownRunError: there is no run `before`."""
        query = RunQuery(limit=limit, **filters)
        return await self._read(lambda connection: listing.list_runs(connection, query))

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
        begin, end = 0.0 if since is None else since, math.inf if until is None else until
        found = []
        for pair in await self._read(lambda connection: listing.pairs(connection, workflow, version)):
            one = WorkflowStatistics(*pair)
            for part in parts(pair, begin, end):
                await self._read(partial(counting.count_runs, found=one, part=part))
                last = (-math.inf, 0)
                while runs := await self._read(partial(counting.next_runs, part=part, after=last)):
                    await self._read(partial(counting.count_steps, found=one, runs=runs))
                    last = runs[-1]
            if one.runs:
                found.append(one)
        return found

    async def prune(
        self, before: float, statuses: Collection[RunStatus] | None = None, *, limit: int = 100
    ) -> Sequence[str]:
        """Remove some finished runs that ended before a time, in seconds since the epoch; gives their ids."""
        return await self._write(lambda transitions: transitions.prune(before, statuses, limit))

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

    # Processes and what they have brought.

    async def processes(self) -> list[tuple[ProcessRecord, float]]:
        """Known processes with the time at which each one's lease ends, in seconds since the epoch."""
        return await self._read(queries.processes)

    async def holdings(self) -> Mapping[str, Held]:
        """What each process holds; only those that hold any."""
        return await self._read(queries.holdings)

    async def record_definitions(self, definitions: Sequence[NewDefinition]) -> None:
        """Record what a process that registers has; its manifest replaces that of the same steps."""
        await self._write(lambda transitions: transitions.record_definitions(definitions))

    async def definitions(self, workflow: str | None = None, version: str | None = None) -> Sequence[DefinitionRecord]:
        """What was deployed, sorted; of each version the last deployed shape first."""
        return await self._read(lambda connection: deployed.definitions(connection, workflow, version))
