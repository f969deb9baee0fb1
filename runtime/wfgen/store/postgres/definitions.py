"""What was deployed, in a PostgreSQL store: each shape that a version of a workflow had."""

from __future__ import annotations

from collections.abc import Sequence

from wfgen.store.deployments import DefinitionRecord, NewDefinition
from wfgen.store.postgres.queries import Connection, rows


async def record(connection: Connection, definitions: Sequence[NewDefinition]) -> None:
    """Record what a process has."""
    # In one order, so that processes that start at the same time do not wait for each other in a circle.
    shapes = {(one.workflow, one.version, one.steps_hash): one.manifest for one in definitions}
    keys = sorted(shapes)
    await connection.execute(
        "INSERT INTO definitions AS known (workflow, version, steps_hash, manifest, first_at, last_at)"
        " SELECT one.*, clock.now, clock.now FROM (SELECT now_seconds() AS now) AS clock,"
        " unnest(%s::text[], %s::text[], %s::text[], %s::bytea[]) AS one ON CONFLICT (workflow, version, steps_hash)"
        " DO UPDATE SET manifest = excluded.manifest, last_at = greatest(known.last_at, excluded.last_at)",
        (
            [workflow for workflow, _, _ in keys],
            [version for _, version, _ in keys],
            [steps_hash for _, _, steps_hash in keys],
            [shapes[key] for key in keys],
        ),
    )


async def definitions(connection: Connection, workflow: str | None, version: str | None) -> Sequence[DefinitionRecord]:
    """Those of a workflow and version, or of all, sorted; the last deployed shape of each version first."""
    found = await rows(
        connection,
        "SELECT workflow, version, steps_hash, manifest, first_at, last_at FROM definitions"
        " WHERE workflow = coalesce(%s, workflow) AND version = coalesce(%s, version)"
        " ORDER BY workflow, version, last_at DESC, first_at DESC, steps_hash",
        (workflow, version),
    )
    return [DefinitionRecord(*row) for row in found]
