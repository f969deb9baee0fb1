"""The moments at which a process can be killed: before and after each commit, named by what is committed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import wfgen.store.schema
from wfgen.events import EventType
from wfgen.store.committer import Committer
from wfgen.store.protocol import Append
from wfgen.store.sqlite import SQLiteStore


def commit_points() -> set[str]:
    """Every name that a commit of the engine can have: what the store is asked for, and what comes to be recorded."""
    asked = {name for name, method in vars(SQLiteStore).items() if "_write" in _used(method)}
    return asked | set(get_args(EventType)) | {"waiting", "renew", "schema"}


def _used(method: Any) -> tuple[str, ...]:
    code = getattr(method, "__code__", None)
    return code.co_names if code is not None else ()


class Moments:
    """Counts the commits of this process, and kills it at one of them.

    Args:
        where: `never`; `before:3` or `after:3`: at the third commit, before it is durable, or after it is and before
            anybody has been told; with a name in place of the number, the first commit of that name.
        log: a file that takes the names of all commits, one a line; the last ones are those at which it was killed.
    """

    def __init__(self, where: str, log: Path) -> None:
        self._when, _, self._which = where.partition(":")
        self._log = log
        self._commits: list[set[str]] = []

    def commit(self, names: set[str], do: Callable[[], Any]) -> Any:
        """Make a commit."""
        self._commits.append(names)
        is_it = self._which == str(len(self._commits)) or self._which in names
        if is_it and self._when == "before":
            self._kill()
        done = do()
        if is_it and self._when == "after":
            self._kill()
        return done

    def _kill(self) -> None:
        self.write()
        os.kill(os.getpid(), signal.SIGKILL)

    def write(self) -> None:
        """Tell what was committed."""
        self._log.write_text("\n".join(" ".join(sorted(names)) for names in self._commits))

    def watch(self) -> None:
        """Be told of all commits of this process from now on."""
        connect, attempt, renew = wfgen.store.schema.connect, Committer._attempt, SQLiteStore.renew

        def watched(*arguments: Any, **options: Any) -> Any:
            return Connection(connect(*arguments, **options), self)

        def named(committer: Any, batch: Any, *more: Any) -> Any:
            committer._connection.names = {name for work, _ in batch for name in _names(work)}
            return attempt(committer, batch, *more)

        def renewed(store: Any, *lease: Any) -> Any:
            return self.commit({"renew"}, lambda: renew(store, *lease))

        wfgen.store.schema.connect = watched
        Committer._attempt = named  # type: ignore[method-assign]
        SQLiteStore.renew = renewed  # type: ignore[method-assign]


def _names(work: Any) -> list[str]:
    if isinstance(work, Append):
        return ["waiting"] if work.status == "waiting" else []
    return [str(work.__code__.co_qualname).split(".")[1]]


class Connection:
    """A connection that tells what it commits."""

    def __init__(self, real: sqlite3.Connection, moments: Moments) -> None:
        self._real = real
        self._moments = moments
        self.names: set[str] = set()
        """What the open transaction holds."""
        self.close = real.close

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            done: sqlite3.Cursor = self._moments.commit(self.names, lambda: self._real.execute(statement))
            return done
        if statement.startswith("CREATE TABLE"):
            self.names.add("schema")
        return self._real.execute(statement, *arguments)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        if statement.startswith("INSERT INTO events"):
            self.names |= {row[2] for row in rows}
        return self._real.executemany(statement, rows)
