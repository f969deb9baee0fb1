"""Which definitions of workflows were deployed when: each process that works a store records its own there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NewDefinition:
    """One version of a workflow as a process has it."""

    workflow: str
    version: str
    steps_hash: str
    """What of it matters to a replay."""
    manifest: bytes
    """The workflow's part of the manifest, as JSON."""


@dataclass(frozen=True, slots=True)
class DefinitionRecord:
    """A definition that was deployed."""

    workflow: str
    version: str
    steps_hash: str
    manifest: bytes
    first_at: float
    """When a process brought it for the first time, in seconds since the epoch."""
    last_at: float
    """When a process brought it for the last time."""


class DeploymentStore(Protocol):
    """What every store does with definitions; part of `Store`. Coroutines of the engine's loop."""

    async def record_definitions(self, definitions: Sequence[NewDefinition]) -> None:
        """Record what a process that registers has.

        The same steps of a version once more change `last_at`, and the manifest if that is another one.
        """
        ...

    async def definitions(self, workflow: str | None = None, version: str | None = None) -> Sequence[DefinitionRecord]:
        """By workflow and version, the last deployed first: one version may have been deployed with several shapes."""
        ...
