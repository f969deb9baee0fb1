"""From an engine URL to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wfgen.environment import Environment
from wfgen.errors import ConfigurationError
from wfgen.store.engines import open_store
from wfgen.store.sqlite import SQLiteStore

PROJECT = Path("/some/project")


def sqlite_store(url: str) -> SQLiteStore:
    store = open_store(url, PROJECT, Environment())
    assert isinstance(store, SQLiteStore)
    return store


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///.wfgen/wfgen.db", "/some/project/.wfgen/wfgen.db"),
        ("sqlite:////var/lib/wfgen.db", "/var/lib/wfgen.db"),
        ("SQLite:///w.db", "/some/project/w.db"),
        ("sqlite:///../other/w.db", "/some/project/../other/w.db"),
        ("sqlite:///a b%20c%3Fd#e.db", "/some/project/a b c?d#e.db"),
    ],
)
def test_a_path_starts_at_the_project_unless_it_is_absolute(url: str, path: str) -> None:
    """Three slashes are relative to the project, four absolute; percent signs stand for characters."""
    assert sqlite_store(url).path == Path(path)


@pytest.mark.parametrize(
    ("query", "chosen"), [("", "full"), ("?synchronous=full", "full"), ("?synchronous=normal", "normal")]
)
def test_the_lossy_mode_is_named(query: str, chosen: str) -> None:
    """Commits are durable unless the URL says `synchronous=normal`."""
    store = sqlite_store(f"sqlite:///w.db{query}")
    assert store.path == PROJECT / "w.db"
    assert store._synchronous == chosen


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("postgresql://user:secret@db/wf?schema=", "cannot have the schema ''"),
        ("postgres://user:secret@db/wf?shema=x", "no option 'shema'.*Did you mean 'schema'"),
        ("postgresql://user:sec@ret@db/wf", "more than one @"),
        ("temporal://localhost:7233/default", "Temporal is not available yet"),
        ("mysql://user:secret@db/wf", "no engine is called 'mysql'"),
        ("", "no engine URL.*sqlite:///folder"),
        ("wfgen.db", "no engine URL.*sqlite:///folder"),
        ("sqlite:", "too few slashes"),
        ("sqlite:w.db", "too few slashes"),
        ("sqlite://w.db", "too few slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///w.db?synchronous=off", "cannot be 'off'.*normal"),
        ("sqlite:///w.db?synchronous", "malformed"),
        ("sqlite:///w.db?synchronos=full", "Did you mean 'synchronous'"),
        ("sqlite:///w.db?timeout=3", "no option 'timeout'.*synchronous=full"),
    ],
)
def test_a_bad_url_says_what_is_wrong_and_keeps_secrets(url: str, match: str) -> None:
    """Each mistake has its message and advice, and no password is repeated."""
    with pytest.raises(ConfigurationError, match=match) as raised:
        open_store(url, PROJECT, Environment())
    assert "secret" not in str(raised.value)


def test_postgresql_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg the message gives the command that installs it; with it the URL is a store, still closed."""
    url = "postgresql://me:secret@db/shop?schema=flows"
    store = open_store(url, PROJECT, Environment())
    assert store.place == "PostgreSQL db, database shop, schema flows"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'wfgen-runtime\[postgres\]'") as raised:
        open_store(url, PROJECT, Environment())
    assert "secret" not in str(raised.value)


def test_other_stores_do_without_it() -> None:
    """Nothing imports psycopg before a URL asks for PostgreSQL."""
    subprocess.run([sys.executable, "-c", "import sys, wfgen.engine; sys.exit('psycopg' in sys.modules)"], check=True)
