"""The same moments where the store is a PostgreSQL database: a commit is a statement, or COMMIT, and its answer.

A process that is killed before it sends one leaves a transaction that the server takes back; one that is killed while
it waits for the answer leaves one that the server goes on with, perhaps while another process is taking over.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, get_args

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.waiting import Wait

from wfgen.events import EventType
from wfgen.store.postgres import connections
from wfgen.store.postgres.batches import APPEND, APPEND_EVENT, CREATE
from wfgen.store.postgres.connections import Connections
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.postgres.writing import Writer

from .moments import Moments, asked_for

_TYPES = frozenset(get_args(EventType))
_names: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar("names", default=None)
"""What the transaction of this task holds; None where nothing is written."""


class Watched(psycopg.AsyncConnection[Any]):
    """A connection that tells what it commits."""

    moments: ClassVar[Moments]
    sent: psycopg.AsyncPipeline
    """What is sent together just now."""
    last: set[str] | None = None
    """What a commit holds of which this process is killed once it is sent."""
    prepares = False
    """Whether what was sent last only prepares a statement."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.cursor_factory = Cursor

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        names = _names.get()
        if names is not None:
            text = query if isinstance(query, bytes) else str(query).encode()
            if b"CREATE TABLE" in text:
                names.add("schema")
            if text.startswith(b"INSERT INTO events"):
                names |= set(_texts(params)) & _TYPES
            if query in (APPEND, APPEND_EVENT, CREATE) and self.pgconn.transaction_status == TransactionStatus.IDLE:
                return await self._commit(names, lambda: super(Watched, self).execute(query, params, **options))
        return await super().execute(query, params, **options)

    @asynccontextmanager
    async def transaction(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        inner = super().transaction(*arguments, **options)
        entered = await inner.__aenter__()
        try:
            yield entered
        except BaseException:
            if not await inner.__aexit__(*sys.exc_info()):
                raise
        else:

            async def commit() -> None:
                await inner.__aexit__(None, None, None)
                if self.pgconn.pipeline_status:
                    await self.sent.sync()

            await self._commit(_names.get(), commit)

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[psycopg.AsyncPipeline]:
        async with super().pipeline() as self.sent:
            yield self.sent

    async def _commit(self, names: set[str] | None, do: Callable[[], Any]) -> Any:
        if not names:
            return await do()
        names = set(names)
        when = self.moments.begin(names)
        self.last = names if when == "sent" else None
        done = await do()
        if when:
            self.moments.kill(when, names)
        return done

    async def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        return await super().wait(self._until_sent(gen) if self.last else gen, *arguments, **options)

    def _until_sent(self, gen: Any) -> Any:
        """Go on until all is sent and its answer is waited for."""
        try:
            wanted = next(gen)
            while True:
                if wanted == Wait.R and not self.prepares:
                    self.moments.kill("sent", self.last or set())
                wanted = gen.send((yield wanted))
        except StopIteration as ended:
            return ended.value


class Cursor(psycopg.AsyncCursor[Any]):
    """Tells its connection what it sends."""

    def _send_prepare(self, name: bytes, query: Any) -> None:
        self._conn.prepares = True  # type: ignore[attr-defined]
        super()._send_prepare(name, query)

    def _send_query_prepared(self, *arguments: Any, **options: Any) -> None:
        self._conn.prepares = False  # type: ignore[attr-defined]
        super()._send_query_prepared(*arguments, **options)


def _texts(values: Any) -> Iterable[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _texts(value)


def watch(moments: Moments) -> None:
    """Be told of all commits that this process makes to databases from now on."""
    write, record, create = Connections.write, Writer._record_new, Writer._create
    prepare, renew = PostgresStore._prepare, PostgresStore._renew

    async def written(self: Any, work: Any, **options: Any) -> Any:
        names = set[str]()
        _names.set(names)

        async def named(connection: Any) -> Any:
            names.clear()
            done = await work(connection)
            if done != [] or not asked_for(work).startswith("claim"):  # nothing was there to be claimed
                names.add(asked_for(work))
            return done

        try:
            return await write(self, named, **options)
        finally:
            _names.set(None)

    async def recorded(self: Any, connection: Any, batch: Any) -> Any:
        types = {event.type for append in batch.appends for event in append.events}
        _names.set(types | {"waiting" for append in batch.appends if append.status == "waiting"})
        return await record(self, connection, batch)

    async def created(self: Any, starts: Any, *, again: bool) -> Any:
        _names.set({"create", "run_started"})
        return await create(self, starts, again=again)

    async def prepared(self: Any, connection: Any) -> None:
        _names.set(set())
        await prepare(self, connection)
        _names.set(None)

    def renewed(self: Any, *arguments: Any) -> Any:
        return moments.commit({"renew"}, lambda: renew(self, *arguments))

    Watched.moments = moments
    psycopg.AsyncConnection = connections.AsyncConnection = Watched  # type: ignore[misc,assignment]
    Connections.write = written  # type: ignore[method-assign]
    Writer._record_new = recorded  # type: ignore[method-assign]
    Writer._create = created  # type: ignore[method-assign]
    PostgresStore._prepare = prepared  # type: ignore[method-assign]
    PostgresStore._renew = renewed  # type: ignore[method-assign]
