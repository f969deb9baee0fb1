"""The lease of this process: renewed from a thread, and not renewed when the engine's loop has stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from wfgen.environment import Environment
from wfgen.errors import StoreError
from wfgen.store.protocol import Store

log = logging.getLogger("wfgen.engine")


class Heartbeat:
    """Keeps a process's lease alive while its loop is.

    A process gives up by its own clock before the store lets another in: it counts its lease from before each
    renewal, and holds it to be over a tenth earlier.

    Args:
        store: whose `renew` is called, on the heartbeat thread.
        process_id: the process.
        lease: in seconds.
        environment: clock and threads.
        began: when the lease was asked for, by the monotonic clock.
        lapsed: called on the loop when the lease is lost.
    """

    def __init__(
        self,
        store: Store,
        process_id: str,
        lease: float,
        environment: Environment,
        began: float,
        lapsed: Callable[[], None],
    ) -> None:
        self._store = store
        self._process_id = process_id
        self._lease = lease
        self._environment = environment
        self._lapsed = lapsed
        self._loop = asyncio.get_running_loop()
        self._stop: Callable[[], None] | None = None
        self._closed = False
        self._is_failing = False
        self._ticker: asyncio.TimerHandle | None = None
        self._tick_at = began
        self._until = began + lease * 0.9
        self._is_over = False
        """Whether the lease is lost, for good: what is given up must not look as if it were held again."""

    @property
    def valid(self) -> bool:
        """Whether this process may still act for its runs, by its own clock."""
        return not self._is_over and self._environment.clock.monotonic() < self._until

    def start(self) -> None:
        """Begin to tick and to renew."""
        self._tick()
        self._stop = self._environment.every(self._lease / 3, self._beat, "wfgen-heartbeat")

    async def close(self) -> None:
        """Stop renewing, and wait for the thread."""
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        if self._stop is not None:
            await self._loop.run_in_executor(None, self._stop)

    def _tick(self) -> None:
        now = self._environment.clock.monotonic()
        if now >= self._until:  # a renewal may be on its way, and for how long nobody knows
            self._is_over = True
            self._lapsed()
            return
        self._tick_at = now
        self._ticker = self._loop.call_later(min(self._lease / 6, self._until - now), self._tick)

    def _beat(self) -> bool:
        """Renew the lease, on the heartbeat thread; whether to go on."""
        if self._is_over:
            return False
        began = self._environment.clock.monotonic()
        if began - self._tick_at > self._lease / 2:
            log.warning("the engine's loop has not run for %.1f s: its lease is not renewed", began - self._tick_at)
            renewed = began < self._until
        else:
            try:
                renewed = self._store.renew(self._process_id, self._lease)
            except StoreError as error:
                level = logging.DEBUG if self._is_failing else logging.WARNING
                log.log(level, "the lease could not be renewed: %s", error)
                self._is_failing = True
                renewed = began < self._until
            else:
                self._is_failing = False
                if renewed:
                    self._until = began + self._lease * 0.9
        if renewed or self._closed:
            return not self._closed and not self._is_over
        self._is_over = True
        with contextlib.suppress(RuntimeError):  # the loop was closed under us
            self._loop.call_soon_threadsafe(self._lapsed)
        return False
