"""Stores that older code has left: today's code opens them, and their runs go on."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from wfgen.engine import open_engine
from wfgen.events import Event
from wfgen.runs import Run
from wfgen.settings import Settings
from wfgen.store.postgres.schema import MIGRATIONS as POSTGRES
from wfgen.store.sqlite.schema import MIGRATIONS as SQLITE

from . import stored

DUMPS = Path(__file__).parents[2] / "fixtures" / "stores"


def test_each_schema_version_has_a_dump() -> None:
    """A new version needs a dump that its own code has made: see stored.py."""
    versions = {f"sqlite-{n + 1}" for n in range(len(SQLITE))} | {f"postgres-{n + 1}" for n in range(len(POSTGRES))}
    assert {dump.stem for dump in DUMPS.glob("*.sql")} == versions


@pytest.mark.parametrize("schema", range(1, len(SQLITE) + 1))
def test_a_file_of_each_schema_is_opened_and_its_runs_go_on(tmp_path: Path, schema: int) -> None:
    """E5, D16: nothing that was recorded runs again, whatever the version of the file."""
    connection = sqlite3.connect(tmp_path / "wfgen.db")
    connection.executescript((DUMPS / f"sqlite-{schema}.sql").read_text("utf-8"))
    connection.close()
    asyncio.run(_go_on(Settings(project=stored.HERE, engine=f"sqlite:///{tmp_path}/wfgen.db"), schema))


@pytest.mark.parametrize("schema", range(1, len(POSTGRES) + 1))
def test_a_database_of_each_schema_is_opened_and_its_runs_go_on(postgres_server: str, schema: int) -> None:
    """E1, E5, D16: the same on PostgreSQL."""
    name = f"dump_{schema}"
    parts = urlsplit(postgres_server)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute((DUMPS / f"postgres-{schema}.sql").read_bytes())
            # Its first version came with the file's fourth.
            asyncio.run(_go_on(Settings(project=stored.HERE, engine=url), schema + 3))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def _go_on(settings: Settings, schema: int) -> None:
    stored.CALLS.clear()
    async with open_engine(stored.registry(), settings) as engine:
        runs: dict[str, Run[object]] = {}
        for record in await engine.store.list_runs():
            if record.idempotency_key is not None:
                runs[record.idempotency_key] = engine.run(record.run_id)
        before = {key: await run.history() for key, run in runs.items()}
        await runs["waiting"].hooks["approval"].resume(100)
        results = {key: await runs[key].result() for key in ("waiting", "answered", "done")}
        assert results == {"waiting": [2, 100, 204], "answered": [3, 20, 46], "done": [4, 10, 28]}
        failed = await engine.store.get_run(runs["failed"].id)
        assert (failed.status, failed.error_type) == ("failed", "wfgen.errors.StepError")
        for key, number in (("pending", 5), ("parent", 4)) if schema >= 2 else (("pending", 5),):
            run = runs[key]
            if key == "parent":
                (child,) = await engine.store.list_runs(parent=run.id)
                await engine.run(child.run_id).hooks["approval"].resume(1)
            else:
                await run.hooks["approval"].resume(1)
            assert await run.result() == [number + 1, 1, (number + 2) * 2]
        if schema >= 4:
            assert await runs["queued"].result() == 14
        for key, events in before.items():
            assert (await runs[key].history())[: len(events)] == events
            assert _ends_are_single(await runs[key].history())
    # Steps that were recorded did not run again: of `add` only the run that nobody had begun.
    assert sorted(call for call in stored.CALLS if call.startswith("add")) == ["add 5"]


def _ends_are_single(events: list[Event]) -> bool:
    keys = [event.key for event in events if event.type == "step_completed"]
    return len(keys) == len(set(keys)) and [event.seq for event in events] == list(range(1, len(events) + 1))
