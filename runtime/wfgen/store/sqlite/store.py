"""The embedded store: one SQLite file, used by any number of processes of one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wfgen.environment import Clock, Environment
from wfgen.errors import StoreError, WfgenError
from wfgen.ids import RunId
from wfgen.store.jobs import JobRecord
from wfgen.store.processes import host_identity, is_gone
from wfgen.store.records import ANY_CHANGE, Append, Claimed, NewRun, ProcessRecord, RunRecord, Verdict
from wfgen.store.schemas import SchemaStatus, check_version
from wfgen.store.sqlite import queries
from wfgen.store.sqlite.base import SQLiteBase
from wfgen.store.sqlite.committer import Committer
from wfgen.store.sqlite.faults import fault
from wfgen.store.sqlite.reader import Reader
from wfgen.store.sqlite.schema import (
    MIGRATIONS,
    Migration,
    Synchronous,
    connect,
    connect_reading,
    open_file,
    patiently,
    script,
    version_of,
)
from wfgen.store.sqlite.transitions import Transitions

_T = TypeVar("_T")


class SQLiteStore(SQLiteBase):
    """A store in one file, in write-ahead mode.

    Args:
        path: the file; it and its folder are created when they do not exist.
        environment: gives the clock and the threads.
        synchronous: `full` makes every commit durable before it is acknowledged. `normal` is the lossy mode: after a
            power failure the last commits may be missing (after a crash of the process alone they are not).
        busy_timeout: how long another program may hold the file locked, in seconds.
        migrations: the schema, one version after the other.
        read_only: neither creates nor migrates anything, and refuses what writes.
    """

    def __init__(
        self,
        path: Path,
        environment: Environment,
        *,
        synchronous: Synchronous = "full",
        busy_timeout: float = 10.0,
        migrations: Sequence[Migration] = MIGRATIONS,
        read_only: bool = False,
    ) -> None:
        self.path = path.absolute()  # who changes the folder of the process does not change the file
        self._environment = environment
        self._synchronous: Synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._migrations = migrations
        self._read_only = read_only
        self._callbacks: list[Callable[[Collection[str]], None]] = []
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
        if self._reader is not None:
            raise StoreError(f"the store {self.path} is open already.")
        loop = self._loop = asyncio.get_running_loop()
        if self._read_only:
            (await self.schema()).require_current()
            reader = Reader(self.path, partial(connect_reading, self.path, busy_timeout=self._busy_timeout), loop)
            await self._start(reader, "wfgen-store-reader")
            self._reader = reader
            return
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

    @property
    def clock(self) -> Clock:
        """The environment's: all processes are on one machine."""
        return self._environment.clock

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    async def schema(self) -> SchemaStatus:
        """Look which tables there are; also while the store is closed. Writes nothing. Raises StoreFormatError."""
        return SchemaStatus(self.place, await asyncio.to_thread(version_of, self.path), len(self._migrations))

    def migration_script(self, after: int = 0) -> str:
        """The SQL that makes the tables, or brings those of version `after` up to date."""
        check_version(after, len(self._migrations))
        return script(after, self._migrations)

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
        now, end = clock.time(), clock.monotonic() + lease
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
                    "UPDATE processes SET lease_until = ?, lease_end = ?, heartbeat_at = ? WHERE process_id = ?",
                    (now + lease, end, now, process_id),
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
        return await self._claim(lambda transitions: transitions.claiming.claim(process_id, workflows, limit, families))

    async def claim_jobs(
        self,
        process_id: str,
        workers: Collection[str],
        limit: int,
        *,
        queues: Collection[str] | None = None,
        families: Collection[RunId] | None = None,
    ) -> list[JobRecord]:
        """Take up to `limit` queued jobs of these workers that are due. Raises LeaseLostError."""
        return await self._claim(lambda t: t.jobs.claim(process_id, workers, limit, queues, families), brief=True)

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

    def on_change(self, callback: Callable[[Collection[str]], None]) -> None:
        """Call `callback` on the loop soon after another connection has written; also after a heartbeat."""
        self._callbacks.append(callback)

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

    async def _claim(self, work: Callable[[Transitions], _T], *, brief: bool = False) -> _T:
        """Claim runs or jobs; whoever claims the other kind is told of what dead processes have left."""
        is_freed = False

        def claim(transitions: Transitions) -> _T:
            nonlocal is_freed
            claimed = work(transitions)
            is_freed = transitions.claiming.take_freed()
            return claimed

        claimed = await self._write(claim, brief=brief)
        if is_freed:
            self._others_wrote()
        return claimed

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
            callback(ANY_CHANGE)

    def _closed(self) -> StoreError:
        if self._read_only and self._reader is not None:
            return StoreError(f"the store {self.path} was opened for reading alone.")
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
