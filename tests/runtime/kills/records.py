"""What a store has recorded, read beside the engine by whoever wants to know what a process left."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import psycopg

from wfgen.store.postgres.address import parse

FILE = "sqlite:///.wfgen/wfgen.db"
"""The engine of a store in the folder of the scenario."""


class Records:
    """A connection of its own to a store; may be used by any thread.

    Args:
        folder: of the scenario.
        engine: URL of the store.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | psycopg.Connection[Any]
        if engine == FILE:
            path = folder / ".wfgen" / "wfgen.db"
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        else:
            address = parse(engine)
            options: dict[str, Any] = {**address.parameters, "options": f"-c search_path={address.schema}"}
            self._connection = psycopg.connect(**options, autocommit=True)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query gives; `?` stands for a value."""
        with self._lock:
            if isinstance(self._connection, psycopg.Connection):
                return self._connection.execute(query.replace("?", "%s").encode(), values).fetchall()
            return self._connection.execute(query, values).fetchall()

    def completed(self, run_id: str, before: bool = False) -> list[str]:
        """Keys of what is recorded as completed of a run, and counts; with `before` by processes before this one."""
        kept: list[tuple[int, str]] = []
        claimed = 0
        for seq, type, key, data in self.rows(
            "SELECT e.seq, e.type, e.key, e.data FROM events AS e JOIN runs AS r ON r.run = e.run"
            " WHERE r.run_id = ? ORDER BY e.seq",
            run_id,
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

    def over(self, run_id: str, key: str) -> bool:
        """Whether the job of a step has ended."""
        query = (
            "SELECT 1 FROM jobs AS j JOIN runs AS r ON r.run = j.run"
            " WHERE r.run_id = ? AND j.key = ? AND j.finished_at IS NOT NULL"
        )
        return bool(self.rows(query, run_id, key))

    def close(self) -> None:
        self._connection.close()
