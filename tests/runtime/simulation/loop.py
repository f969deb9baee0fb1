"""The event loop of one simulated process: asyncio's semantics, on virtual time, driven one callback at a time."""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .process import Process


class SimulatedTask(asyncio.Task[Any]):
    """Hashes by number rather than by address, so that sets of tasks iterate alike each time."""

    def __init__(self, number: int, *arguments: Any, **options: Any) -> None:
        self.number = number
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Callbacks of one process, in the order in which they were scheduled. Its time is the world's."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[SimulatedTask] = []
        self._world = process.world

    def run_some(self, count: int) -> None:
        """Run up to `count` of the callbacks that are ready now."""
        outer = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)
        try:
            for _ in range(min(count, len(self.ready))):
                if self.process.dead:
                    return
                handle = self.ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio_events._set_running_loop(outer)

    def get_debug(self) -> bool:
        return False

    def time(self) -> float:
        return self._world.now

    def is_running(self) -> bool:
        return not self.process.dead

    def is_closed(self) -> bool:
        return self.process.dead

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.process.dead:
            self.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled():
                self.ready.append(handle)

        self._world.at(when, due, self.process)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> SimulatedTask:
        task = SimulatedTask(len(self.tasks), coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        if executor is None:
            future = self.create_future()
            future.set_result(func(*args))
            return future
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.process.dead:
            self._world.problem(f"{self.process.name}: {context.get('message')}: {context.get('exception')!r}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's hook for cancelled timers: they are skipped when they are due."""

    async def shutdown_asyncgens(self) -> None:
        """Nothing is kept of generators."""
