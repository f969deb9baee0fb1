"""The workers, and what is done to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .server import Order

PATIENCE = 40.0
"""Seconds that a worker may take to end in good order."""


@dataclass
class Stop:
    """A time during which a worker stood still."""

    pid: int
    began: float
    ended: float
    """In seconds since the epoch; infinite while it still does."""


class Crew:
    """Workers, each in its place: who is gone is followed by another with the same orders.

    Args:
        orders: what the worker of each place is to do.
    """

    def __init__(self, orders: Sequence[Order]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "chaos.server"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._orders = orders
        self._began: queue.Queue[int] = queue.Queue()
        self._ended: dict[int, int] = {}
        self._expected: set[int] = set()
        """Pids whose end was brought about."""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.stops: list[Stop] = []
        self.problems: list[str] = []
        self.counts = dict.fromkeys(("killed", "stopped", "ended"), 0)
        self.pids = [self._begin(order) for order in orders]

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            what, pid, *status = json.loads(line)
            if what == "began":
                self._began.put(pid)
            else:
                self._ended[pid] = status[0]

    def _begin(self, order: Order) -> int:
        assert self._server.stdin is not None
        self._server.stdin.write(order.dump() + "\n")
        self._server.stdin.flush()
        return self._began.get(timeout=30)

    def kill(self, place: int) -> None:
        """SIGKILL; another takes its place."""
        self._bring_about(self.pids[place], signal.SIGKILL)
        self.counts["killed"] += 1
        self.pids[place] = self._begin(self._orders[place])

    async def stop(self, place: int, seconds: float) -> None:
        """SIGSTOP for so long, unless it is killed meanwhile."""
        one = Stop(self.pids[place], time.time(), float("inf"))
        self.stops.append(one)
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGSTOP)
            self.counts["stopped"] += 1
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(one.pid, signal.SIGCONT)
                one.ended = time.time()

    async def end(self, place: int) -> None:
        """SIGTERM; another takes its place at once, while it still gives its runs back."""
        pid = self.pids[place]
        self.pids[place] = self._begin(self._orders[place])
        self.counts["ended"] += 1
        await self._end(pid)

    def _bring_about(self, pid: int, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself, which is told in the end
            os.kill(pid, how)
            self._expected.add(pid)

    async def _end(self, pid: int) -> None:
        self._bring_about(pid, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while pid not in self._ended:
            if time.monotonic() > until:
                self.problems.append(f"worker {pid} does not end")
                os.kill(pid, signal.SIGKILL)
                return
            await asyncio.sleep(0.02)
        if self._ended[pid]:
            self.problems.append(f"worker {pid} ended with {self._ended[pid]}")

    async def dismiss(self) -> None:
        """All end in good order."""
        await asyncio.gather(*[self._end(pid) for pid in self.pids])
        self.problems += [
            f"worker {pid} ended by itself with {status}"
            for pid, status in self._ended.items()
            if pid not in self._expected
        ]

    def close(self) -> None:
        """Whatever is left is killed."""
        for pid in self.pids:
            if pid not in self._ended:
                self._bring_about(pid, signal.SIGKILL)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._reader.join()
        self._server.stdout.close()


async def trouble(
    crew: Crew, source: random.Random, acts: Sequence[str], lease: float, busy: Callable[[], Awaitable[set[int]]]
) -> None:
    """Kill, stop and end workers, one after the other, at random.

    Args:
        crew: the workers.
        source: of what is done to whom, and when.
        acts: what is done: `kill`, `stop` past the lease, `end`; the order is mixed.
        lease: of the workers, in seconds.
        busy: gives the pids of those that hold runs or jobs.
    """
    while acts and not await busy():  # nobody is at work yet
        await asyncio.sleep(0.02)
    for act in source.sample(acts, len(acts)):
        await asyncio.sleep(source.uniform(0.1, 0.7))
        holders = await busy()
        places = [place for place, pid in enumerate(crew.pids) if pid in holders] or range(len(crew.pids))
        place = source.choice(places)
        if act == "kill":
            crew.kill(place)
        elif act == "stop":
            await crew.stop(place, lease * source.uniform(1.2, 1.5))
        else:
            await crew.end(place)
