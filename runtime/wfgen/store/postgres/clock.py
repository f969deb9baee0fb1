"""The database's time, as this process knows it between two looks."""

from __future__ import annotations

from collections import deque

from wfgen.environment import Clock

_KEPT = 8
"""Looks that are remembered."""


class DatabaseClock:
    """The server's clock, by this machine's monotonic one and the difference that was seen.

    Args:
        own: of this machine.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._seen: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        """How long each look took, and the difference that it showed, in seconds."""
        self._difference = own.time() - own.monotonic()

    def time(self) -> float:
        """Seconds since the epoch, by the server."""
        return self._own.monotonic() + self._difference

    def monotonic(self) -> float:
        """This machine's own: leases are kept by it."""
        return self._own.monotonic()

    def saw(self, asked: float, answered: float, time: float) -> None:
        """The server has told its time.

        Args:
            asked: by the monotonic clock.
            answered: the same.
            time: what it told, in seconds since the epoch.
        """
        took, difference = answered - asked, time - (asked + answered) / 2
        if self._seen and abs(difference - self._difference) > took / 2 + min(self._seen)[0]:
            self._seen.clear()  # one of the clocks was set
        self._seen.append((took, difference))
        self._difference = min(self._seen)[1]
