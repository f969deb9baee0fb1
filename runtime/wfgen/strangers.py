"""Runs in the store of workflows and versions that this process does not have: it leaves them alone, and says so."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from wfgen.errors import StoreError
from wfgen.origins import Origins

if TYPE_CHECKING:
    from wfgen.store.protocol import Store
    from wfgen.store.records import RunStatus

log = logging.getLogger("wfgen.engine")

UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting", "paused")
SHOWN = 100
"""Runs that are counted at most."""


async def tell_of_strangers(store: Store, package: str, known: Collection[tuple[str, str]]) -> None:
    """Log which unfinished runs of a store a process cannot work; not those of other projects.

    Args:
        store: where they are.
        package: import name of the process's generated package.
        known: name and version of the workflows that the process has.
    """
    try:
        unknown = [pair for pair in await store.workflows() if pair not in known]
        origins = Origins(await store.definitions() if unknown else (), package, known)
        for workflow, version in unknown:
            if origins.stranger(workflow, version) is not None:
                continue
            runs = len(await store.list_runs(workflow=workflow, version=version, status=UNFINISHED, limit=SHOWN))
            if runs:
                count = "1 unfinished run" if runs == 1 else f"{runs}{'+' * (runs == SHOWN)} unfinished runs"
                log.warning(
                    "%s of workflow %r version %r: left alone, since it is not defined here. A worker that has it goes "
                    "on with them; `wfgen runs list --stranded` lists them.",
                    count, workflow, version,
                )  # fmt: skip
    except StoreError as error:
        log.warning("it is not known whether there are runs that this process cannot work: %s", error)
