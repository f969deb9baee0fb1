"""The same simulation on PostgreSQL: the real store and a real server, asked when the simulation says so, with faults.

The simulated processes' loops have virtual time and no sockets, so each thing that is asked of the server is done on a
loop of its own, in place, while the simulation stands still; the answer is told at a simulated time. The database's
time is the world's; processes have clocks of their own, which are wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from wfgen.environment import Clock
from wfgen.errors import StoreUnreachableError, WfgenError
from wfgen.events import Event
from wfgen.store.postgres import connections, migrating, queries
from wfgen.store.postgres.address import Address, parse
from wfgen.store.postgres.batches import APPEND, APPEND_EVENT, CREATE
from wfgen.store.postgres.clock import DatabaseClock
from wfgen.store.postgres.connections import Backend, Connections
from wfgen.store.postgres.listening import changes_of_others
from wfgen.store.postgres.schema import functions
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.postgres.writing import Writer
from wfgen.store.records import ANY_CHANGE, Append, NewRun, ProcessRecord, RunRecord, Verdict

from .asked import asked
from .store import shown
from .world import Faults, describe

if TYPE_CHECKING:
    from .process import Process
    from .world import World

T = TypeVar("T")

HARSH = Faults(
    crash_before_commit=0.02,
    crash_after_commit=0.02,
    busy=0.04,
    full=0.02,
    unsure=0.03,
    unreadable=0.01,
    stall_at_commit=0.03,
    crash_every=30.0,
    stall_every=15.0,
)
"""There are fewer commits than on a store file, where each look for work is one."""

LOOK = 5.0
"""Seconds between two looks of a store at the database's clock, and at what it may not have been told."""

FATES: dict[str, list[str]] = {
    "busy": ["busy", "deadlock", "lost"],
    "full": ["full", "lost for good"],
    "unsure": ["unsure", "unsure for good"],
}
"""What a fault can be here. `lost`: the connection breaks before the commit, `unsure`: after it; and then there is
another one, or there is none for now."""


