"""What can be wrong with a store file, as wfgen's own errors: nobody above sees a bare `sqlite3.Error`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from wfgen.errors import StoreBusyError, StoreError, StoreFormatError, StoreFullError, StoreGoneError
from wfgen.store import refusals

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL = frozenset({sqlite3.SQLITE_FULL})
_FORBIDDEN = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_UNWRITTEN = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""Input/output errors that quotas and file size limits end in."""


def _code(error: BaseException) -> int:
    """SQLite's extended result code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) or 0


def is_busy(error: BaseException) -> bool:
    """Whether another connection holds a lock that was needed."""
    return _code(error) & 0xFF in _BUSY


def strikes_all(error: BaseException) -> bool:
    """Whether the file or the disk is at fault, and not the one operation that met the error."""
    primary = _code(error) & 0xFF
    if isinstance(error, StoreGoneError):
        return True
    return primary in _BUSY | _FULL | _FORBIDDEN | _DAMAGED or primary == sqlite3.SQLITE_IOERR


def fault(error: BaseException, path: Path) -> StoreError:
    """The store error for what SQLite, the file system or Python raised while `path` was used."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return refusals.not_utf8(error)
    if isinstance(error, OSError):
        return StoreFullError(
            f"the store {path} cannot be created: {error.strerror or error}.",
            hint="Give the setting `engine` a file in a folder that this user may write to.",
        )
    code = _code(error)
    primary = code & 0xFF
    if primary in _BUSY:
        return StoreBusyError(
            f"the store {path} is locked by another program.",
            hint="Close the program that holds it open (a database browser, a backup), then try again.",
        )
    if primary in _FULL or code in _UNWRITTEN:
        return StoreFullError(
            f"the store {path} cannot be written: {error}.",
            hint="Make room on its disk, or raise the quota; nothing that was recorded is lost.",
        )
    if primary in _FORBIDDEN:
        return StoreFullError(
            f"the store {path} cannot be written: {error}.",
            hint="Let this user write to the file and its folder, or point the setting `engine` elsewhere.",
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return not_a_database(path)
    if primary in _DAMAGED:
        return StoreFormatError(
            f"the store {path} is damaged: {error}.",
            hint="Restore it from a backup, or move it away together with its -wal and -shm files.",
        )
    return StoreError(f"the store {path} failed: {type(error).__name__}: {error}.")


def not_a_database(path: Path) -> StoreFormatError:
    """The error for a file that holds something else."""
    return StoreFormatError(
        f"{path} is not a wfgen store: it is not a SQLite database.",
        hint="Move it away, or point the setting `engine` to another file.",
    )
