"""The table of tags, by which runs are found."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection


def add(connection: sqlite3.Connection, run: int, created_at: float, tags: Collection[str]) -> None:
    """Let a run be found by its tags."""
    if tags:
        connection.executemany(
            "INSERT OR IGNORE INTO tags (tag, created_at, run) VALUES (?, ?, ?)",
            [(tag, created_at, run) for tag in tags],
        )


def remove(connection: sqlite3.Connection, run: int) -> None:
    """Forget a run's tags; its row is still there."""
    connection.execute(
        "DELETE FROM tags WHERE (tag, created_at, run) IN"
        " (SELECT t.value, r.created_at, r.run FROM runs AS r, json_each(r.tags) AS t WHERE r.run = ?)",
        (run,),
    )
