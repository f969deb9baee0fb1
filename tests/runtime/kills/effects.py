"""Side effects in a table of their own, each checked against what is recorded at that moment."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from .records import FILE, Records

FOLDER = Path()
"""Of the effects; set once this process is one of those that may be killed."""
ENGINE = FILE
"""URL of the store; the same."""

_lock = threading.Lock()
_open: list[tuple[sqlite3.Connection, Records]] = []


def effect(run_id: str, key: str, *, once: bool = False, late: bool = False) -> None:
    """Something that is done outside; noted as wrong if it must not be done again.

    Args:
        run_id: the run.
        key: the step.
        once: whether the step runs at most once.
        late: whether it is a thread's that cannot be stopped: its process may have recorded a timeout meanwhile.
    """
    with _lock:
        if not _open:
            _open.append((opened(FOLDER), Records(FOLDER, ENGINE)))
        connection, records = _open[0]
        before = connection.execute("SELECT count(*) FROM calls WHERE run = ? AND key = ?", (run_id, key)).fetchone()
        connection.execute("INSERT INTO calls VALUES (?, ?, ?)", (run_id, key, os.getpid()))
        if key in records.completed(run_id, late) or records.over(run_id, key):
            connection.execute("INSERT INTO wrong VALUES (?)", (f"{key} runs again after it was recorded",))
        if once and before != (0,):
            connection.execute("INSERT INTO wrong VALUES (?)", (f"{key}, which runs at most once, runs again",))


def opened(folder: Path) -> sqlite3.Connection:
    """The table of effects."""
    connection = sqlite3.connect(folder / "effects.db", timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS calls (run TEXT, key TEXT, pid INTEGER)")
    connection.execute("CREATE TABLE IF NOT EXISTS wrong (what TEXT)")
    return connection
