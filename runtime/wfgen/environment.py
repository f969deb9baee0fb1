"""The outside world, injected: clock, randomness and threads. A simulation replaces all three."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

THREADS = 64
"""Synchronous steps that run at once. They mostly wait, so that this has little to do with the number of cores."""


class Clock(Protocol):
    """Two clocks: `time` for what is recorded, `monotonic` for leases and timeouts. Both in seconds."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clocks."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def _start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def _every(interval: float, action: Callable[[], bool], name: str) -> Callable[[], None]:
    stopped = threading.Event()

    def repeat() -> None:
        while not stopped.wait(interval) and action():
            pass

    thread = _start_thread(repeat, name)

    def stop() -> None:
        stopped.set()
        thread.join(interval * 3)

    return stop


@dataclass(frozen=True)
class Environment:
    """What the engine takes from the world."""

    clock: Clock = field(default_factory=SystemClock)
    random: random.Random = field(default_factory=random.SystemRandom)
    start_thread: Callable[[Callable[[], None], str], threading.Thread] = _start_thread
    """Starts a daemon thread: target, name."""
    every: Callable[[float, Callable[[], bool], str], Callable[[], None]] = _every
    """Calls a function at an interval, in seconds, from a thread of its own, until it returns False: interval,
    function, name. Gives what stops it and waits for a call that is under way, which blocks."""
    executor: Callable[[], Executor] = lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="wfgen-step")
    """Makes the pool that synchronous steps run in; its threads are started as they are needed."""
    timeout: Callable[[float], AbstractAsyncContextManager[asyncio.Timeout]] = asyncio.timeout
    """Bounds an attempt of a step, in seconds."""
