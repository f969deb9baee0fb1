"""From the setting `engine`, one URL, to a store."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

from wfgen.environment import Environment
from wfgen.errors import ConfigurationError
from wfgen.store.protocol import Store
from wfgen.store.sqlite import SQLiteStore

_LATER = {"temporal": "Temporal"}
_EXAMPLE = (
    "Use sqlite:///folder/file.db (from the project), sqlite:////folder/file.db (absolute) or "
    "postgresql://user@host/database?schema=wfgen."
)


def open_store(url: str, project: Path, environment: Environment, *, read_only: bool = False) -> Store:
    """The store of an engine URL; not connected yet, its `open()` does that.

    `sqlite:///.wfgen/wfgen.db` starts at `project`, `sqlite:////var/lib/wfgen.db` at the root of the file system;
    `?synchronous=normal` chooses the mode that may lose the last commits in a power failure. Characters that mean
    something in a URL are written as `%3F`.

    `postgresql://user@host:5432/database?schema=wfgen` is a schema of a database, `wfgen` by default; other options
    are libpq's, such as `sslmode=require`.

    With `read_only` the store neither creates nor migrates anything, and refuses what writes.

    Raises:
        ConfigurationError: the URL is no engine of this wfgen, or is malformed. It never repeats the whole URL,
            which may hold a password.
    """
    scheme, separator, rest = url.partition(":")
    scheme = scheme.lower()
    if separator and scheme in _LATER:
        raise ConfigurationError(f"the engine {_LATER[scheme]} is not available yet in this wfgen.", hint=_EXAMPLE)
    if separator and scheme in ("postgresql", "postgres"):
        return _postgres_store(url, environment, read_only=read_only)
    if not separator or scheme != "sqlite":
        what = f"no engine is called {scheme!r}." if separator else f"{url!r} is no engine URL."
        raise ConfigurationError(what, hint=_EXAMPLE)
    place, _, query = rest.partition("?")
    if not place.startswith("///"):
        raise ConfigurationError(f"the engine sqlite:{place} has too few slashes.", hint=_EXAMPLE)
    path = unquote(place[3:])
    if path in ("", "/", ":memory:") or path.endswith("/") or "\0" in path:
        raise ConfigurationError(f"the engine sqlite:{place} names no file.", hint=_EXAMPLE)
    return SQLiteStore(project / path, environment, synchronous=_synchronous(query), read_only=read_only)


def _postgres_store(url: str, environment: Environment, *, read_only: bool) -> Store:
    try:
        import psycopg  # noqa: F401 - an extra, which other stores do without
    except ImportError as error:
        raise ConfigurationError(
            f"the engine postgresql needs psycopg, which cannot be imported ({error}).",
            hint="Install it: pip install 'wfgen-runtime[postgres]'.",
        ) from error
    from wfgen.store.postgres.store import PostgresStore

    return PostgresStore(url, environment, read_only=read_only)


def _synchronous(query: str) -> Literal["full", "normal"]:
    chosen: Literal["full", "normal"] = "full"
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ConfigurationError(f"the options {query!r} of the engine URL are malformed.", hint=_OPTIONS) from None
    for name, value in options:
        if name != "synchronous":
            close = difflib.get_close_matches(name, ["synchronous"], n=1)
            hint = f"Did you mean {close[0]!r}?" if close else _OPTIONS
            raise ConfigurationError(f"the engine sqlite has no option {name!r}.", hint=hint)
        if value not in ("full", "normal"):
            raise ConfigurationError(f"the option synchronous of the engine sqlite cannot be {value!r}.", hint=_OPTIONS)
        chosen = "normal" if value == "normal" else "full"
    return chosen


_OPTIONS = "Its one option is synchronous=full (the default) or synchronous=normal."
