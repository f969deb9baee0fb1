"""The embedded store: one SQLite file, used by any number of processes of one machine."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, Unpack

from wfgen.environment import Environment
from wfgen.errors import StoreError, WfgenError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.statistics import WorkflowStatistics
from wfgen.store import counting, listing, pruning, queries
from wfgen.store.committer import Committer
from wfgen.store.faults import fault
from wfgen.store.filters import RunFilters, RunQuery
from wfgen.store.processes import host_identity, is_gone
from wfgen.store.protocol import (
    Append,
    Claimed,
    HookRecord,
    Message,
    NewRun,
    ProcessRecord,
    RunRecord,
    RunStatus,
    Verdict,
)
from wfgen.store.reader import Reader
from wfgen.store.schema import MIGRATIONS, Migration, Synchronous, connect, open_file, patiently
from wfgen.store.transitions import Transitions

_T = TypeVar("_T")


class SQLiteStore:
    """A store in one file, in write-ahead mode.

    Args:
        path: the file; it and its folder are created when they do not exist.
        environment: gives the clock and the threads.
        synchronous: `full` makes every commit durable before it is acknowledged. `normal` is the lossy mode: after a
            power failure the last commits may be missing (after a crash of the process alone they are not).
        busy_timeout: how long another program may hold the file locked, in seconds.
        migrations: the schema, one version after the other.
    """

    def __init__(
        self,
        path: Path,
        environment: Environment,
        *,
        synchronous: Synchronous = "full",
        busy_timeout: float = 10.0,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self.path = path.absolute()  # who changes the folder of the process does not change the file
        self._environment = environment
        self._synchronous: Synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._migrations = migrations
        self._callbacks: list[Callable[[], None]] = []
        self._turn = threading.Lock()
        self._renewing = threading.Lock()
        self._heartbeat: sqlite3.Connection | None = None
        self._threads: dict[Committer | Reader, threading.Thread] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._committer: Committer | None = None
        self._reader: Reader | None = None

    async def open(self) -> None:
        """Connect; create the file or bring it up to date.

        Raises:
            StoreFormatError, StoreVersionError, StoreBusyError, StoreFullError: see each; the store stays closed.
        """
        if self._committer is not None:
            raise StoreError(f"the store {self.path} is open already.")
        loop = self._loop = asyncio.get_running_loop()
        is_gone_here = partial(is_gone, host=host_identity())
        committer = Committer(
            self.path,
            partial(
                open_file,
                self.path,
                synchronous=self._synchronous,
                busy_timeout=self._busy_timeout,
                migrations=self._migrations,
            ),
            lambda connection: Transitions(connection, self._environment.clock, is_gone_here),
            loop,
            self._turn,
            self._busy_timeout,
            self._others_wrote,
        )
        await self._start(committer, "wfgen-store-committer")
        reader = Reader(self.path, self._connect, loop)
        self._committer = committer
        try:
            await self._start(reader, "wfgen-store-reader")
        except BaseException:
            self._committer = None
            await self._stop(committer)
            raise
        self._reader = reader

    async def close(self) -> None:
        """Finish what is queued and disconnect. Closing twice does no harm."""
        committer, reader, self._committer, self._reader = self._committer, self._reader, None, None
        for part in (reader, committer):
            if part is not None:
                await self._stop(part)
        with self._renewing:
            if self._heartbeat is not None:
                self._heartbeat.close()
                self._heartbeat = None

    async def create(self, new: NewRun, owner: str | None = None) -> tuple[RunRecord, bool]:
        """Record a new run, and claim it for `owner`; or return the one that has its idempotency key.

        Raises:
            ConflictError: the key belongs to a run with another input or version.
        """
        return await self._write(lambda transitions: transitions.create(new, owner), brief=True)

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Queue an append; `done` is called on the loop with its verdict, once it is durable or refused.

        Raises:
            StoreError: the store is not open; `done` is not called.
        """
        if self._committer is None:
            raise self._closed()
        self._committer.submit((append, done), brief=True)

    async def register(self, process: ProcessRecord, lease: float) -> None:
        """Announce a process, with a lease in seconds."""
        await self._write(lambda transitions: transitions.claiming.register(process, lease))

    def renew(self, process_id: str, lease: float) -> bool:
        """Renew a lease, in seconds from now; may be called from any thread.

        Returns False when the process is not registered any more: its lease had ended and its runs were taken.
        """
        clock = self._environment.clock
        until, end = clock.time() + lease, clock.monotonic() + lease
        with self._renewing:
            if self._committer is None:
                raise self._closed()
            self._committer.presence.check()
            try:
                if self._heartbeat is None:
                    # A lease need not survive a power failure, so its commit does not wait for the disk.
                    self._heartbeat = connect(self.path, synchronous="normal")
                renewal = partial(
                    self._heartbeat.execute,
                    "UPDATE processes SET lease_until = ?, lease_end = ? WHERE process_id = ?",
                    (until, end, process_id),
                )
                with self._turn:
                    return patiently(renewal, self._busy_timeout).rowcount == 1
            except sqlite3.Error as error:
                raise fault(error, self.path) from error

    async def leave(self, process_id: str) -> None:
        """End a process's lease; its runs become claimable at once."""
        await self._write(lambda transitions: transitions.claiming.leave(process_id))

    async def claim(
        self,
        process_id: str,
        workflows: Collection[tuple[str, str]],
        limit: int,
        families: Collection[RunId] | None = None,
    ) -> list[Claimed]:
        """Take up to `limit` runs of these (name, version) pairs that are due and that no live process holds.

        Processes whose lease has ended, and those of this machine that are gone, lose all their runs.

        Raises:
            LeaseLostError: the process is not registered, or has lost its own lease.
        """
        return await self._write(lambda transitions: transitions.claiming.claim(process_id, workflows, limit, families))

    async def next_wake(
        self, workflows: Collection[tuple[str, str]], families: Collection[RunId] | None = None
    ) -> float:
        """When the next run of these (name, version) pairs that nobody holds is due; infinite if none is."""
        return await self._read(lambda connection: queries.next_wake(connection, workflows, families))

    async def release(self, run_id: RunId, epoch: int, *, wake_at: float = 0.0, seen: int = 0) -> float:
        """Give a run back; gives when it is due: at `wake_at`, or at once if a message came after number `seen`.

        Nothing happens if another process has it by now: infinite.
        """
        return await self._write(lambda transitions: transitions.claiming.release(run_id, epoch, wake_at, seen))

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

    async def epochs(self, run_ids: Collection[str]) -> dict[str, int]:
        """The epochs of runs, by id."""
        return await self._read(lambda connection: queries.epochs(connection, run_ids))

    async def messages(self, process_id: str, *, after: int = 0, run_id: RunId | None = None) -> list[Message]:
        """Messages for runs that this process holds, oldest first."""
        return await self._read(lambda connection: queries.messages_of_process(connection, process_id, after, run_id))

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop soon after another connection has written; also after a heartbeat."""
        self._callbacks.append(callback)

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
            for part in counting.parts(pair, begin, end):
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

    async def processes(self) -> list[tuple[ProcessRecord, float]]:
        """Known processes with the time at which each one's lease ends, in seconds since the epoch."""
        return await self._read(queries.processes)

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, synchronous=self._synchronous, busy_timeout=self._busy_timeout)

    async def _start(self, part: Committer | Reader, name: str) -> None:
        opened, settle = _promise()
        self._threads[part] = self._environment.start_thread(lambda: part.run(settle), name)
        try:
            await opened
        except BaseException as error:
            thread = self._threads.pop(part)
            part.stop()
            if isinstance(error, Exception):  # else the opening goes on, and the thread ends after it by itself
                thread.join()
            raise

    async def _stop(self, part: Committer | Reader) -> None:
        ended, settle = _promise()
        part.stop(settle)
        await ended
        self._threads.pop(part).join()

    async def _write(self, work: Callable[[Transitions], _T], *, brief: bool = False) -> _T:
        if self._committer is None:
            raise self._closed()
        result, settle = self._promise()
        self._committer.submit((work, settle), brief=brief)
        answer: _T = await result
        return answer

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._reader is None:
            raise self._closed()
        result, settle = self._promise()
        self._reader.submit((read, settle))
        answer: _T = await result
        return answer

    def _promise(self) -> tuple[asyncio.Future[Any], Callable[[Any], None]]:
        """What the caller waits on; nobody on another loop would ever be woken."""
        if self._loop is not None and asyncio.get_running_loop() is not self._loop:
            raise StoreError(
                f"the store {self.path} is used on another event loop than the one that opened it.",
                hint="Hand the call to that loop: `asyncio.run_coroutine_threadsafe(coroutine, loop)`.",
            )
        return _promise()

    def _others_wrote(self) -> None:
        for callback in self._callbacks:
            callback()

    def _closed(self) -> StoreError:
        return StoreError(f"the store {self.path} is not open.", hint="Call open() first, and use it until close().")


def _promise() -> tuple[asyncio.Future[Any], Callable[[Any], None]]:
    """A future of the running loop, and what settles it with a result or one of wfgen's errors."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(outcome: Any) -> None:
        if future.done():  # cancelled by who waited
            return
        if isinstance(outcome, WfgenError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    return future, settle