class Database:
    """A schema for one simulation after the other, and the loop on which it is used.

    Args:
        url: of the schema, whose tables are made.
    """

    jumps: Sequence[float] = (
        -60.0,
        -5.0,
        -0.5,
        0.2,
    )  # who has a lease trusts the database's time to go on no faster than its own

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.url = url
        self.address: Address = parse(url)
        self.loop = asyncio.new_event_loop()
        self.beats: list[psycopg.Connection[Any]] = []
        """Connections for heartbeats that nobody uses."""
        self.world: World | None = None
        options: dict[str, Any] = {**self.address.parameters, "options": f"-c search_path={self.address.schema}"}
        self._connection = psycopg.connect(**options, autocommit=True, prepare_threshold=1)
        self._connection.execute("SET synchronous_commit = off")
        self._known: dict[int, int] = {}
        self._told: set[str] = set()

    def prepare(self) -> None:
        """Make the tables."""

        async def make() -> None:
            async with await psycopg.AsyncConnection.connect(autocommit=True, **self._options) as connection:
                await migrating.prepare(connection, self.address, _NO_CLOCK)

        self.run(make())
        channel = f"wfgen_{self.address.schema}"
        self._connection.execute(f'LISTEN "{channel}"'.encode())
        self._connection.add_notify_handler(lambda notify: self._told.add(notify.payload))

    @property
    def _options(self) -> dict[str, Any]:
        return dict(self.address.parameters)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the real loop, now."""
        return self.loop.run_until_complete(work)

    def alter(self, old: str, new: str) -> None:
        """Replace a part of the functions of the schema; `restore` takes that back."""
        assert old in functions()
        self._define(functions().replace(old, new))

    def restore(self) -> None:
        """Make the functions of the schema what they are meant to be."""
        self._define(functions())

    def _define(self, text: str) -> None:
        self._connection.execute(text.encode())
        self._connection.execute(migrating._CLOCK.encode())
        for connection in Connection.spare:  # plans
            self.run(connection.close())
        Connection.spare.clear()

    def empty(self) -> None:
        """Leave nothing in the schema."""
        tables = self._connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'meta'"
        ).fetchall()
        for (table,) in tables:
            self._connection.execute(f"DELETE FROM {table}".encode())
        self._known.clear()
        self._told.clear()

    # Place.

    def clock(self, world: World, name: str) -> Clock:
        return OwnClock(world, random.Random(f"{world.seed} clock of {name}").uniform(-1000, 1000))

    def store(self, process: Process) -> Any:
        return SimulatedPostgresStore(process, self)

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query.replace("?", "%s").encode(), values or None).fetchall()

    def new_events(self) -> list[Any]:
        found = self._connection.execute(
            "SELECT e.run, r.run_id, e.seq, e.type, e.time, e.key, e.data, e.payload FROM runs AS r"
            " LEFT JOIN unnest(%s::bigint[], %s::bigint[]) AS known(run, seq) ON known.run = r.run"
            " JOIN events AS e ON e.run = r.run AND e.seq > coalesce(known.seq, 0) ORDER BY e.run, e.seq",
            (list(self._known.keys()), list(self._known.values())),
        ).fetchall()
        for run, _, seq, *_ in found:
            self._known[run] = seq
        return [row[1:] for row in found]

    def others(self, process: Process, processes: Sequence[Process]) -> list[tuple[Process, Collection[str]]]:
        self._connection.execute("SELECT 1")  # what was notified before comes with the answer
        told, self._told = self._told, set()
        heard = [(other, changes_of_others(told, other.store.origin)) for other in processes]
        return [(other, changes) for other, changes in heard if changes]

    def finished(self) -> Iterator[tuple[RunRecord, list[Event]]]:
        for (number,) in self.rows("SELECT run FROM runs WHERE finished_at IS NOT NULL ORDER BY run"):
            yield self.run(self._finished(number))

    async def _finished(self, number: int) -> tuple[RunRecord, list[Event]]:
        connection = await Connection.connect(autocommit=True, prepare_threshold=1, **self._options)
        await connection.execute(f"SET search_path = {self.address.schema}".encode())
        (one,) = await queries.taken_up(connection, [number], [])
        assert one.fault is None
        Connection.spare.append(connection)
        return one.run, one.events

    def digest(self) -> str:
        rows = self.rows(
            "SELECT r.run_id, e.seq, e.type, e.time, e.key, e.data, e.payload FROM events AS e JOIN runs AS r"
            " USING (run) ORDER BY r.run_id, e.seq"
        )
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def close(self) -> None:
        for connection in Connection.spare:
            self.run(connection.close())
        Connection.spare.clear()
        for beat in self.beats:
            beat.close()
        self._connection.close()
        self.loop.close()


@contextmanager
def new_database(url: str) -> Iterator[Database]:
    """A schema in which simulations may be run."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(url, Path(folder))
        module: Any = connections
        real, module.AsyncConnection = module.AsyncConnection, Connection
        try:
            database.prepare()
            yield database
        finally:
            module.AsyncConnection = real
            database.close()


class OwnClock:
    """The clock of one process's machine; it shows a wrong time."""

    def __init__(self, world: World, wrong: float) -> None:
        self._world = world
        self._wrong = wrong

    def time(self) -> float:
        return self._world.clock.time() + self._wrong

    def monotonic(self) -> float:
        return self._world.now


_NO_CLOCK: Any = object()
"""Has the schema take the time that it is told."""


