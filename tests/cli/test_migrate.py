"""`wfgen migrate`: which tables the store has, making them, and bringing them up to date."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wfgen.environment import Environment
from wfgen.errors import StoreError
from wfgen.ids import RunId
from wfgen.store.engines import open_store
from wfgen.store.records import NewRun
from wfgen.store.sqlite import SQLiteStore
from wfgen.store.sqlite.schema import MIGRATIONS

NOW = len(MIGRATIONS)


def path_of(shop: Any) -> Path:
    path: Path = shop.folder / ".wfgen/wfgen.db"
    return path


def old_store(path: Path, version: int) -> None:
    """A store as an older wfgen has made it; with a run, if it could have had one."""
    path.parent.mkdir(exist_ok=True)

    async def main() -> None:
        store = SQLiteStore(path, Environment(), migrations=MIGRATIONS[:version])
        await store.open()
        await store.close()

    asyncio.run(main())
    with closing(sqlite3.connect(path)) as store:
        store.execute("INSERT INTO runs (run, run_id, workflow, version, status, created_at, updated_at, salt)"
                      " VALUES (1, 'run_old', 'nap', '1', 'pending', 1, 1, 's')")  # fmt: skip
        store.execute("INSERT INTO events (run, seq, type, time) VALUES (1, 1, 'run_started', 1)")
        store.commit()


def shape(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as store:
        version = store.execute("PRAGMA user_version").fetchone()
        return [version, *store.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2")]


def test_a_new_store(shop: Any) -> None:
    """E1: status makes nothing and says so with exit code 1; migrate makes the tables, and once more is no trouble."""
    path = path_of(shop)
    expected = {"place": str(path), "version": 0, "known": NOW, "pending": list(range(1, NOW + 1))}
    assert shop.ask("migrate", "--status", "--json", code=1) == expected
    assert "there are no tables yet" in shop.inside("migrate", "--status").stdout
    assert not path.exists()
    expected = {"place": str(path), "version": NOW, "known": NOW, "pending": [], "applied": list(range(1, NOW + 1))}
    assert shop.ask("migrate", "--json") == expected
    assert shop.ask("migrate", "--json") == {**expected, "applied": []}
    done = shop.inside("migrate", "--status")
    assert (done.returncode, done.stdout) == (0, f"{path}: version {NOW}, up to date.\n")


@pytest.mark.parametrize("version", range(1, NOW))
def test_an_older_store(shop: Any, version: int) -> None:
    """D16: what only looks does not touch it; migrate applies what is missing, and its runs stay."""
    path = path_of(shop)
    old_store(path, version)
    before = path.read_bytes()
    assert shop.ask("migrate", "--status", "--json", code=1)["pending"] == list(range(version + 1, NOW + 1))
    for words in (("doctor", "run_old"), ("workers", "list"), ("check", "--no-types", "--live")):
        done = shop.inside(*words)
        assert done.returncode == (1 if words[0] == "doctor" else 2)
        assert "WF802" in done.stdout + done.stderr
        assert "wfgen migrate" in done.stdout + done.stderr
    assert path.read_bytes() == before
    assert shop.ask("migrate", "--json")["applied"] == list(range(version + 1, NOW + 1))
    assert shop.ask("runs", "list", "--json")[0]["run_id"] == "run_old"


@pytest.mark.parametrize("version", range(NOW))
def test_the_script_does_the_same(shop: Any, version: int) -> None:
    """What `--sql` prints leads to the same tables, from nothing and from each version."""
    path = path_of(shop)
    if version:
        old_store(path, version)
    script = shop.inside("migrate", "--sql").stdout
    assert script == shop.inside("migrate", "--sql", "--from", str(version)).stdout
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as store:
        store.executescript(script)
    assert shop.ask("migrate", "--status", "--json")["pending"] == []
    other = shop.folder / "other.db"
    assert shop.inside("migrate", "--engine", f"sqlite:///{other}").returncode == 0
    assert shape(path) == shape(other)


def test_a_newer_store_is_refused(shop: Any) -> None:
    """Status tells the version and refuses it as migrate does: WF802, exit code 2, nothing is changed."""
    shop.inside("migrate")
    path = path_of(shop)
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for words in (("--status",), (), ("--sql",)):
        done = shop.inside("migrate", *words)
        assert done.returncode == 2
        assert "error[WF802]" in done.stderr
        assert "Upgrade wfgen" in done.stderr
    assert path.read_bytes() == before


def test_bad_input(shop: Any) -> None:
    """Something else in the store's place, a folder without rights, options that do not go together."""
    shop.write(".wfgen/wfgen.db", "no database at all" * 100)
    for words in (("--status",), (), ("--sql",)):
        assert "error[WF801]" in shop.inside("migrate", *words).stderr
    assert "error[WF610]" in shop.inside("migrate", "--status", "--sql").stderr
    assert "error[WF610]" in shop.inside("migrate", "--from", "1").stderr
    assert shop.inside("migrate", "--sql", "--from", "-1").returncode == 2
    unknown = shop.inside("migrate", "--sql", "--from", "99")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no schema version 99" in unknown.stderr
    (shop.folder / "locked").mkdir(0o500)
    done = shop("migrate", "--engine", "sqlite:///locked/w.db", unprivileged=True)
    assert (done.returncode, "error[WF804]" in done.stderr) == (2, True)


def test_a_store_for_reading_alone_writes_nothing(tmp_path: Path) -> None:
    """It makes no file, migrates nothing, and refuses what writes; what is recorded meanwhile it sees."""
    path = tmp_path / "w.db"

    async def main() -> None:
        environment = Environment()
        reader = open_store("sqlite:///w.db", tmp_path, environment, read_only=True)
        with pytest.raises(StoreError, match="there is no store"):
            await reader.open()
        assert not path.exists()
        writer = open_store("sqlite:///w.db", tmp_path, environment)
        await writer.open()
        await reader.open()
        with pytest.raises(StoreError, match="open already"):
            await reader.open()
        await writer.create(NewRun(RunId("run_1"), "nap", "1", None, "s"))
        assert [run.run_id for run in await reader.list_runs()] == ["run_1"]
        for refused in (reader.create(NewRun(RunId("run_2"), "nap", "1", None, "s")), reader.terminate("run_1")):
            with pytest.raises(StoreError, match="for reading alone"):
                await refused
        assert len(await writer.list_runs()) == 1
        await reader.close()
        await writer.close()

    asyncio.run(main())
