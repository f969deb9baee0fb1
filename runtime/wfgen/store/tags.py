"""The tags of runs: in the run's row as they are told, in a table of their own as they are looked for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection


def dumped(tags: Collection[str]) -> str | None:
    """Tags as the run's row holds them."""
    return json.dumps(list(tags), ensure_ascii=False) if tags else None


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
