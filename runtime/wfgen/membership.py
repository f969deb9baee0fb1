"""This process as one of those that work a store: its id there, and its lease."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable

from wfgen.environment import Environment
from wfgen.errors import StoreError
from wfgen.heartbeat import Heartbeat
from wfgen.store.processes import this_process
from wfgen.store.protocol import Store

log = logging.getLogger("wfgen.engine")


class Membership:
    """Registers the process, and again under a new id when its lease was lost.

    Args:
        lease: in seconds.
        lapsed: called on the loop when the lease is lost: all runs belong to others.
    """

    def __init__(self, store: Store, lease: float, environment: Environment, lapsed: Callable[[], None]) -> None:
        self.process_id = ""
        self._store = store
        self._lease = lease
        self._environment = environment
        self._lapsed = lapsed
        self.serves = "{}"
        """What the process takes, as JSON; to be set before it enters."""
        self._heartbeat: Heartbeat | None = None
        self._renewing = asyncio.Lock()

    @property
    def valid(self) -> bool:
        """Whether this process may act for its runs, by its own clock."""
        return self._heartbeat is not None and self._heartbeat.valid

    async def enter(self) -> None:
        """Register the process; its lease is renewed from now on."""
        process = dataclasses.replace(this_process(self._environment), serves=self.serves)
        self.process_id = process.process_id
        began = self._environment.clock.monotonic()
        await self._store.register(process, self._lease)
        self._heartbeat = Heartbeat(self._store, self.process_id, self._lease, self._environment, began, self._lapsed)
        self._heartbeat.start()

    async def renew(self) -> None:
        """Register again, under a new id, if the lease was lost: what the old one held belongs to others now."""
        async with self._renewing:  # whoever comes meanwhile finds it done
            if self._heartbeat is not None and not self._heartbeat.valid:
                self._lapsed()
                await self._heartbeat.close()
                await self.enter()

    async def leave(self) -> None:
        """End the lease."""
        if self._heartbeat is not None:
            await self._heartbeat.close()
            with contextlib.suppress(StoreError):
                await self._store.leave(self.process_id)
