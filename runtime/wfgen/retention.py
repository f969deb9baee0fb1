"""Removing old runs now and then, as the setting `retention` says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from wfgen.errors import StoreError

if TYPE_CHECKING:
    from wfgen.store.protocol import Store

log = logging.getLogger("wfgen.engine")

BATCH = 100
"""Runs that are removed with one commit."""
PAUSE = 0.05
"""Seconds between two commits, for those who work."""
LONGEST = 3600.0
"""Seconds between two rounds at most."""


async def keep_for(seconds: float, store: Store, time: Callable[[], float]) -> None:
    """Remove finished runs and jobs of a store once they have been over for so long; never returns.

    Args:
        seconds: how long they are kept.
        store: where they are.
        time: seconds since the epoch.
    """
    while True:
        removed = 0
        try:
            while pruned := await store.prune(time() - seconds, limit=BATCH):
                removed += len(pruned)
                await asyncio.sleep(PAUSE)
            while await store.prune_jobs(time() - seconds, limit=BATCH):  # noqa: ASYNC110  # of runs that stay
                await asyncio.sleep(PAUSE)
        except StoreError as error:
            log.error("old runs cannot be removed just now: %s", error)
        if removed:
            log.info("removed %d runs that had been over for %g s", removed, seconds)
        await asyncio.sleep(min(seconds / 10, LONGEST))
