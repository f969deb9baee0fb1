"""One simulated process: an engine with a loop, threads and randomness of its own; it may crash, stall and leave."""

from __future__ import annotations

import asyncio
import contextlib
import random
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

from wfgen.engine import Engine
from wfgen.environment import Environment
from wfgen.errors import WfgenError
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.store.records import ProcessRecord

from .loop import SimulatedLoop

if TYPE_CHECKING:
    from .world import World


class Process:
    """From its start to its end; what is started in its place is another one."""

    def __init__(self, world: World, name: str, registry: Registry, settings: Settings) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.stalled_until = 0.0
        """All of it stands still, threads included."""
        self.wedged_until = 0.0
        """Its loop stands still; its threads go on."""
        self.engine: Engine | None = None
        self.identities: set[str] = set()
        """The ids under which it registered."""
        self.loop = SimulatedLoop(self)  # type: ignore[abstract]
        self.environment = Environment(
            clock=world.place.clock(world, name),
            random=random.Random(f"{world.seed} {name}"),
            start_thread=_no_thread,
            every=self._every,
            executor=lambda: SimulatedExecutor(self),
        )
        self._registry = registry
        self._settings = settings
        self._leaving = asyncio.Event()
        self.store: Any = world.place.store(self)
        register = self.store.register

        async def registered(process: ProcessRecord, lease: float) -> None:
            self.identities.add(process.process_id)
            await register(process, lease)

        self.store.register = registered
        world.processes.append(self)
        world.note(f"{name} starts")
        self.loop.create_task(self._main())

    @property
    def runnable(self) -> bool:
        """Whether its loop has something to do now."""
        return (
            not self.dead
            and bool(self.loop.ready)
            and self.stalled_until <= self.world.now
            and self.wedged_until <= self.world.now
        )

    def crash(self, when: str) -> None:
        """End at once: nothing is cleaned up, nothing is told."""
        if not self.dead:
            self.world.note(f"{self.name} CRASHES {when}")
            self.dead = True

    def stall(self, seconds: float, whole: bool) -> None:
        """Stand still for a while."""
        self.world.note(f"{self.name} {'stalls' if whole else 'is wedged'} for {seconds:.2f} s")
        if whole:
            self.stalled_until = max(self.stalled_until, self.world.now + seconds)
        else:
            self.wedged_until = max(self.wedged_until, self.world.now + seconds)
        self.world.after(seconds, lambda: None)

    def leave(self) -> None:
        """End in good order."""
        self.world.note(f"{self.name} leaves")
        self._leaving.set()

    def ask(self, action: Callable[[Engine], Coroutine[Any, Any, Any]], done: Callable[[Any], None]) -> None:
        """Do something with its engine, and tell the result or the error; never, if it crashes meanwhile."""
        engine = self.engine
        assert engine is not None

        async def work() -> None:
            answer: Any
            try:
                answer = await action(engine)
            except WfgenError as error:
                answer = error
            done(answer)

        self.loop.call_soon(lambda: self.loop.create_task(work()) and None)

    def bury(self) -> None:
        """Free what it held, after the simulation: none of its code is to run later, when memory is collected."""
        self.dead = True
        if self.engine is not None:
            for execution in self.engine.executions.values():
                execution.drop()
            self.engine.jobs._drop_rest()
        # The loop knows those that it made; attempts of steps make their own.
        closed: set[asyncio.Task[Any]] = set()
        while left := {one for one in (*self.loop.tasks, *asyncio.all_tasks(self.loop)) if not one.done()} - closed:
            for task in left:  # what is closed may begin something else
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
            closed |= left
        self.store.drop()

    async def _main(self) -> None:
        try:
            await self.store.open()
            engine = Engine(self.store, self._registry, self._settings, self.environment)
            self.store.on_change(engine.changed)
            await engine.start()
            self.engine = engine
            await self._leaving.wait()
            self.engine = None
            await engine.close()
            await self.store.close()
        except WfgenError as error:
            self.crash(f"by {type(error).__name__}: {error}")
        except Exception:
            self.world.problem(f"{self.name} ended with {traceback.format_exc()}")
        self.dead = True
        self.world.note(f"{self.name} is over")

    def _every(self, interval: float, action: Callable[[], bool], name: str) -> Callable[[], None]:
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True

        def beat() -> None:
            if not stopped and action():
                self.world.after(interval, beat, self)

        self.world.after(interval, beat, self)
        return stop


class SimulatedExecutor(Executor):
    """Threads of a simulated process: what they do happens at one moment, and takes as long as it says."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        world = self._process.world

        def begin() -> None:
            if not future.set_running_or_notify_cancel():
                return
            world.acting = self._process
            world.thread_takes = 0.0
            try:
                result, error = fn(*args, **kwargs), None
            except BaseException as raised:
                result, error = None, raised
            finally:
                world.acting = None

            def end() -> None:
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)

            world.after(world.thread_takes, end, self._process)

        world.after(world.soon(0.0005), begin, self._process)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Its threads end with the process."""


def _no_thread(target: Callable[[], None], name: str) -> Any:
    raise AssertionError(f"the thread {name} is started in a simulation")
