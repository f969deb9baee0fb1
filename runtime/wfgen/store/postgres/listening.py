"""Hearing that others have written: by NOTIFY, and by looking now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from wfgen.environment import Clock
from wfgen.store.postgres.clock import DatabaseClock
from wfgen.store.postgres.connections import Connection, Connections
from wfgen.store.records import ANY_CHANGE

_SOONEST, _BUSY, _CLOSE = 0.001, 0.1, 4.0
"""Seconds between two tellings of a change: at first, and at most. Whoever is told asks the server, and busy neighbours
write a thousand times a second: the pause grows as long as changes come within so many pauses of each other."""
_RARELY = 5.0
"""How often it is looked whether there was anything, in seconds, while notifications come."""
_OFTEN, _LATEST = 0.05, 0.5
"""The same where they do not come, as behind a pooler: often just after a change."""
_FIRST_RETRY, _LAST_RETRY = 0.1, 2.0
"""Seconds between attempts to connect."""
_LISTEN: LiteralString = "LISTEN {}"
_ECHO = "echo"
"""What a store tells itself, to hear whether it hears."""
_HEARD = 2.0
"""Seconds within which what this connection itself notifies must come back."""


def changes_of_others(heard: Iterable[str], origin: str) -> set[str]:
    """What stores other than `origin` have done, as they said in notifications: who it is, and those of ANY_CHANGE."""
    return {
        change
        for who, _, changes in (one.partition(" ") for one in heard)
        if who != origin
        for change in changes.split()
    }


class Listener:
    """Owns the connection that listens.

    Args:
        connections: connects.
        clock: keeps the database's time; it is set on the way.
        on_change: called on the loop soon after another store has written, with those of ANY_CHANGE that it has done.
    """

    def __init__(self, connections: Connections, clock: Clock, on_change: Callable[[Collection[str]], None]) -> None:
        self._connections = connections
        self._clock = clock
        self._on_change = on_change
        self._channel = f"wfgen_{connections.address.schema}".encode()[:63].decode("utf-8", "ignore")
        self._hears = False
        self._snapshot = 0
        self._changed_at = self._looked_at = 0.0
        self._pause = _SOONEST
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and begin to listen; from now on nothing is missed. Raises psycopg.Error."""
        self._connection = await self._begin()
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="wfgen-store-listener")

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()

    async def _begin(self) -> Connection:
        connection = await self._connections.connect()
        try:
            await connection.execute(sql.SQL(_LISTEN).format(sql.Identifier(self._channel)))
            for _ in range(3):
                await self.look(connection)
            # It never comes back through what forwards answers alone.
            await connection.execute("SELECT pg_notify(%s, %s)", (self._channel, _ECHO))
            self._hears = bool([one async for one in connection.notifies(timeout=_HEARD, stop_after=1)])
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _listen(self) -> None:
        pause = _FIRST_RETRY
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._begin()
                    pause = _FIRST_RETRY
                    self._on_change(ANY_CHANGE)  # what was missed meanwhile
                await self._wait(self._connection)
            except (psycopg.Error, OSError):
                await self._disconnect()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_RETRY)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()

    async def _wait(self, connection: Connection) -> None:
        """Wait for a change, and tell."""
        changes: Collection[str] = ()
        if self._hears:
            heard = [one.payload async for one in connection.notifies(timeout=_RARELY, stop_after=1)]
            changes = changes_of_others(heard, self._connections.origin)
            if time.monotonic() - self._looked_at >= _RARELY and await self.look(connection) and not heard:
                changes = ANY_CHANGE
        else:
            await asyncio.sleep(min(_LATEST, max(_OFTEN, (time.monotonic() - self._changed_at) / 20)))
            if await self.look(connection):
                changes = ANY_CHANGE
        if changes:
            now = time.monotonic()
            self._pause = min(self._pause * 1.5, _BUSY) if now - self._changed_at < _CLOSE * self._pause else _SOONEST
            self._changed_at = now
            self._on_change(changes)
            await asyncio.sleep(self._pause)

    async def look(self, connection: Connection) -> bool:
        """Set the clock; gives whether anybody has written anything in this server since the last look."""
        self._looked_at = time.monotonic()
        asked = self._clock.monotonic()
        cursor = await connection.execute("SELECT now_seconds(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        row: Any = await cursor.fetchone()
        if isinstance(self._clock, DatabaseClock):
            self._clock.saw(asked, self._clock.monotonic(), row[0])
        changed: bool = row[1] != self._snapshot
        self._snapshot = row[1]
        return changed
