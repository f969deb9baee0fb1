"""What all simulated processes share: time, chance, the store's file, and the order in which things happen."""

from __future__ import annotations

import heapq
import random
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .model import Model
from .place import Place
from .process import Process

LEASE = 5.0
"""Of each process, in seconds."""

EPOCH = 1_800_000_000.0
"""The wall clock at the beginning, in seconds."""


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong: shares of commits, or mean seconds between."""

    crash_before_commit: float = 0.012
    crash_after_commit: float = 0.012
    busy: float = 0.02
    full: float = 0.01
    unsure: float = 0.006
    """The commit is done, but an error is told."""
    unreadable: float = 0.005
    """Of readings: the file is locked."""
    stall_at_commit: float = 0.012
    """Before it, and as often after it, before anybody is told."""
    crash_every: float = 60.0
    stall_every: float = 30.0
    clock_every: float = 60.0
    leave_every: float = 90.0
    notices_deaths: bool = True
    """Whether processes see at once that one of their machine is gone, without waiting for its lease."""


class Clock:
    """The clocks of the machine that has the store."""

    def __init__(self, world: World) -> None:
        self._world = world

    def time(self) -> float:
        return EPOCH + self._world.now + self._world.clock_offset

    def monotonic(self) -> float:
        return self._world.now


class World:
    """One simulation.

    Args:
        seed: decides everything.
        place: the store; one without runs.
        faults: how often what goes wrong.
    """

    def __init__(self, seed: int, place: Place, faults: Faults) -> None:
        self.seed = seed
        self.place = place
        self.random = random.Random(seed)
        self.now = 0.0
        self.clock_offset = 0.0
        self.clock = Clock(self)
        self.faults = faults
        self.calm = False
        """Whether nothing goes wrong any more."""
        self.processes: list[Process] = []
        self.acting: Process | None = None
        """Whose thread is at work."""
        self.thread_takes = 0.0
        """How long the function that a thread has begun takes, in seconds; it says so itself."""
        self.problems: list[str] = []
        self.trace: deque[str] = deque(maxlen=1000)
        self.model = Model(self)
        self._heap: list[tuple[float, int, Process | None, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, action: Callable[[], None], owner: Process | None = None) -> None:
        """Do something at a time, in seconds from the beginning, unless its owner is dead by then."""
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, owner, action))

    def after(self, delay: float, action: Callable[[], None], owner: Process | None = None) -> None:
        """The same, in seconds from now."""
        self.at(self.now + delay, action, owner)

    def chance(self, share: float) -> bool:
        """Whether something goes wrong now."""
        return not self.calm and self.random.random() < share

    def soon(self, mean: float = 0.002) -> float:
        """A short delay, in seconds; sometimes a long one."""
        delay = self.random.expovariate(1 / mean)
        return delay * 100 if self.random.random() < 0.02 else delay

    def stall(self) -> float:
        """How long a process stands still, in seconds: a moment, or past its lease."""
        return self.random.uniform(0, 3 * LEASE)

    @property
    def actor(self) -> str:
        """The name of the process that is doing something."""
        process = self.acting or getattr(asyncio_events._get_running_loop(), "process", None)
        return process.name if process is not None else "nobody"

    def problem(self, text: str) -> None:
        """Something that must never happen, did."""
        self.note(f"PROBLEM {text}")
        self.problems.append(f"{self.now:.3f} {text}")

    def note(self, text: str) -> None:
        """Remember what happened, for the report of a failure."""
        self.trace.append(f"{self.now:10.4f} {text}")

    def run(self, done: Callable[[], bool], until: float) -> bool:
        """Let time pass until something is done; False when it is not by `until`, or nothing is left to happen."""
        while not self.problems and not done():
            ready = [process for process in self.processes if process.runnable]
            if ready:
                self.now += 1e-6
                self.random.choice(ready).loop.run_some(self.random.choice((1, 2, 5, 50)))
                continue
            if not self._heap or self._heap[0][0] > until:
                return False
            when, _, owner, action = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            if owner is not None:
                if owner.dead:
                    continue
                if owner.stalled_until > self.now:
                    self.at(owner.stalled_until, action, owner)
                    continue
            action()
        return not self.problems

    def close(self) -> None:
        """End all processes, living and dead, without a trace."""
        for process in self.processes:
            process.bury()
        self._heap.clear()


def describe(work: Any) -> str:
    """One piece of work of the committer, for the trace."""
    events = getattr(work, "events", None)
    if events is None:
        names = getattr(getattr(work, "__code__", None), "co_names", ())
        return "/".join(names) or repr(work)
    changes = [f"{event.seq}:{event.type}:{event.key or ''}" for event in events]
    return f"{work.run_id[:8]}@{work.epoch} {' '.join(changes)} {work.status or ''}".rstrip()
