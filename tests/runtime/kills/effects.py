"""Side effects in a table of their own, each checked against what is recorded at that moment."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from pathlib import Path

FOLDER = Path()
"""Of the store and the effects; set once this process is one of those that may be killed."""

_lock = threading.Lock()
_open: list[sqlite3.Connection] = []


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
            _open.append(opened(FOLDER))
        connection = _open[0]
        before = connection.execute("SELECT count(*) FROM calls WHERE run = ? AND key = ?", (run_id, key)).fetchone()
        connection.execute("INSERT INTO calls VALUES (?, ?, ?)", (run_id, key, os.getpid()))
        if key in completed(connection, run_id, late):
            connection.execute("INSERT INTO wrong VALUES (?)", (f"{key} runs again after it was recorded",))
        if once and before != (0,):
            connection.execute("INSERT INTO wrong VALUES (?)", (f"{key}, which runs at most once, runs again",))


def opened(folder: Path) -> sqlite3.Connection:
    """The table of effects, and beside it the store."""
    connection = sqlite3.connect(folder / "effects.db", timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS calls (run TEXT, key TEXT, pid INTEGER)")
    connection.execute("CREATE TABLE IF NOT EXISTS wrong (what TEXT)")
    connection.execute("ATTACH ? AS store", (str(folder / ".wfgen" / "wfgen.db"),))
    return connection


def completed(connection: sqlite3.Connection, run_id: str, before: bool = False) -> list[str]:
    """Keys of what is recorded as completed of a run, and counts; with `before` by the processes before this one."""
    kept: list[tuple[int, str]] = []
    claimed = 0
    for seq, type, key, data in connection.execute(
        "SELECT e.seq, e.type, e.key, e.data FROM store.events AS e JOIN store.runs AS r ON r.run = e.run"
        " WHERE r.run_id = ? ORDER BY e.seq",
        (run_id,),
    ):
        if type in ("rolled_back", "run_retried"):
            to = json.loads(data)["to"]
            kept = [entry for entry in kept if entry[0] <= to]
        elif type == "run_continued":
            kept.clear()
        elif type == "run_claimed":
            claimed = seq
        elif type in ("step_completed", "step_failed"):
            kept.append((seq, key))
    return [key for seq, key in kept if seq < claimed or not before]
