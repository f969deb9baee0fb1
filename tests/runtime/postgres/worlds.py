"""What the tests of the PostgreSQL store share: a store for a moment, and commits that are held up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg

from wfgen.environment import Environment
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.processes import this_process

from ...postgres import plain


@contextlib.asynccontextmanager
async def opened(url: str, count: int = 1) -> AsyncIterator[Any]:
    """So many open stores on one schema; one alone is given as itself."""
    async with contextlib.AsyncExitStack() as stack:
        stores = []
        for _ in range(count):
            store = PostgresStore(url, Environment())
            await store.open()
            stack.push_async_callback(store.close)
            stores.append(store)
        yield stores if count > 1 else stores[0]


async def registered(store: PostgresStore, lease: float = 100) -> str:
    """A process that works that store; gives its id."""
    process = this_process(Environment())
    await store.register(process, lease)
    return process.process_id


def play(story: Callable[[], Awaitable[None]], limit: float = 60) -> None:
    """Run a story; it must end in time."""

    async def main() -> None:
        async with asyncio.timeout(limit):
            await story()

    asyncio.run(main())


def ask(connection: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    """The first value that a query gives, None without one."""
    row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else row[0]


async def until(holds: Callable[[], Any], limit: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, "it does not come about"
        await asyncio.sleep(0.002)


_HOLD = """
CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER hold_commits AFTER INSERT OR UPDATE ON {table}
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_commit();
"""


class Gate:
    """Holds up commits that have written to a table, each at its very end."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.execute("SELECT pg_advisory_lock(7)")

    def open(self) -> None:
        self._connection.execute("SELECT pg_advisory_unlock(7)")

    @property
    def waiting(self) -> set[int]:
        """The server's processes whose commits wait."""
        query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return {pid for (pid,) in self._connection.execute(query)}


@contextlib.contextmanager
def gate(url: str, table: str) -> Iterator[Gate]:
    """A gate in a schema whose tables are there; it is gone afterwards."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(_HOLD.format(table=table).encode())
        try:
            yield Gate(connection)
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            connection.execute(f"DROP TRIGGER hold_commits ON {table}".encode())
            connection.execute("DROP FUNCTION hold_commit()")
