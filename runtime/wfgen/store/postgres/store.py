"""The store in a PostgreSQL database."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import psycopg

from wfgen.environment import Clock, Environment, SystemClock
from wfgen.errors import LeaseLostError, StoreError, UnknownJobError, UnknownRunError
from wfgen.ids import JobId, RunId
from wfgen.store.jobs import JobRecord
from wfgen.store.postgres import claiming, job_queries, jobs, migrating, queries
from wfgen.store.postgres.address import parse
from wfgen.store.postgres.base import PostgresBase
from wfgen.store.postgres.clock import DatabaseClock
from wfgen.store.postgres.connections import Backend, Connection, Connections
from wfgen.store.postgres.faults import fault, is_lost
from wfgen.store.postgres.job_ends import JobEnds
from wfgen.store.postgres.listening import Listener
from wfgen.store.postgres.pooling import require_session
from wfgen.store.postgres.schema import MIGRATIONS, Migration
from wfgen.store.postgres.writing import Writer
from wfgen.store.processes import host_identity, is_gone
from wfgen.store.records import Append, Claimed, NewRun, ProcessRecord, RunRecord, Verdict
from wfgen.store.schemas import SchemaStatus, check_version

T = TypeVar("T")

LOOK = 1.0
"""Seconds within which it is looked whether a process is gone, also while there is enough to claim."""


class PostgresStore(PostgresBase):
    """A store in one schema of a PostgreSQL database, for any number of processes and machines.

    Time is the database's. An environment with a clock of its own, as tests have, is followed in its place: that time
    is sent along with whatever is done.

    Args:
        url: `postgresql://user@host:port/database?schema=wfgen`, with any option of libpq.
        environment: gives the clock.
        migrations: the schema, one version after the other.
        read_only: neither creates nor migrates anything, and refuses what writes.

    Raises:
        ConfigurationError: the URL is malformed.
    """

    def __init__(
        self,
        url: str,
        environment: Environment,
        *,
        migrations: Sequence[Migration] = MIGRATIONS,
        read_only: bool = False,
    ) -> None:
        self._address = parse(url)
        own = environment.clock
        self._set_clock = None if type(own) is SystemClock else own
        self.clock: Clock = self._set_clock or DatabaseClock(own)
        """The database's time, as this process knows it."""
        self._migrations = migrations
        self._read_only = read_only
        self._callbacks: list[Callable[[Collection[str]], None]] = []
        self._renewing = threading.Lock()
        self._heartbeat: psycopg.Connection[Any] | None = None
        self._connections: Connections | None = None
        self._job_ends = JobEnds(self._write)
        self._writer: Writer | None = None
        self._listener: Listener | None = None
        self._unanswered: list[tuple[Backend, list[tuple[RunId, int]]]] = []
        """Runs with their epochs that were claimed by transactions of whose end nothing was heard, and by whom in the
        server."""
        self._unanswered_jobs: list[tuple[Backend, list[tuple[JobId, int]]]] = []
        """The same of jobs."""
        self._is_gone_here = partial(is_gone, host=host_identity())
        self._has_more = False
        """Whether the last claim of runs gave as many as were wanted."""
        self._looked_at = 0.0
        """When it was last looked whether a process is gone, by the clock's monotonic time."""

    # Opening and closing.

    @property
    def place(self) -> str:
        """The database and the schema, without the password."""
        return self._address.place

    async def open(self) -> None:
        """Connect; make the tables or bring them up to date.

        Raises:
            StoreVersionError, StoreFormatError, StoreAccessError, StoreUnreachableError: see each; it stays closed.
        """
        if self._connections is not None:
            raise StoreError(f"the store {self.place} is open already.")
        if self._read_only:
            (await self.schema()).require_current()
        connections = Connections(self._address, self._set_clock, read_only=self._read_only)
        async with contextlib.AsyncExitStack() as opened:
            opened.push_async_callback(connections.close)
            try:
                if not self._read_only:
                    await self._alone(self._prepare)
                    writer = Writer(connections)
                    listener = Listener(connections, self.clock, self._others_wrote)
                    await writer.open()
                    opened.push_async_callback(writer.close)
                    await listener.open()
                    self._writer, self._listener = writer, listener
                else:
                    await connections.read(Listener(connections, self.clock, self._others_wrote).look)
            except (psycopg.Error, OSError) as error:
                raise fault(error, self.place) from error
            opened.pop_all()
        self._connections = connections

    async def _prepare(self, connection: Connection) -> None:
        await migrating.prepare(connection, self._address, self._set_clock, self._migrations)

    async def close(self) -> None:
        """Finish what is queued and disconnect. Closing twice does no harm."""
        connections, writer, listener = self._connections, self._writer, self._listener
        self._connections = self._writer = self._listener = None
        if listener is not None:
            await listener.close()
        if writer is not None:
            await writer.close()
        if connections is not None:
            await connections.close()
        await asyncio.to_thread(self._stop_heartbeat)

    async def schema(self) -> SchemaStatus:
        """Look which tables there are; also while the store is closed. Writes nothing. Raises StoreError."""

        async def look(connection: Connection) -> int:
            await migrating.check_server(connection, self._address)
            return await migrating.version_of(connection, self._address)

        try:
            return SchemaStatus(self.place, await self._alone(look), len(self._migrations))
        except (psycopg.Error, OSError) as error:
            raise fault(error, self.place) from error

    def migration_script(self, after: int = 0) -> str:
        """What `open` does to tables of version `after`, for psql."""
        check_version(after, len(self._migrations))
        return migrating.script(self._address, after, self._migrations)

    async def _alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something over a connection of its own, which is as the server makes it."""
        parameters: dict[str, Any] = dict(self._address.parameters)
        async with await psycopg.AsyncConnection.connect(autocommit=True, **parameters) as connection:
            await require_session(connection, self._address)
            return await work(connection)

    # Writing.

    async def create(self, new: NewRun, owner: str | None = None) -> tuple[RunRecord, bool]:
        """Record a new run, and claim it for `owner`; or return the one that has its idempotency key.

        Raises:
            ConflictError: the key belongs to a run with another input or version.
        """
        if self._writer is None:
            raise self._closed()
        return await self._writer.create(new, owner)

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Queue an append; `done` is called on the loop with its verdict, once it is durable or refused.

        Raises:
            StoreError: the store is not open; `done` is not called.
        """
        if self._writer is None:
            raise self._closed()
        self._writer.append(append, done)

    # Processes and what they hold.

    async def register(self, process: ProcessRecord, lease: float) -> None:
        """Announce a process, with a lease in seconds."""
        if self._connections is not None and lease < self._connections.patience:
            # A process that is stopped in the middle of a claim keeps rows locked no longer than its lease.
            self._connections.patience = lease
            await self._connections.drop_idle()
        await self._write(lambda connection: claiming.register(connection, process, lease))

    def renew(self, process_id: str, lease: float) -> bool:
        """Renew a lease, in seconds from now; may be called from any thread.

        Returns False when the process is not registered any more: its lease had ended and its runs were taken.
        """
        with self._renewing:
            connections = self._connections
            if connections is None:
                raise self._closed()
            try:
                if self._heartbeat is not None:
                    try:
                        return self._renew(self._heartbeat, process_id, lease)
                    except psycopg.Error as error:
                        if not is_lost(error):
                            raise
                        self._heartbeat.close()  # the server may be there again
                        self._heartbeat = None
                self._heartbeat = connections.connect_here()
                return self._renew(self._heartbeat, process_id, lease)
            except (psycopg.Error, OSError) as error:
                raise fault(error, self.place) from error

    def _renew(self, connection: psycopg.Connection[Any], process_id: str, lease: float) -> bool:
        if self._set_clock is not None:
            connection.execute("SELECT set_config('wfgen.now', %s, false)", (repr(self._set_clock.time()),))
        renewed = connection.execute(
            "UPDATE processes SET lease_until = now_seconds() + %s, heartbeat_at = now_seconds() WHERE process_id = %s",
            (lease, process_id),
        )
        return renewed.rowcount == 1

    def _stop_heartbeat(self) -> None:
        with self._renewing:
            if self._heartbeat is not None:
                self._heartbeat.close()
                self._heartbeat = None

    async def leave(self, process_id: str) -> None:
        """End a process's lease; its runs become claimable at once."""
        await self._write(lambda connection: claiming.leave(connection, process_id))

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
        while self._unanswered:
            # Nobody works these: it was not known that they were taken.
            backend, runs = self._unanswered[-1]
            await self._end(backend)
            for run_id, epoch in runs:
                with contextlib.suppress(UnknownRunError):
                    if (await self.get_run(run_id)).owner == process_id:  # else another one has taken it in that epoch
                        await self.release(run_id, epoch)
            self._unanswered.pop()

        # Where there were as many as were wanted, there are more: that is not asked each time.
        is_known = self._has_more and self.clock.monotonic() - self._looked_at < LOOK
        self._has_more = False
        if limit <= 0 or not (is_known or await self._is_due(process_id, queries.next_wake(workflows, families))):
            return []
        taken: list[Claimed] = []
        backend = 0, ""

        async def work(connection: Connection) -> list[Claimed]:
            nonlocal taken, backend
            taken, backend = [], self._backend(connection)
            taken = await claiming.claim(connection, process_id, workflows, limit, families)
            return taken

        try:
            await self._write(work, pipelined=True)
        except BaseException:
            if taken:
                self._unanswered.append((backend, [(one.run.run_id, one.run.epoch) for one in taken]))
            raise
        self._has_more = len(taken) == limit
        return taken

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
        while self._unanswered_jobs:
            backend, doubtful = self._unanswered_jobs[-1]
            await self._end(backend)
            for job_id, epoch in doubtful:
                with contextlib.suppress(LeaseLostError, UnknownJobError):
                    if (await self.get_job(job_id)).owner == process_id:
                        await self.requeue_job(job_id, epoch, 0.0)
            self._unanswered_jobs.pop()

        wanted = workers if limit > 0 else ()  # what has expired is ended all the same
        if not await self._is_due(process_id, job_queries.next_job(wanted, queues, families)):
            return []
        taken: list[JobRecord] = []
        backend = 0, ""

        async def work(connection: Connection) -> list[JobRecord]:
            nonlocal taken, backend
            taken, backend = [], self._backend(connection)
            taken = await jobs.claim_jobs(connection, process_id, workers, limit, queues, families)
            return taken

        try:
            return await self._write(work, pipelined=True)
        except BaseException:
            if taken:
                self._unanswered_jobs.append((backend, [(one.job_id, one.epoch) for one in taken]))
            raise

    def _backend(self, connection: Connection) -> Backend:
        assert self._connections is not None
        return self._connections.backend(connection)

    async def _end(self, backend: Backend) -> None:
        if self._connections is None:
            raise self._closed()
        await self._connections.end(backend)

    async def _is_due(self, process_id: str, next_due: tuple[str, dict[str, Any]]) -> bool:
        """Whether there is something to claim, once those that are gone have lost what they held."""
        self._looked_at = self.clock.monotonic()
        is_gone, is_due = await self._read(
            lambda connection: claiming.look(connection, process_id, self._is_gone_here, *next_due)
        )
        if is_gone:
            await self._write(lambda connection: claiming.remove_gone(connection, process_id, self._is_gone_here))
        return is_gone or is_due

    async def release(self, run_id: RunId, epoch: int, *, wake_at: float = 0.0, seen: int = 0) -> float:
        """Give a run back; gives when it is due: at `wake_at`, or at once if a message came after number `seen`.

        Nothing happens if another process has it by now: infinite.
        """
        return await self._write(lambda connection: claiming.release(connection, run_id, epoch, wake_at, seen))

    # Hearing of others.

    def on_change(self, callback: Callable[[Collection[str]], None]) -> None:
        """Call `callback` on the loop soon after another store has written something that a process may wait for."""
        self._callbacks.append(callback)

    def _others_wrote(self, changes: Collection[str]) -> None:
        for callback in self._callbacks:
            callback(changes)

    # Inside.

    async def _read(self, work: Callable[[Connection], Awaitable[T]], *, snapshot: bool = False) -> T:
        if self._connections is None:
            raise self._closed()
        return await self._connections.read(work, snapshot=snapshot)

    async def _write(self, work: Callable[[Connection], Awaitable[T]], *, pipelined: bool = False) -> T:
        if self._connections is None or self._read_only:
            raise self._closed()
        return await self._connections.write(work, pipelined=pipelined)

    def _closed(self) -> StoreError:
        if self._read_only and self._connections is not None:
            return StoreError(f"the store {self.place} was opened for reading alone.")
        return StoreError(f"the store {self.place} is not open.", hint="Call open() first, and use it until close().")
