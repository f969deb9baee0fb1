"""What is said of a store that cannot be used for a while: that it is so, now and then that it still is, and its end.

All that is at work meets the same fault, again and again: one of them tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from wfgen.errors import LeaseLostError, StoreBusyError, StoreError, StoreFullError

log = logging.getLogger("wfgen.engine")

FIRST_PAUSE, LAST_PAUSE = 5.0, 60.0
"""Seconds between two errors in the log about one fault: twice as long each time."""


class Outage:
    """Remembers what was told.

    Args:
        time: in seconds, of a clock that is not set.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._since: float | None = None
        """When the store stopped to answer, as far as that was told."""
        self._failing: set[str] = set()
        """Those who ask in turn and whom it did not answer last."""
        self._met = float("-inf")
        """When it failed last."""
        self._next: dict[str, tuple[float, float]] = {}
        """By code of the error, when it is told again, and how long after that once more."""

    def level(self, error: Exception, asker: str | None = None) -> int:
        """How loudly to log an error after which the store is asked again.

        Args:
            error: what it said.
            asker: who asks in turn, and will say that it has answered.
        """
        if not isinstance(error, StoreError) or isinstance(error, LeaseLostError):
            return logging.ERROR
        if asker is not None:
            self._failing.add(asker)
        now = self._time()
        if now - self._met > LAST_PAUSE:
            self._next.clear()
        self._met = now
        at, pause = self._next.get(error.code, (now, FIRST_PAUSE))
        if now < at:
            return logging.DEBUG
        self._next[error.code] = now + pause, min(pause * 2, LAST_PAUSE)
        # One that may be read but not written for now answers all the time.
        if self._since is None and not isinstance(error, StoreBusyError | StoreFullError):
            self._since = now
        return logging.ERROR

    def over(self, asker: str) -> None:
        """The store has answered one who asks in turn."""
        self._failing.discard(asker)
        if self._since is not None and not self._failing:
            log.warning("the store can be used again, after %.0f s", self._time() - self._since)
            self._since = None
