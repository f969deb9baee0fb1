"""A clock that tests set ahead: what has to happen in time may take as long as it likes, and no test waits for it."""

from __future__ import annotations

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
