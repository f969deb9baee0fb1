"""What was deployed to the store last, to compare the sources with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wfgen_cli.baselines import STORE, Baseline
from wfgen_cli.run_filters import UNFINISHED
from wfgen_cli.store_processes import members
from wfgen_cli.stores import place_of, reading
from wfgen_inspector.compatibility.deployed import forgotten, last_of, snapshot_of
from wfgen_inspector.compatibility.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from wfgen.manifest import Manifest
    from wfgen.settings import Settings
    from wfgen.store.deployments import DefinitionRecord

_HINT = (
    "A worker or application of wfgen records it when it starts to work the store; until then compare with a lock file."
)


def deployed(settings: Settings, today: Manifest) -> Baseline:
    """What was deployed last of each version of the project's workflows. The store is only read.

    Versions that have gone are left out once nothing needs them: the last deployment was without them, no run of them
    is in flight, and no process serves them.

    Args:
        settings: of the project.
        today: what the sources define.

    Raises:
        DeploymentError: nothing of this project was deployed there, or what is recorded is damaged.
        StoreError: the store cannot be read.
    """
    place = place_of(settings)
    found, kept = asyncio.run(_ask(settings, place, today))
    own = last_of(found, today.package)
    if not own:
        others = "" if not found else f" It holds workflows of other projects, such as {found[0].workflow!r}."
        raise DeploymentError(f"nothing of {today.package} was deployed to {place} yet.{others}", hint=_HINT)
    gone = forgotten(own, _pairs(today), kept)
    named = tuple(sorted(f"{one.workflow} version {one.version}" for one in gone))
    return Baseline(snapshot_of([one for one in own if one not in gone]), f"the {STORE} {place}", forgotten=named)


async def _ask(
    settings: Settings, place: str, today: Manifest
) -> tuple[Sequence[DefinitionRecord], Collection[tuple[str, str]]]:
    """All definitions, and name and version of those that are not defined here and that somebody needs."""
    async with reading(settings) as store:
        if store is None:
            raise DeploymentError(f"nothing was deployed to {place}: there is no store yet.", hint=_HINT)
        found = await store.definitions()
        live = [member for member in await members(store) if member.state == "live"]
        kept = set()
        for workflow, version in {(one.workflow, one.version) for one in found} - _pairs(today):
            runs = await store.list_runs(workflow=workflow, version=version, status=UNFINISHED, limit=1)
            if runs or any(member.works(workflow, version) for member in live):
                kept.add((workflow, version))
        return found, kept


def _pairs(manifest: Manifest) -> set[tuple[str, str]]:
    return {(workflow.name, workflow.version) for workflow in manifest.workflows}
