"""An engine that stands still when it has nothing to do, and can be dropped and opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from wfgen.engine import Engine
from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.store.engines import open_store
from wfgen.store.protocol import Store
from wfgen.testing.clock import TestClock
from wfgen.testing.faults import Faults, FaultyStepRunner
from wfgen.testing.watched import WatchedStore
from wfgen.timers import Timers
from wfgen.worker_process import WorkerProcess, load_process

ROUNDS = 12
"""Turns of the loop in which nothing happens before an engine counts as still."""


class _ClockTimers(Timers):
    """The engine's timers, by the test's clock alone."""

    def __init__(self, clock: TestClock) -> None:
        self._test_clock = clock
        self._stops: set[Callable[[], None]] = set()

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        def fire() -> None:
            self._stops.discard(stop)
            callback()

        def give_up() -> None:
            self._stops.discard(stop)
            stop()

        stop = self._test_clock.at(due, fire)
        self._stops.add(stop)
        return give_up

    def close(self) -> None:
        for stop in self._stops:
            stop()
        self._stops.clear()


class BenchEngine(Engine):
    """An engine whose timers and steps are under a test's control."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        settings: Settings,
        environment: Environment,
        observe: Callable[[RunId, Event], None],
        process: WorkerProcess | None,
        clock: TestClock,
        faults: Faults,
    ) -> None:
        super().__init__(store, registry, settings, environment, observe, process)
        self._test_clock = clock
        self._timers = _ClockTimers(clock)
        steps = FaultyStepRunner(self._loop, environment, self._executor, self._holds)
        steps.faults = faults
        self._steps = self._test_steps = steps

    @property
    def is_busy(self) -> bool:
        """Whether something is at work that time has to wait for."""
        return bool(
            self._background
            or self._handlers._last
            or any(task not in self._test_clock.sleeping for task in self._test_steps.tasks)
        )

    def drop_all(self) -> None:
        """Leave all runs where they are, as a process does that dies."""
        self._drop_all()


class Bench:
    """A store and, one after the other, the engines that work it.

    Args:
        registry: the workflows and workers.
        settings: where the store is, limits.
        process: what the process brings to its runs; None for what the settings name.
        clock: the time.
        observe: told of each recorded event.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        process: WorkerProcess | None,
        clock: TestClock,
        observe: Callable[[RunId, Event], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._process = process
        self._clock = clock
        self._observe = observe
        self._environment = Environment(clock=clock, timeout=clock.timeout)
        self._bare: Store = open_store(settings.engine, settings.project, self._environment)
        self._watched = WatchedStore(self._bare)
        self._engine: BenchEngine | None = None
        self._is_open = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self.faults = Faults(self.crash)
        self.failures: list[BaseException] = []
        """Mistakes of the test that came to light where it could not see them."""

    @property
    def engine(self) -> BenchEngine:
        """The engine that works the store just now."""
        assert self._engine is not None
        return self._engine

    async def ready(self) -> BenchEngine:
        """The engine that works the store, once it has been opened again after a crash."""
        await self._is_open.wait()
        return self.engine

    @property
    def store(self) -> Store:
        """The store, through the engine: payloads are decrypted."""
        return self.engine.store

    async def open(self) -> None:
        """Open the store and begin to work it."""
        if self._process is None:
            self._process = load_process(self._settings)
        await self._bare.open()
        self._bare.on_change(lambda changes: self._engine.changed(changes) if self._engine is not None else None)
        await self._start()

    async def close(self) -> None:
        """Stop, and close the store."""
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._engine is not None:
            await self._engine.close()
            self._engine = None
        self._clock.close()
        await self._bare.close()

    async def still(self) -> None:
        """Wait until nothing is at work: what is left waits for time, hooks or the test.

        Raises:
            TestingError: the test has made a mistake that came to light meanwhile.
        """
        quiet = spins = 0
        while quiet < ROUNDS:
            if self.failures:
                raise self.failures[0]
            if self.is_busy:
                quiet, spins = 0, spins + 1
                await asyncio.sleep(0 if spins < 200 else 0.0005)
            else:
                quiet += 1
                await asyncio.sleep(0)

    @property
    def is_busy(self) -> bool:
        """Whether something is at work."""
        return bool(self._work or self._watched.under_way or self._engine is None or self._engine.is_busy)

    def crash(self) -> None:
        """Drop all runs where they are, now, and open another engine as soon as may be."""
        if self._engine is not None:
            self._engine.drop_all()
            self.spawn(self.restart())

    async def restart(self) -> None:
        """Replace the engine by another one, which takes the runs up from their record."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        self._is_open.clear()
        engine.drop_all()
        await engine.close()
        await self._start()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something aside; time waits for it."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                self.failures.append(error)

        task = asyncio.get_running_loop().create_task(watched())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _start(self) -> None:
        self._engine = BenchEngine(
            cast("Store", self._watched),
            self._registry,
            self._settings,
            self._environment,
            self._observe,
            self._process,
            self._clock,
            self.faults,
        )
        await self._engine.start()
        self._is_open.set()
