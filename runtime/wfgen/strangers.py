"""Runs in the store of workflows and versions that this process does not have: it leaves them alone, and says so."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from wfgen.errors import StoreError

if TYPE_CHECKING:
    from wfgen.store.protocol import RunStatus, Store

log = logging.getLogger("wfgen.engine")

UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting", "paused")
SHOWN = 100
"""Runs that are counted at most."""


async def tell_of_strangers(store: Store, known: Collection[tuple[str, str]]) -> None:
    """Log which unfinished runs of a store a process cannot work.

    Args:
        store: where they are.
        known: name and version of the workflows that the process has.
    """
    try:
        for workflow, version in await store.workflows():
            if (workflow, version) in known:
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
