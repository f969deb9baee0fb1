"""Time that tests make pass: what has to happen in time may take as long as it likes, and no test waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from wfgen.engine import Engine
from wfgen.environment import Environment, SystemClock


class AheadClock(SystemClock):
    """The machine's clocks; the wall clock shows a later time."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    @property
    def environment(self) -> Environment:
        """For an engine that goes by this clock."""
        return Environment(clock=self)

    def go_on(self, engine: Engine, seconds: float) -> None:
        """Set the clock ahead, and have the engine look at it; by itself it does so twice a minute."""
        self._ahead += seconds
        engine._timers._arm()


class Limits:
    """For `Environment.timeout`: the time of an attempt is over when the test says so."""

    def __init__(self) -> None:
        self._begun: list[asyncio.Timeout] = []

    @contextlib.asynccontextmanager
    async def __call__(self, delay: float) -> AsyncIterator[asyncio.Timeout]:
        async with asyncio.timeout(None) as limit:
            self._begun.append(limit)
            yield limit

    async def begun(self, number: int) -> None:
        """Wait until one of them has begun; they count from 0."""
        async with asyncio.timeout(60):
            while len(self._begun) <= number:
                await asyncio.sleep(0.002)

    async def end(self, number: int = 0) -> None:
        """End one of them, once it has begun."""
        await self.begun(number)
        self._begun[number].reschedule(asyncio.get_running_loop().time())
