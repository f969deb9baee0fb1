"""The moments at which a process can be killed: before and after each commit, named by what is committed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import wfgen.store.sqlite.schema
from wfgen.events import EventType
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.records import Append
from wfgen.store.sqlite import SQLiteStore
from wfgen.store.sqlite.committer import Committer

_ALSO = {"waiting", "renew", "schema"}


def commit_points() -> set[str]:
    """Every name that a commit of the engine can have: what the store is asked for, and what comes to be recorded."""
    return _asked(SQLiteStore) | set(get_args(EventType)) | _ALSO


def postgres_points() -> set[str]:
    """The same for PostgreSQL."""
    return _asked(PostgresStore) | {"create", "finish_job"} | set(get_args(EventType)) | _ALSO


def _asked(store: type) -> set[str]:
    methods = {name: method for part in reversed(store.__mro__) for name, method in vars(part).items()}
    writing = {"_write", "_claim"}
    return {name for name, method in methods.items() if not name.startswith("_") and writing & set(_used(method))}


def _used(method: Any) -> tuple[str, ...]:
    code = getattr(method, "__code__", None)
    return code.co_names if code is not None else ()


class Moments:
    """Counts the commits of this process, and kills it at one of them.

    Args:
        where: `never`; `before:3` or `after:3`: at the third commit, before it is durable, or after it is and before
            anybody has been told; with a name in place of the number, the first commit of that name. On PostgreSQL
            also `sent:<name>`: once it is sent, before there is an answer. Several of them, separated by commas: at
            the first that comes.
        log: a file that takes the names of all commits, one a line; the last ones are those at which it was killed.
    """

    def __init__(self, where: str, log: Path) -> None:
        self._where = {tuple(moment.split(":")) for moment in where.split(",")}
        self._log = log
        self._commits: list[set[str]] = []

    def begin(self, names: set[str]) -> str:
        """A commit is about to be made; gives when in it this process is to be killed, if it is."""
        self._commits.append(names)
        points = {str(len(self._commits)), *names}
        chosen = (when for when in ("before", "sent", "after") if any((when, point) in self._where for point in points))
        when = next(chosen, "")
        if when == "before":
            self.kill(when, names)
        return when

    def commit(self, names: set[str], do: Callable[[], Any]) -> Any:
        """Make a commit."""
        when = self.begin(names)
        done = do()
        if when:
            self.kill(when, names)
        return done

    def kill(self, when: str, names: set[str]) -> None:
        """End this process; a file `killed` beside the log tells when in which commit."""
        self.write()
        self._log.with_name("killed").write_text(" ".join([when, *sorted(names)]))
        os.kill(os.getpid(), signal.SIGKILL)

    def write(self) -> None:
        """Tell what was committed."""
        self._log.write_text("\n".join(" ".join(sorted(names)) for names in self._commits))

    def watch(self) -> None:
        """Be told of all commits that this process makes to store files from now on."""
        connect, attempt, renew = wfgen.store.sqlite.schema.connect, Committer._attempt, SQLiteStore.renew

        def watched(*arguments: Any, **options: Any) -> Any:
            return Connection(connect(*arguments, **options), self)

        def named(committer: Any, batch: Any, *more: Any) -> Any:
            committer._connection.names = {name for work, _ in batch for name in _names(work)}
            return attempt(committer, batch, *more)

        def renewed(store: Any, *lease: Any) -> Any:
            return self.commit({"renew"}, lambda: renew(store, *lease))

        wfgen.store.sqlite.schema.connect = watched
        Committer._attempt = named  # type: ignore[method-assign]
        SQLiteStore.renew = renewed  # type: ignore[method-assign]


def _names(work: Any) -> list[str]:
    if isinstance(work, Append):
        return ["waiting"] if work.status == "waiting" else []
    return [asked_for(work)]


def asked_for(work: Any) -> str:
    """The method of the store that a piece of work belongs to."""
    while "work" in work.__code__.co_freevars:  # it is a part of another one
        work = work.__closure__[work.__code__.co_freevars.index("work")].cell_contents
    parts = str(work.__code__.co_qualname).split(".")
    return "finish_job" if parts[0] == "JobEnds" else parts[1]


class Connection:
    """A connection that tells what it commits; transactions that changed nothing make no moment."""

    def __init__(self, real: sqlite3.Connection, moments: Moments) -> None:
        self._real = real
        self._moments = moments
        self._changes = 0
        self.names: set[str] = set()
        """What the open transaction holds."""
        self.close = real.close

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement == "BEGIN IMMEDIATE":
            self._changes = self._real.total_changes
        if statement == "COMMIT" and (self._real.total_changes != self._changes or "schema" in self.names):
            done: sqlite3.Cursor = self._moments.commit(self.names, lambda: self._real.execute(statement))
            return done
        if statement.startswith("CREATE TABLE"):
            self.names.add("schema")
        return self._real.execute(statement, *arguments)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        if statement.startswith("INSERT INTO events"):
            self.names |= {row[2] for row in rows}
        return self._real.executemany(statement, rows)
