"""What every store must do, on ours. Another store joins by an entry in `STORES`.

On PostgreSQL the suite runs on the newest and on the oldest version that the tests have. The checks share a schema
there, which is emptied between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from wfgen.environment import Environment
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.protocol import Store
from wfgen.store.records import Append, Message
from wfgen.store.sqlite import SQLiteStore

from ..postgres import plain, schema

pytest.register_assert_rewrite("wfgen.testing.stores")
from wfgen.testing.stores import CHECKS, run_check  # noqa: E402

STORES: dict[str, Callable[[pytest.FixtureRequest, Path], Callable[[Environment], Store]]] = {
    "sqlite": lambda _, folder: lambda environment: SQLiteStore(folder / "store.db", environment),
    "sqlite-normal": lambda _, folder: (
        lambda environment: SQLiteStore(folder / "store.db", environment, synchronous="normal")
    ),
    "postgres": lambda request, _: request.getfixturevalue("newest"),
    "postgres-oldest": lambda request, _: request.getfixturevalue("oldest"),
}
FROM_NOTHING = {"the schema can be asked of a store that is closed"}
"""Checks that begin where there are no tables yet."""


class Place:
    """A schema that one check after the other uses."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg.connect(plain(url), autocommit=True)
        self._schema = self._connection.info.user

    def __call__(self, environment: Environment) -> Store:
        return PostgresStore(self._url, environment)

    @contextmanager
    def used(self, name: str) -> Iterator[Place]:
        """For one check, which must leave no connection behind."""
        if name in FROM_NOTHING:
            self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self._schema)))
        yield self
        until = time.monotonic() + 60
        while left := self._connection.execute(
            "SELECT state, query FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        ).fetchall():
            assert time.monotonic() < until, f"connections are left: {left}"
            time.sleep(0.002)
        tables = self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'meta'"
        ).fetchall()
        for (table,) in tables:
            self._connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _place(server: str) -> Iterator[Place]:
    with schema(server) as url:
        place = Place(url)
        try:
            yield place
        finally:
            place.close()


@pytest.fixture(scope="module")
def newest_place(postgres_server: str) -> Iterator[Place]:
    with _place(postgres_server) as place:
        yield place


@pytest.fixture(scope="module")
def oldest_place(oldest_postgres_server: str) -> Iterator[Place]:
    with _place(oldest_postgres_server) as place:
        yield place


@pytest.fixture
def newest(newest_place: Place, name: str) -> Iterator[Place]:
    with newest_place.used(name):
        yield newest_place


@pytest.fixture
def oldest(oldest_place: Place, name: str) -> Iterator[Place]:
    with oldest_place.used(name):
        yield oldest_place


@pytest.mark.parametrize("store", sorted(STORES))
@pytest.mark.parametrize("name", sorted(CHECKS))
def test_conformance(name: str, store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """D16: each check of the public suite holds."""
    run_check(name, STORES[store](request, tmp_path))


def test_the_suite_finds_faults(tmp_path: Path) -> None:
    """A store that does not fence, forgets messages or leaves gaps fails the checks about that."""

    class Lax(SQLiteStore):
        async def messages(self, process_id: str, **_: object) -> tuple[list[Message], int]:
            return [], 0

        def append(self, append: Append, done: Callable[[None], None]) -> None:
            done(None)

    failed = set()
    for number, name in enumerate(CHECKS):
        try:
            run_check(name, partial(Lax, tmp_path / f"{number}.db"), timeout=5)
        except Exception:
            failed.add(name)
    assert {
        "a process that lost a run cannot write to it",
        "messages are kept until they are consumed",
        "a gap or a repetition is refused, 1",
        "each append of a batch has its own verdict",
    } <= failed
