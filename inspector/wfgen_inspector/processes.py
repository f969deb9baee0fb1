"""Work divided among processes, of which any may die or hang without taking the rest along.

Processes are forked, so that they have what the caller has and nothing is sent to them but numbers. Where that is not
possible (no fork, or other threads that may hold locks) `available` says so, and the caller does the work itself.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import multiprocessing
import os
import signal
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

LIMIT = 60.0
"""Seconds that one task may take, generously: a file of 1 MB takes less than one."""
_LOOK = 1.0
"""Seconds between two looks at how long tasks take."""
_SHARE = 16
"""Tasks that a process is given at a time, at most: near the end it is fewer, so that all end at about one time."""
_NUMBER = struct.Struct("<q")
_IDLE = -1

Task = Callable[[int], bytes]
"""From a task's number to its result."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A task without a result, because its process is gone."""

    reason: str
    """What became of the process: the rest of a sentence that begins with it."""


@dataclass(slots=True)
class _Worker:
    process: Any
    """A `multiprocessing` process of the fork context, which has no type of its own on all systems."""
    pipe: Connection
    slot: int
    """Where it says which task it is at."""
    left: set[int] = field(default_factory=set)
    """What it was given and has not done."""


def available() -> bool:
    """Whether this process can be forked safely."""
    return hasattr(os, "fork") and threading.active_count() == 1


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def divided(numbers: Sequence[int], task: Task, jobs: int) -> Iterator[tuple[int, bytes | Lost]]:
    """Do tasks in `jobs` processes; gives results in the order in which they are ready.

    A process that dies, or is at one task for more than `LIMIT` seconds, costs that task and no other.

    Args:
        numbers: of the tasks.
        task: what to do; called in the processes.
        jobs: how many processes there are at most.
    """
    team = _Team(deque(numbers), task, jobs)
    try:
        yield from team.results()
    finally:
        team.end()


class _Team:
    def __init__(self, waiting: deque[int], task: Task, jobs: int) -> None:
        self._waiting = waiting
        self._task = task
        self._jobs = jobs
        self._memory = mmap.mmap(-1, 16 * jobs)
        self._current = memoryview(self._memory).cast("q")
        """For each slot the number of the task under way, and when it began in nanoseconds of the monotonic clock."""
        self._workers: list[_Worker] = []

    def results(self) -> Iterator[tuple[int, bytes | Lost]]:
        next_look = time.monotonic() + _LOOK
        while True:
            while self._waiting and len(self._workers) < self._jobs:
                self._start()
            if not self._workers:
                return
            ready = wait([worker.pipe for worker in self._workers], timeout=_LOOK)
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                yield from self._received(worker)
            if time.monotonic() >= next_look:
                yield from self._overdue()
                next_look = time.monotonic() + _LOOK

    def end(self) -> None:
        """No process outlives the work."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()
        self._current.release()
        self._memory.close()

    def _start(self) -> None:
        slot = min(set(range(self._jobs)) - {worker.slot for worker in self._workers})
        self._current[2 * slot] = _IDLE
        pipes: tuple[Any, Any] = multiprocessing.get_context("fork").Pipe()  # typed differently on each system
        ours, theirs = pipes
        inherited = [ours, *(worker.pipe for worker in self._workers)]
        process = multiprocessing.get_context("fork").Process(
            target=_work, args=(theirs, inherited, self._task, self._current[2 * slot : 2 * slot + 2]), daemon=True
        )
        process.start()
        theirs.close()
        worker = _Worker(process, ours, slot)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        """More to do, or nothing any more, which ends the process."""
        size = min(_SHARE, -(-len(self._waiting) // (2 * self._jobs)))
        share = [self._waiting.popleft() for _ in range(size)]
        worker.left = set(share)
        with contextlib.suppress(OSError):  # it died meanwhile, which reading from it will show
            worker.pipe.send_bytes(b"".join(map(_NUMBER.pack, share)))

    def _received(self, worker: _Worker) -> Iterator[tuple[int, bytes | Lost]]:
        try:
            data = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            yield from self._died(worker)
            return
        (number,) = _NUMBER.unpack_from(data)
        worker.left.discard(number)
        if not worker.left:
            self._give(worker)
        yield number, data[_NUMBER.size :]

    def _overdue(self) -> Iterator[tuple[int, bytes | Lost]]:
        now = time.monotonic_ns()
        for worker in list(self._workers):
            number, since = self._current[2 * worker.slot], self._current[2 * worker.slot + 1]
            if number != _IDLE and now - since > LIMIT * 1e9:
                worker.process.kill()
                yield from self._died(worker, f"took longer than {LIMIT:g} seconds")

    def _died(self, worker: _Worker, reason: str | None = None) -> Iterator[tuple[int, bytes | Lost]]:
        """Give what it was at up for lost, and the rest of its share to others."""
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        number = self._current[2 * worker.slot]
        if number in worker.left:
            worker.left.discard(number)
            yield number, Lost(reason or _end(worker.process.exitcode))
        self._waiting.extendleft(sorted(worker.left, reverse=True))


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _work(pipe: Connection, inherited: list[Connection], task: Task, current: memoryview) -> None:
    """What a process does: tasks, until it is given none, or whoever gave them is gone."""
    for other in inherited:  # as long as anybody holds the other end, its end would not be noticed
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()
    with contextlib.suppress(EOFError, OSError):
        while share := pipe.recv_bytes():
            for (number,) in _NUMBER.iter_unpack(share):
                current[1] = time.monotonic_ns()
                current[0] = number
                try:
                    result = task(number)
                except Exception:  # such as too little memory for the result; a traceback would tell the user nothing
                    os._exit(1)
                current[0] = _IDLE
                pipe.send_bytes(_NUMBER.pack(number) + result)
            gc.collect(0)  # what is left of the tasks; all else is older
