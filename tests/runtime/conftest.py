"""A project of one's own for each test: definitions made in place, a store file in a temporary folder or a schema."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.store.sqlite import SQLiteStore
from wfgen.worker_process import WorkerProcess

from ..postgres import connections, plain, schema

FILE = "sqlite:///.wfgen/wfgen.db?synchronous=normal"
"""Processes come and go; the machine does not."""


class Project:
    """Collects definitions and runs scenarios against a real store."""

    def __init__(self, folder: Path, engine: str = FILE) -> None:
        self.settings = Settings(project=folder, engine=engine)

    def scenario(
        self,
        module: dict[str, Any],
        scenario: Callable[[Engine], Awaitable[Any]],
        *,
        work: bool = True,
        process: WorkerProcess | None = None,
        environment: Environment | None = None,
    ) -> Any:
        """Open the engine with a module's definitions, await the scenario, close."""
        registry = Registry("none")
        registry.register(*module[NAMESPACE].values())

        async def main() -> Any:
            async with (
                open_engine(registry, self.settings, work=work, environment=environment, process=process) as engine,
                asyncio.timeout(60),
            ):
                return await scenario(engine)

        return asyncio.run(main())

    def execute(self, statement: str) -> None:
        """Change something behind the engine's back."""
        if self.settings.engine.startswith("postgresql:"):
            with psycopg.connect(plain(self.settings.engine)) as connection:
                connection.execute(statement.encode())
        else:
            with contextlib.closing(sqlite3.connect(self.settings.project / ".wfgen" / "wfgen.db")) as file, file:
                file.execute(statement)

    def anew(self, folder: Path) -> Project:
        """Another project on the same kind of store, where nothing is recorded yet."""
        if self.settings.engine.startswith("postgresql:"):
            _empty(self.settings.engine)
        return Project(folder, self.settings.engine)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_stores: runs on SQLite and on PostgreSQL, if it has to do with a store.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_stores"):
        metafunc.parametrize("engine_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def engine_url(request: pytest.FixtureRequest) -> str:
    """A store file in the project's folder; of a test that is marked `both_stores` also an empty schema."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return FILE
    url: str = request.getfixturevalue("emptied_schema")
    return url


@pytest.fixture(scope="session")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing is recorded yet: making one takes longer than most of the tests."""
    path = tmp_path_factory.mktemp("store") / "wfgen.db"

    async def make() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture
def project(tmp_path: Path, engine_url: str, store_file: Path) -> Project:
    if engine_url == FILE:
        (tmp_path / ".wfgen").mkdir()
        shutil.copy(store_file, tmp_path / ".wfgen")
    return Project(tmp_path, engine_url)


@pytest.fixture(scope="session")
def shared_schema(postgres_server: str) -> Iterator[str]:
    """A schema that one test after the other uses: making the tables takes longer than most of the tests."""
    with schema(postgres_server) as url:
        yield url


@pytest.fixture
def emptied_schema(shared_schema: str, postgres_server: str) -> Iterator[str]:
    """That schema for one test, which must leave no connection behind."""
    yield shared_schema
    role = urlsplit(shared_schema).username
    assert role is not None
    left = connections(postgres_server, role, wait=60)
    _empty(shared_schema)
    assert not left, f"connections are left: {left}"


def _empty(url: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'meta'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
