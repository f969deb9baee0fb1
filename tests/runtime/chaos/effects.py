"""Side effects, each a row in a table of its own, written over a connection of its own.

A row also says whether the step was recorded as completed already at that moment: one statement reads that and writes.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg

from wfgen import Job

_RECORDED = (
    "SELECT 1 FROM {events} AS e JOIN {runs} AS r ON r.run = e.run"
    " WHERE r.run_id = {p} AND e.key = {p} AND e.type = 'step_completed'"
)
_ROW = "INSERT INTO effects SELECT {p}, {p}, {p}, {p}, {p}, {p}, {p}, {p}, EXISTS ({recorded})"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS effects (id text PRIMARY KEY, run text, key text, idempotency_key text, attempt int,"
    " pid int, began double precision, delayed int, late boolean)"
)
_READ = "SELECT run, key, idempotency_key, attempt, pid, began, delayed, late FROM effects ORDER BY began"


@dataclass(frozen=True, slots=True)
class Effect:
    """One call of a step's function."""

    run: str
    key: str
    idempotency_key: str
    attempt: int
    pid: int
    began: float
    """In seconds since the epoch, by the machine's clock."""
    delayed: bool
    """Whether it could not be written at once: `late` is of a later moment than `began` then."""
    late: bool
    """Whether the step's completion was recorded before this row was written."""


class Effects(Protocol):
    """A table of them."""

    def write(self, row: Sequence[Any]) -> None: ...

    def read(self) -> list[Effect]: ...


class SQLiteEffects:
    """In a file beside the store's."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(
            folder / "effects.db", timeout=30, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")  # processes are killed, not the machine
        self._connection.execute(_TABLE)
        self._connection.execute("ATTACH ? AS store", (str(folder / ".wfgen" / "wfgen.db"),))
        recorded = _RECORDED.format(events="store.events", runs="store.runs", p="?")
        self._write = _ROW.format(recorded=recorded, p="?")

    def write(self, row: Sequence[Any]) -> None:
        self._connection.execute(self._write, (*row, row[1], row[2]))

    def read(self) -> list[Effect]:
        return [Effect(*row) for row in self._connection.execute(_READ)]

    def tamper(self, statement: str) -> None:
        """Change effects, or the store's tables: `store.events`."""
        assert self._connection.execute(statement).rowcount

    def close(self) -> None:
        self._connection.close()


class PostgresEffects:
    """In a schema beside the store's, in the same database; the connection is made when it is needed.

    Args:
        place: what psycopg connects to.
        schema: the store's.
    """

    def __init__(self, place: str, schema: str) -> None:
        self._place = place
        self._schema = schema
        self._connection: psycopg.Connection[Any] | None = None
        recorded = _RECORDED.format(events=f"{schema}.events", runs=f"{schema}.runs", p="%s")
        self._write = _ROW.format(recorded=recorded, p="%s") + " ON CONFLICT (id) DO NOTHING"

    def create(self) -> None:
        self._connected().execute(f"CREATE SCHEMA {self._schema}_effects".encode())
        self._connected().execute(_TABLE)

    def write(self, row: Sequence[Any]) -> None:
        self._connected().execute(self._write.encode(), (*row, row[1], row[2]))

    def read(self) -> list[Effect]:
        self.close()  # the server may have ended the session meanwhile
        return [Effect(*row) for row in self._connected().execute(_READ)]

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._place, autocommit=True, options=f"-c search_path={self._schema}_effects", connect_timeout=5
            )
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


places: list[Effects] = []
"""Where this process writes; there is one once it is a worker."""
_lock = threading.Lock()


def note(run: str, key: str, job: Job | None = None) -> None:
    """Have an effect; while the table cannot be reached, wait as long as anybody waits for the step."""
    began, id, delayed = time.time(), str(uuid.uuid4()), 0
    while True:
        idempotency_key, attempt = (job.idempotency_key, job.attempt) if job is not None else (f"{run}/{key}", 1)
        try:
            with _lock:
                places[0].write((id, run, key, idempotency_key, attempt, os.getpid(), began, delayed))
            return
        except psycopg.OperationalError:
            if job is not None and job.is_over:
                raise
            delayed = 1
            time.sleep(0.05)


async def noted(job: Job) -> None:
    """The same for a coroutine."""
    await asyncio.to_thread(note, str(job.run_id), job.key, job)
