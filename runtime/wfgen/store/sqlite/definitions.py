"""What was deployed, in a store file: each shape that a version of a workflow had."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from wfgen.store.deployments import DefinitionRecord, NewDefinition


def record(connection: sqlite3.Connection, definitions: Sequence[NewDefinition], now: float) -> None:
    """Record what a process has; `now` is in seconds since the epoch."""
    connection.executemany(
        "INSERT INTO definitions (workflow, version, steps_hash, manifest, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (workflow, version, steps_hash)"
        " DO UPDATE SET manifest = excluded.manifest, last_at = max(last_at, excluded.last_at)",
        [(one.workflow, one.version, one.steps_hash, one.manifest, now, now) for one in definitions],
    )


def definitions(connection: sqlite3.Connection, workflow: str | None, version: str | None) -> list[DefinitionRecord]:
    """Those of a workflow and version, or of all, sorted; the last deployed shape of each version first."""
    rows = connection.execute(
        "SELECT workflow, version, steps_hash, manifest, first_at, last_at FROM definitions"
        " WHERE workflow = coalesce(?, workflow) AND version = coalesce(?, version)"
        " ORDER BY workflow, version, last_at DESC, first_at DESC, steps_hash",
        (workflow, version),
    )
    return [DefinitionRecord(*row) for row in rows]
