"""What was deployed to a store, as something to compare today's sources with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from wfgen.manifest import WorkerEntry, WorkflowEntry
from wfgen.store.deployments import DefinitionRecord
from wfgen_inspector.compatibility.errors import DeploymentError
from wfgen_inspector.compatibility.snapshot import SCHEMA_VERSION, Snapshot, of_entries

Pair = tuple[str, str]


def last_of(definitions: Sequence[DefinitionRecord], package: str) -> list[DefinitionRecord]:
    """What was deployed last of each version of a project's workflows, in the order in which that was.

    Args:
        definitions: of a store, which several projects may share; the last deployed shape of each version first.
        package: import name of the project's generated package.

    Raises:
        DeploymentError: a newer wfgen recorded it, or it is damaged.
    """
    last: dict[Pair, DefinitionRecord] = {}
    for definition in definitions:
        if _data(definition).get("package") == package:
            last.setdefault((definition.workflow, definition.version), definition)
    return sorted(last.values(), key=lambda one: one.last_at)


def forgotten(
    definitions: Sequence[DefinitionRecord], today: Collection[Pair], kept: Collection[Pair]
) -> list[DefinitionRecord]:
    """Versions that are gone for good: the last deployment came without them, and nothing needs them any more.

    Args:
        definitions: as `last_of` gives them.
        today: name and version of what the sources define.
        kept: of what runs are in flight, or what a process still serves.
    """
    newest = max((one.last_at for one in definitions), default=0.0)
    pairs = {*today, *kept}
    return [one for one in definitions if one.last_at < newest and (one.workflow, one.version) not in pairs]


def snapshot_of(definitions: Sequence[DefinitionRecord]) -> Snapshot:
    """What these definitions, in the order of their deployment, are as a release: of a worker or type, the last one.

    Raises:
        DeploymentError: one of them is damaged.
    """
    workflows: list[WorkflowEntry] = []
    workers: dict[str, WorkerEntry] = {}
    for definition in definitions:
        try:
            workflows += (WorkflowEntry.model_validate(entry) for entry in _list(definition, "workflows"))
            for worker in (WorkerEntry.model_validate(entry) for entry in _list(definition, "workers")):
                workers[worker.id] = worker
        except ValidationError as error:
            first = error.errors()[0]
            raise _damaged(definition, f"at {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return of_entries(tuple(workflows), tuple(workers.values()))


def _list(definition: DefinitionRecord, kind: str) -> Iterator[Any]:
    found = _data(definition).get(kind)
    return iter(found if isinstance(found, list) else [])


def _data(definition: DefinitionRecord) -> dict[str, Any]:
    try:
        data = json.loads(definition.manifest)
    except ValueError as error:
        raise _damaged(definition, str(error)) from None
    if not isinstance(data, dict):
        raise _damaged(definition, "it holds no object")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DeploymentError(
            f"the definition of {_name(definition)} was recorded by a newer wfgen: its schema is version {version}, "
            f"this one knows {SCHEMA_VERSION}.",
            hint="Upgrade wfgen, or compare with something else.",
        )
    return data


def _damaged(definition: DefinitionRecord, why: str) -> DeploymentError:
    return DeploymentError(
        f"the definition of {_name(definition)} in the store is damaged: {why}.",
        hint="The next worker that is deployed records it anew; until then compare with a lock file.",
    )


def _name(definition: DefinitionRecord) -> str:
    return f"workflow {definition.workflow!r} version {definition.version!r}"
