"""Starting runs: they are recorded, and taken at once where this process has room."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from wfgen.claims import Claims
from wfgen.definitions import WorkflowDefinition
from wfgen.errors import StoreUnreachableError
from wfgen.events import Event
from wfgen.loading import load_workflow
from wfgen.membership import Membership
from wfgen.new_runs import new_run
from wfgen.runs import Run
from wfgen.store.records import Claimed

if TYPE_CHECKING:
    from wfgen.engine import Engine


class Starts:
    """Starts runs through one engine.

    Args:
        engine: whose store records them.
        membership: of its process; without a lease it takes no run.
        claims: take those for which there is room.
        chance: from which their ids are drawn.
    """

    def __init__(self, engine: Engine, membership: Membership, claims: Claims, chance: random.Random) -> None:
        self._engine = engine
        self._membership = membership
        self._claims = claims
        self._random = chance

    async def start(
        self, workflow: str, data: Any, version: str | None, key: str | None, tags: Collection[str], *, is_json: bool
    ) -> Run[Any]:
        """Record a new run, see `Engine.start_run`; with `is_json` the input is JSON text."""
        codec = self._engine.codec
        definition = self._definition(workflow, version)
        encoded = definition.encode_input(data, codec.validate_json if is_json else codec.validate)
        return await self._create(definition, encoded, key, tags, any_version=version is None)

    def _definition(self, workflow: str, version: str | None) -> WorkflowDefinition:
        engine = self._engine
        definition = load_workflow(engine.registry, workflow, version)
        refusal = engine.unloadable.refusal(definition.name, definition.version)
        if refusal is not None:
            raise refusal
        return definition

    async def _create(
        self,
        definition: WorkflowDefinition,
        encoded: bytes | None,
        key: str | None,
        tags: Collection[str],
        *,
        any_version: bool,
    ) -> Run[Any]:
        engine, sorted_tags = self._engine, definition.sorted_tags(tags)
        new = new_run(
            self._random, definition.name, definition.version, encoded, key, sorted_tags, any_version=any_version
        )
        takes = self._membership.valid and self._claims.free > 0 and engine.serving.takes(definition.name)
        with self._claims.taking():
            try:
                record, created = await engine.store.create(new, engine.process_id if takes else None)
            except (asyncio.CancelledError, StoreUnreachableError):
                # It may be recorded all the same, as ours in its first epoch: given back, so that somebody works it.
                if takes:
                    self._claims.release(new.run_id, 1)
                raise
            if self._claims.families is not None:
                self._claims.families.add(record.run_id)
                self._claims.wake.set()
            if created and record.owner is not None and record.owner == engine.process_id:
                data = {"workflow": record.workflow, "version": record.version, "process": record.owner}
                started = Event(1, "run_started", record.created_at, None, data, record.input)
                self._claims.take(Claimed(record, [started], []))
            elif created:
                self._claims.wake.set()
        return Run(engine, record.run_id)
