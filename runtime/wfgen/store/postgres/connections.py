"""Connections to the server: a few that are used in turn, and those that have one task each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.pq import PipelineStatus, TransactionStatus

from wfgen.environment import Clock
from wfgen.errors import StoreBusyError, StoreError
from wfgen.store.postgres import texts
from wfgen.store.postgres.address import Address
from wfgen.store.postgres.faults import fault, is_lost, is_passing
from wfgen.store.postgres.pooling import is_pooled

# What psycopg says so is raised as well, and told by whoever asked.
logging.getLogger("psycopg").addFilter(lambda record: not str(record.msg).startswith("error ignored"))

T = TypeVar("T")
Connection = AsyncConnection[Any]
Backend = tuple[int, str]
"""A process of the server, by pid and start."""

AT_ONCE = 4
"""Connections that are used in turn; each process has one more for appends, for hearing and for its heartbeat."""
WRITING = "SELECT set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)"
"""For a connection that only calls functions with arrays: rows are found one by one."""
REPEATED = 10
"""How often a transaction is begun again that another one was in the way of."""

_SESSION = """SELECT set_config('search_path', %s, false), set_config('wfgen.origin', %s, false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('default_transaction_read_only', %s, false),
    -- A process that stands still in the middle keeps nobody else waiting for long.
    set_config('idle_in_transaction_session_timeout', %s, false), set_config('lock_timeout', '30s', false),
    -- Nothing is planned twice (measured: that was half of what the server had to do for a job). So plans that are made
    -- while the tables are small must be right when they are large. A bitmap is made of all that fits, where an index
    -- gives the first ones in their order.
    set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
    set_config('jit', 'off', false), set_config('max_parallel_workers_per_gather', '0', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    pg_backend_pid(), (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())"""
_END = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s::timestamptz"


class Connections:
    """Connects to one schema of one database, and keeps connections for those who need one for a moment.

    A connection is made when it is needed: after an outage the next who asks is served, or told at once. (psycopg's own
    pool connects in the background, and lets who asks wait for that until a timeout.)

    Args:
        address: the database and the schema.
        clock: replaces the database's, for tests; None for the database's own.
        read_only: lets the server refuse whatever writes.
    """

    def __init__(self, address: Address, clock: Clock | None, *, read_only: bool = False) -> None:
        self.address = address
        self._read_only = read_only
        self.origin = uuid.uuid4().hex
        """Names this store in what it tells the others."""
        self.clock = clock
        self.patience = 10.0
        """How long a transaction may stand still, in seconds, on connections that are made from now on."""
        self._backends: WeakKeyDictionary[Connection, Backend] = WeakKeyDictionary()
        self._idle: list[Connection] = []
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def connect(self) -> Connection:
        """A new connection, in autocommit mode. Raises psycopg.Error."""
        parameters: dict[str, Any] = dict(self.address.parameters)
        try:
            connection = await AsyncConnection.connect(autocommit=True, prepare_threshold=1, **parameters)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold a connection that is half made
            raise
        try:
            *_, pid, started = await self._begin(connection)
            if is_pooled(connection, pid):  # the session may have been another's before
                await connection.execute("DISCARD ALL")
                *_, pid, started = await self._begin(connection)
        except BaseException:
            await connection.close()
            raise
        self._backends[connection] = pid, started
        return connection

    async def _begin(self, connection: Connection) -> Sequence[Any]:
        cursor = await connection.execute(_SESSION, self._session, prepare=False)
        row: Sequence[Any] | None = await cursor.fetchone()
        assert row is not None
        return row

    def backend(self, connection: Connection) -> Backend:
        """The server's process behind a connection."""
        return self._backends[connection]

    async def end(self, backend: Backend) -> None:
        """Have a process of the server end, if it is still there: what it was doing for a connection that was lost is
        done then, or never will be.

        Raises:
            StoreError: and its kin, for whatever the server says.
        """
        ended = await self.read(lambda connection: _first(connection, _END, backend))
        if ended is not None and not ended[0]:
            raise StoreBusyError(
                f"the store {self.address.place} is still busy with what was asked over a connection that broke.",
                hint="It is tried again.",
            )

    def connect_here(self) -> psycopg.Connection[Any]:
        """The same for a thread that waits itself."""
        parameters: dict[str, Any] = dict(self.address.parameters)
        connection = psycopg.connect(autocommit=True, prepare_threshold=1, **parameters)
        try:
            row = connection.execute(_SESSION, self._session, prepare=False).fetchone()
            assert row is not None
            if is_pooled(connection, row[-2]):
                connection.execute("DISCARD ALL")
                connection.execute(_SESSION, self._session, prepare=False)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def _session(self) -> tuple[str, str, str, str]:
        schema, read_only = sql.Identifier(self.address.schema).as_string(), "on" if self._read_only else "off"
        return schema, self.origin, read_only, f"{self.patience * 1000:.0f}ms"

    async def follow_clock(self, connection: Connection) -> None:
        """Let the database's time be that of the clock that replaces it, if one does."""
        if self.clock is not None:
            await connection.execute("SELECT set_config('wfgen.now', %s, false)", (repr(self.clock.time()),))

    async def read(self, work: Callable[[Connection], Awaitable[T]], *, snapshot: bool = False) -> T:
        """Read something; with `snapshot` all its statements see the same.

        Raises:
            StoreError: and its kin, for whatever the server says.
        """

        async def begun(connection: Connection) -> T:
            if not snapshot:
                return await work(connection)
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                return await work(connection)

        return await self._use(begun, lambda: True)

    async def write(self, work: Callable[[Connection], Awaitable[T]], *, pipelined: bool = False) -> T:
        """Do something in one transaction; from its beginning again if another transaction was in the way.

        Args:
            work: what to do.
            pipelined: send what `work` asks together with what it asks before it reads an answer, and with the
                beginning of the transaction.

        Raises:
            StoreError: and its kin, for whatever the server says. After a StoreUnreachableError it may be recorded all
                the same.
        """
        has_begun = False

        async def begun(connection: Connection) -> T:
            nonlocal has_begun
            if not pipelined:
                async with connection.transaction():
                    has_begun = True
                    return await work(connection)
            async with connection.pipeline() as sent:
                async with connection.transaction():
                    has_begun = True
                    done = await work(connection)
                await sent.sync()  # what the end of the transaction says is not to be lost in that of the pipeline
                return done

        return await self._use(begun, lambda: not has_begun)

    async def _use(self, work: Callable[[Connection], Awaitable[T]], is_harmless: Callable[[], bool]) -> T:
        """Lend a connection for some work, which is begun anew where that helps.

        Args:
            work: what to do.
            is_harmless: whether it may be repeated though nobody knows how far it came.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise StoreError(
                f"the store {self.address.place} is used on another event loop than the one that opened it.",
                hint="Hand the call to that loop: `asyncio.run_coroutine_threadsafe(coroutine, loop)`.",
            )
        attempt = 0
        while True:
            attempt += 1
            is_old = False
            try:
                async with self._lent() as (connection, is_old):
                    await self.follow_clock(connection)
                    return await work(connection)
            except (psycopg.Error, OSError, UnicodeEncodeError) as error:
                if is_old and is_lost(error) and is_harmless():  # the server may have been restarted since its last use
                    await self.drop_idle()
                elif is_passing(error) and attempt < REPEATED:
                    await asyncio.sleep(random.random() * 0.01 * attempt)
                else:
                    raise fault(error, self.address.place) from error

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator[tuple[Connection, bool]]:
        async with self._turn:
            if self._closed:
                raise StoreError(f"the store {self.address.place} was closed meanwhile.")
            is_old = bool(self._idle)
            connection = self._idle.pop() if is_old else await self.connect()
            if not is_old:
                texts.register(connection)
            try:
                yield connection, is_old
            finally:
                if self._closed or connection.closed or not _is_fresh(connection):
                    await connection.close()
                else:
                    self._idle.append(connection)

    async def drop_idle(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """Close those that nobody uses, and each other one when it comes back."""
        self._closed = True
        await self.drop_idle()


def _is_fresh(connection: Connection) -> bool:
    """Whether a connection is as it was lent: a cancelled caller may leave it in the middle of something."""
    pgconn = connection.pgconn
    return pgconn.transaction_status == TransactionStatus.IDLE and pgconn.pipeline_status == PipelineStatus.OFF


async def _first(connection: Connection, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    cursor = await connection.execute(statement.encode(), values)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    return row
