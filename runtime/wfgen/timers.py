"""Timers of all runs of a process, by wall clock, behind one timer of the engine's loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from wfgen.environment import Clock

MAX_WAIT = 30.0
"""Seconds after which the wall clock is looked at again: it may have been set, or the machine may have slept."""


class Alarms:
    """The timers of one run, by the keys of the operations that they belong to.

    Args:
        at: sets a timer: when, in seconds since the epoch, and what is called; gives what stops it.
    """

    def __init__(self, at: Callable[[float, Callable[[], None]], Callable[[], None]]) -> None:
        self._at = at
        self._set: dict[str, tuple[float, Callable[[], None]]] = {}
        self._dues: list[tuple[float, str]] = []
        """A heap of when they are due, with those that were stopped since."""

    @property
    def next_due(self) -> float:
        """When the first one is due; infinite without any."""
        while self._dues and self._set.get(self._dues[0][1], (None,))[0] != self._dues[0][0]:
            heapq.heappop(self._dues)
        return self._dues[0][0] if self._dues else float("inf")

    def set(self, key: str, due: float, callback: Callable[[], None]) -> None:
        """Set one; it stays set until it is stopped."""
        self._set[key] = due, self._at(due, callback)
        heapq.heappush(self._dues, (due, key))

    def stop(self, key: str) -> bool:
        """Stop one; whether it was set."""
        found = self._set.pop(key, None)
        if found is not None:
            found[1]()
        return found is not None

    def stop_all(self) -> None:
        """Stop all."""
        for key in list(self._set):
            self.stop(key)


class Timers:
    """Calls back at given times.

    Args:
        loop: the engine's loop.
        clock: its `time` is what the due times are compared with.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped: set[int] = set()
        self._numbers = itertools.count()
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at `due`, in seconds since the epoch, or soon if it has passed. Returns what stops it."""
        number = next(self._numbers)
        heapq.heappush(self._heap, (due, number, callback))
        if due < self._armed_for:
            self._arm()
        return lambda: self._stop(number)

    def close(self) -> None:
        """Forget all timers."""
        self._heap.clear()
        self._stopped.clear()
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _stop(self, number: int) -> None:
        self._stopped.add(number)
        if len(self._stopped) > 64 and len(self._stopped) > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[1] not in self._stopped]
            heapq.heapify(self._heap)
            self._stopped.clear()

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
            self._armed_for = float("inf")
        if self._heap:
            due = self._heap[0][0]
            wait = min(max(due - self._clock.time(), 0.0), MAX_WAIT)
            self._armed_for = due
            self._armed = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        self._armed = None
        self._armed_for = float("inf")
        now = self._clock.time()
        try:
            while self._heap and self._heap[0][0] <= now:
                _, number, callback = heapq.heappop(self._heap)
                if number in self._stopped:
                    self._stopped.discard(number)
                else:
                    callback()
        finally:
            self._arm()  # whatever one of them raises, the others are due
