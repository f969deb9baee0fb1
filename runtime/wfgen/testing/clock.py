"""The clock of a test: it stands still until the test lets it go on, and jumps over what nobody has to wait for."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from wfgen.durations import Duration, seconds


class TestClock:
    """The time of one test engine, with all timers that depend on it.

    Args:
        start: the first time that it shows.
        settle: waits until nothing is at work.
    """

    __test__ = False  # pytest: no test class, whatever its name

    def __init__(self, start: datetime, settle: Callable[[], Awaitable[None]]) -> None:
        self._now = start.timestamp()
        self._settle = settle
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._live: set[int] = set()
        self._numbers = itertools.count()
        self.sleeping: set[asyncio.Task[object]] = set()
        """Tasks that wait for this clock and for nothing else."""

    # What the engine reads.

    def time(self) -> float:
        """Seconds since the epoch, as this clock has it."""
        return self._now

    def monotonic(self) -> float:
        """The machine's own: leases are kept by real time."""
        return time.monotonic()

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once the clock has reached `due`; returns what stops it."""
        number = next(self._numbers)
        self._live.add(number)
        heapq.heappush(self._heap, (due, number, callback))
        if due <= self._now:
            asyncio.get_running_loop().call_soon(self.fire)
        return lambda: self._live.discard(number)

    def close(self) -> None:
        """Forget all timers."""
        self._heap.clear()
        self._live.clear()

    # What tests use.

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._now, UTC)

    async def advance(self, by: Duration) -> None:
        """Let time go by: timers come due in their order, and what follows from each is done before the next."""
        await self.advance_to(self.now + timedelta(seconds=seconds(by)))

    async def advance_to(self, time: datetime) -> None:
        """The same up to a time; an earlier one than now changes nothing."""
        target = time.timestamp()
        await self._settle()
        while (due := self.next_due) is not None and due <= target:
            self.jump(due)
            await self._settle()
        self.jump(target)
        await self._settle()

    async def sleep(self, delay: Duration) -> None:
        """Wait by this clock, for what stands in for a slow worker."""
        task = asyncio.current_task()
        assert task is not None
        reached = asyncio.Event()
        stop = self.at(self._now + seconds(delay), reached.set)
        self.sleeping.add(task)
        try:
            await reached.wait()
        finally:
            self.sleeping.discard(task)
            stop()

    # What the test engine does with it.

    @property
    def next_due(self) -> float | None:
        """When the next timer is due, in seconds since the epoch; None without one."""
        while self._heap and self._heap[0][1] not in self._live:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def jump(self, to: float) -> None:
        """Set the clock, never back, and fire what is due."""
        self._now = max(self._now, to)
        self.fire()

    def fire(self) -> None:
        """Call back what is due."""
        while (due := self.next_due) is not None and due <= self._now:
            _, number, callback = heapq.heappop(self._heap)
            self._live.discard(number)
            callback()

    @asynccontextmanager
    async def timeout(self, delay: float) -> AsyncIterator[asyncio.Timeout]:
        """Like `asyncio.timeout`: over after so many seconds by this clock or by the machine's, whichever is first."""
        async with asyncio.timeout(delay) as limit:
            stop = self.at(self._now + delay, lambda: limit.reschedule(asyncio.get_running_loop().time()))
            try:
                yield limit
            finally:
                stop()