class Connection(psycopg.AsyncConnection[Any]):
    """A real connection whose next commit meets its fate."""

    spare: ClassVar[list[Connection]] = []
    """Those that nobody uses."""
    owner: SimulatedConnections | None = None
    sent: psycopg.AsyncPipeline
    """What is sent together just now."""

    @classmethod
    async def connect(cls, *arguments: Any, **options: Any) -> Any:
        """One that nobody uses, if there is one."""
        if cls.spare:
            return cls.spare.pop()
        made = await super().connect(*arguments, **options)
        await made.execute("SET synchronous_commit = off")
        return made

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[psycopg.AsyncPipeline]:
        async with super().pipeline() as self.sent:
            yield self.sent

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if query in (APPEND, APPEND_EVENT, CREATE) and self.pgconn.transaction_status == TransactionStatus.IDLE:
            return await self._commit(lambda: super(Connection, self).execute(query, params, **options))
        return await super().execute(query, params, **options)

    @asynccontextmanager
    async def transaction(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        inner = super().transaction(*arguments, **options)
        entered = await inner.__aenter__()
        try:
            yield entered
            await self._before()
        except BaseException:
            if not await inner.__aexit__(*sys.exc_info()):
                raise
        else:
            await inner.__aexit__(None, None, None)
            if self.pgconn.pipeline_status:
                await self.sent.sync()  # its commit is not only on its way
            await self._after()

    async def _commit(self, do: Callable[[], Awaitable[T]]) -> T:
        await self._before()
        done = await do()
        await self._after()
        return done

    async def _before(self) -> None:
        fate = self.owner.fate if self.owner is not None else ""
        if fate in ("", "unsure", "unsure for good"):
            return
        assert self.owner is not None
        self.owner.fate = ""
        if fate == "busy":
            raise errors.LockNotAvailable("simulated")
        if fate == "deadlock":
            raise errors.DeadlockDetected("simulated")
        if fate == "full":
            raise errors.DiskFull("simulated")
        await self._break(fate)

    async def _after(self) -> None:
        if self.owner is not None and self.owner.fate:
            fate, self.owner.fate = self.owner.fate, ""
            await self._break(fate)

    async def _break(self, fate: str) -> None:
        assert self.owner is not None
        self.owner.is_down = fate.endswith("for good")
        await self.close()
        raise psycopg.OperationalError("simulated: the connection is lost")


class SimulatedConnections(Connections):
    """The connections of one simulated process: those of others before it, as if they were new."""

    def __init__(self, database: Database, store: SimulatedPostgresStore, clock: Clock) -> None:
        super().__init__(database.address, clock)
        self._database = database
        self._store = store
        self.fate = ""
        """Of the next commit."""
        self.is_down = False
        """Whether there is no server just now."""
        self.made: list[Connection] = []

    async def connect(self) -> Any:
        if self.is_down:
            raise psycopg.OperationalError("simulated: there is no server")
        connection: Any = await super().connect()
        connection.owner = self
        self.made.append(connection)
        return connection

    async def end(self, backend: Backend) -> None:
        if asyncio.get_running_loop() is self._loop:
            await super().end(backend)
            return
        real = super().end(backend)
        await self._store._later(lambda: self._database.run(real), 0.0005)

    def connect_here(self) -> psycopg.Connection[Any]:
        beats = self._database.beats
        return beats.pop() if beats else super().connect_here()

    def give_back(self) -> None:
        """Nobody uses them any more."""
        self._closed = True
        for connection in self.made:
            if not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
                connection.owner = None
                Connection.spare.append(connection)
        self.made.clear()
        self._idle.clear()


class SimulatedPostgresStore(PostgresStore):
    """The store of one simulated process."""

    def __init__(self, process: Process, database: Database) -> None:
        super().__init__(database.url, process.environment)
        self._process = process
        self._world = process.world
        self._database = database
        self._set_clock = process.world.clock
        self._seen = DatabaseClock(process.environment.clock)
        self.clock = self._seen
        self._is_gone_here = partial(self._is_gone)
        self._queue: list[tuple[Append, Callable[[Verdict], None]]] = []
        self._at_work = False
        self._is_told = False
        self._changes: set[str] = set()

    @property
    def origin(self) -> str:
        """Under which it tells others that it has written."""
        return "" if self._connections is None else self._connections.origin

    async def open(self) -> None:
        await self._later(self._open, 0.002)

    def _open(self) -> None:
        async def opened() -> tuple[SimulatedConnections, Writer]:
            connections = SimulatedConnections(self._database, self, self._world.clock)
            connections.origin = f"{self._world.seed} {self._process.name}"
            writer = Writer(connections)
            await writer.open()
            return connections, writer

        self._connections, self._writer = self._database.run(opened())
        self._look()

    def _look(self) -> None:
        """What a listener does now and then."""
        now = self._process.environment.clock.monotonic()
        self._seen.saw(now, now, self._world.clock.time())
        self.changed(ANY_CHANGE)
        self._world.after(LOOK, self._look, self._process)

    def changed(self, changes: Collection[str]) -> None:
        """Another process has written, and said so."""
        self._changes |= set(changes)
        if not self._is_told:
            self._is_told = True
            self._world.after(self._world.soon(0.005), self._tell_change, self._process)

    def _tell_change(self) -> None:
        self._is_told = False
        changes, self._changes = self._changes, set()
        self._process.loop.call_soon(self._others_wrote, changes)

    async def close(self) -> None:
        await self._later(self._finish, 0.002)

    def _finish(self) -> None:
        batch, self._queue = self._queue, []
        if batch:
            verdicts = self._database.run(self._recorded(batch))
            self._world.model.committed(self._process, [append for append, _ in batch], verdicts)
        self.drop()

    def drop(self) -> None:
        """Use the connections no more."""
        connections, writer = self._connections, self._writer
        self._connections = self._writer = None
        if isinstance(connections, SimulatedConnections):
            assert writer is not None
            self._database.run(self._dropped(writer))
            connections.give_back()
        if self._heartbeat is not None:
            self._database.beats.append(self._heartbeat)
            self._heartbeat = None

    async def _dropped(self, writer: Writer) -> None:
        if writer._task is not None:
            writer._task.cancel()
            with suppress(asyncio.CancelledError):
                await writer._task

    def _is_gone(self, record: ProcessRecord) -> bool:
        return self._world.faults.notices_deaths and any(
            process.dead for process in self._world.processes if record.process_id in process.identities
        )

    # What is asked, sooner or later.

    async def _later(self, do: Callable[[], T], mean: float) -> T:
        """Do something a bit later, on behalf of this process."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settle(answer: Any) -> None:
            if future.done():  # cancelled by who waited
                return
            if isinstance(answer, WfgenError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        def act() -> None:
            answer: Any
            try:
                answer = do()
            except WfgenError as error:
                answer = error
            if not self._process.dead:
                self._world.after(
                    self._world.soon(mean),
                    lambda: (self._process.loop.call_soon(settle, answer), None)[1],
                    self._process,
                )

        self._world.after(self._world.soon(mean), act, self._process)
        return await future

    async def _read(self, work: Callable[[Any], Awaitable[T]], *, snapshot: bool = False) -> T:
        if self._connections is None:
            raise self._closed()

        def read() -> T:
            if self._connections is None:
                raise self._closed()
            if self._world.chance(self._world.faults.unreadable):
                raise StoreUnreachableError("simulated")
            return self._database.run(self._connections.read(work, snapshot=snapshot))

        return await self._later(read, 0.0005)

    async def _write(self, work: Callable[[Any], Awaitable[T]], *, pipelined: bool = False) -> T:
        if self._connections is None:
            raise self._closed()
        return await self._asked(work, lambda connections, _: connections.write(work, pipelined=pipelined))

    async def create(self, new: NewRun, owner: str | None = None) -> tuple[RunRecord, bool]:
        if self._writer is None:
            raise self._closed()

        def creation(transitions: Any) -> Any:
            raise AssertionError(transitions, new, owner)

        return await self._asked(creation, lambda _, writer: writer.create(new, owner))

    async def _asked(self, work: Any, do: Callable[[Connections, Writer], Coroutine[Any, Any, T]]) -> T:
        """Have the server do something in one transaction."""
        world, process = self._world, self._process
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        name = asked(work)[0]

        def settle(answer: Any) -> None:
            if future.done():  # cancelled by who waited
                return
            if isinstance(answer, WfgenError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        def act() -> None:
            if self._dies_or_stalls(name, act):
                return
            answer: Any
            connections, writer = self._connections, self._writer
            if not isinstance(connections, SimulatedConnections) or writer is None:
                answer = self._closed()
            else:
                with self._fate(connections) as fate:
                    try:
                        answer = self._database.run(do(connections, writer))
                    except WfgenError as error:
                        answer = error
                world.note(f"{process.name} {fate} {name} -> {shown(answer)}")
                is_known = not isinstance(answer, StoreUnreachableError)
                world.model.committed(process, [work] if is_known else [], [answer] if is_known else [])
            self._tell(name, lambda: settle(answer))

        world.after(world.soon(), act, process)
        return await future

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        if self._writer is None:
            raise self._closed()
        self._queue.append((append, done))
        if not self._at_work:
            self._at_work = True
            self._world.after(self._world.soon(0.0005), self._append_all, self._process)

    def _append_all(self) -> None:
        world, process = self._world, self._process
        batch = self._queue
        what = "; ".join(describe(append) for append, _ in batch)
        if self._dies_or_stalls(what, self._append_all):
            return
        self._queue = []
        connections = self._connections
        verdicts: list[Verdict]
        if not isinstance(connections, SimulatedConnections):
            verdicts = [self._closed() for _ in batch]
        else:
            with self._fate(connections) as fate:
                verdicts = self._database.run(self._recorded(batch))
            for (append, _), verdict in zip(batch, verdicts, strict=True):
                world.note(f"{process.name} {fate} {describe(append)} -> {shown(verdict)}")
            known = [
                (append, verdict)
                for (append, _), verdict in zip(batch, verdicts, strict=True)
                if not isinstance(verdict, StoreUnreachableError)
            ]
            world.model.committed(process, [append for append, _ in known], [verdict for _, verdict in known])

        def settle() -> None:
            for (_, done), verdict in zip(batch, verdicts, strict=True):
                done(verdict)

        self._tell(what, settle, self._more)

    def _more(self) -> None:
        if self._queue:
            self._world.after(0.0, self._append_all, self._process)
        else:
            self._at_work = False

    async def _recorded(self, batch: Sequence[tuple[Append, Any]]) -> list[Verdict]:
        assert self._writer is not None
        futures: list[asyncio.Future[Verdict]] = []
        for append, _ in batch:
            future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            futures.append(future)
            self._writer.append(append, future.set_result)
        return list(await asyncio.gather(*futures))

    def _dies_or_stalls(self, what: str, again: Callable[[], None]) -> bool:
        """Whether nothing is sent now: the process is dead, or stands still and does it after that."""
        world, process = self._world, self._process
        if world.chance(world.faults.crash_before_commit):
            process.crash(f"before a commit of {what}")
            return True
        if world.chance(world.faults.stall_at_commit):
            process.stall(world.stall(), whole=True)
            world.after(0.0, again, process)
            return True
        return False

    @contextmanager
    def _fate(self, connections: SimulatedConnections) -> Iterator[str]:
        """What becomes of the next commit."""
        world = self._world
        kind = next((kind for kind in FATES if world.chance(getattr(world.faults, kind))), "")
        connections.fate = fate = world.random.choice(FATES[kind]) if kind else ""
        try:
            yield fate
        finally:
            connections.fate, connections.is_down = "", False

    def _tell(self, what: str, settle: Callable[[], None], then: Callable[[], None] = lambda: None) -> None:
        """Tell what has come of something, if the process still lives."""
        world, process = self._world, self._process
        if world.chance(world.faults.crash_after_commit):
            process.crash(f"after a commit of {what}, before anybody was told")
            return
        if world.chance(world.faults.stall_at_commit):
            process.stall(world.stall(), whole=True)

        def tell() -> None:
            process.loop.call_soon(settle)
            then()

        world.after(world.soon(), tell, process)

    def renew(self, process_id: str, lease: float) -> bool:
        if self._world.chance(self._world.faults.busy):
            raise StoreUnreachableError("simulated")
        renewed = super().renew(process_id, lease)
        self._world.model.committed(self._process, [], [])
        return renewed
