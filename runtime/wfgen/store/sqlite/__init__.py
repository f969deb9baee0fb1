"""The embedded store: one SQLite file, used by any number of processes of one machine."""

from wfgen.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
