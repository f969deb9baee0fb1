"""The thread that reads, on a connection of its own, so that no query waits behind a commit."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from wfgen.errors import WfgenError
from wfgen.store.sqlite.faults import fault

Query = tuple[Callable[[sqlite3.Connection], Any], Callable[[Any], None]]
"""What to read, and who is told: the result or the error."""


class Reader:
    """Owns the connection that reads."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._connect = connect
        self._loop = loop
        self._queries: SimpleQueue[Query | None] = SimpleQueue()
        self._stopped: Callable[[Any], None] = lambda _: None

    def submit(self, query: Query) -> None:
        """Queue a query."""
        self._queries.put(query)

    def stop(self, stopped: Callable[[Any], None] = lambda _: None) -> None:
        """End the thread after everything that is queued; `stopped` is told once the connection is closed."""
        self._stopped = stopped
        self._queries.put(None)

    def run(self, opened: Callable[[Any], None]) -> None:
        """The thread: open, answer until told to stop, close. `opened` is told None or the error."""
        try:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
        except Exception as error:
            self._tell(opened, fault(error, self._path))
            return
        self._tell(opened, None)
        while query := self._queries.get():
            read, done = query
            try:
                answer = read(connection)
            except WfgenError as error:
                answer = error
            except Exception as error:
                answer = fault(error, self._path)
            self._tell(done, answer)
        connection.close()
        self._tell(self._stopped, None)

    def _tell(self, done: Callable[[Any], None], answer: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(done, answer)
