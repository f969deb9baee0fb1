"""The event loop that a run's workflow code lives on.

It has no clock, no selector and no threads: callbacks run in the order in which they were scheduled, until there are
none left. Then the run is quiet, and only the engine can go on, by completing an operation. So everything that the
code does between two completions is a function of its history: `gather`, `TaskGroup`, `Event`, `Queue` and
`as_completed` give the same order each time.

Whatever would let the outside in (a timer, a socket, a thread) fails at once with advice.

`drive()` must be called from a plain callback of the engine's loop, never from inside one of its tasks: Python keeps
one current task per thread from 3.14 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import weakref
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, NoReturn, TypeVar

from wfgen.errors import NotDeterministicError

_T = TypeVar("_T")

MAX_CALLBACKS = 1_000_000
"""Callbacks in one drive after which the workflow is held to be spinning without waiting for anything."""


class BranchTask(asyncio.Task[_T]):
    """A task of a run; its branch is the path of its creation: the third task made by the root is `0.3`.

    Hashes by number rather than by address, so that a set of tasks iterates alike in every process.
    """

    def __init__(
        self,
        coro: Coroutine[Any, Any, _T],
        *,
        loop: RunLoop,
        branch: str,
        number: int,
        name: str | None,
        context: contextvars.Context | None,
    ) -> None:
        # Set before the base class adds the task to asyncio's own sets, which hash it.
        self.branch = branch
        self.number = number
        self.children = 0
        self.occurrences: dict[str, int] = {}
        super().__init__(coro, loop=loop, name=name or f"branch {branch}", context=context)

    def __hash__(self) -> int:
        return self.number


class RunLoop(asyncio.AbstractEventLoop):
    """A deterministic event loop without time.

    Args:
        now: the run's time, in seconds since the epoch: that of the last delivered event.
        on_exception: told of exceptions that nobody retrieved, with asyncio's context dictionary.
    """

    def __init__(self, now: Callable[[], float], on_exception: Callable[[dict[str, Any]], None]) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._now = now
        self._on_exception = on_exception
        self._tasks = 0
        self._orphans = 0
        self._alive: weakref.WeakSet[BranchTask[Any]] = weakref.WeakSet()
        self._closed = False
        self._driving = False
        self.settled = self.create_future()
        """A future that is done."""
        self.settled.set_result(None)

    # What the engine calls.

    def drive(self, guard: contextlib.AbstractContextManager[None], deliver: Callable[[], bool]) -> None:
        """Run callbacks until none is left: the run is quiet. Go on as long as `deliver` then says so.

        Raises:
            NotDeterministicError: the code never comes to rest.
        """
        if self._driving:
            raise RuntimeError("a run's loop is driven by one caller at a time")
        outer = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)
        self._driving = True
        try:
            while True:
                with guard:
                    self._run_ready()
                if not deliver():
                    break
        finally:
            self._driving = False
            asyncio_events._set_running_loop(outer)

    def _run_ready(self) -> None:
        ready = self._ready
        left = MAX_CALLBACKS
        while ready:
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
            left -= 1
            if not left:
                raise NotDeterministicError(
                    f"the workflow ran {MAX_CALLBACKS:,} callbacks without waiting for a step, a sleep or a hook.",
                    hint="Look for a loop around `asyncio.sleep(0)`; wait for an operation of the handle instead.",
                )

    def alive(self) -> list[BranchTask[Any]]:
        """The run's tasks that have not ended, in the order of their creation."""
        return sorted((task for task in self._alive if not task.done()), key=hash)

    def drop(self) -> bool:
        """End the run's tasks where they stand: plain code in `finally` and `with` may run, nothing else goes on.

        Returns whether some code held on: it has caught what closes a coroutine, and waits for something again.
        """
        self._closed = True
        self._ready.clear()
        outer = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)  # what clean-up code asks of asyncio ends here, not on the engine's loop
        held_on = False
        closed: set[BranchTask[Any]] = set()
        try:
            while left := [task for task in self._alive if not task.done() and task not in closed]:
                closed.update(left)
                for task in left:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    coro: Any = task.get_coro()
                    try:
                        coro.close()
                    except BaseException as error:  # what their clean-up raises concerns nobody any more
                        held_on |= isinstance(error, RuntimeError) and "ignored GeneratorExit" in str(error)
                    if getattr(coro, "cr_frame", None) is not None:
                        _keep_for_ever(coro)
        finally:
            asyncio_events._set_running_loop(outer)
        return held_on

    # What asyncio calls.

    def get_debug(self) -> bool:
        return False

    def time(self) -> float:
        return self._now()

    def is_running(self) -> bool:
        return self._driving

    def is_closed(self) -> bool:
        return self._closed

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> BranchTask[_T]:
        _refuse_unordered(coro)
        parent = asyncio.current_task(self) if self._driving else None
        if isinstance(parent, BranchTask):
            parent.children += 1
            branch = f"{parent.branch}.{parent.children}"
        elif self._tasks == 0:
            branch = "0"
        else:  # created by a callback: callbacks run in a fixed order too
            self._orphans += 1
            branch = f"c{self._orphans}"
        self._tasks += 1
        task = BranchTask(coro, loop=self, branch=branch, number=self._tasks, name=name, context=context)  # type: ignore[arg-type]
        self._alive.add(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_exception(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_exception(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's hook for cancelled timers; there are none."""

    async def shutdown_asyncgens(self) -> None:
        """Nothing is kept of generators."""

    # What would let the outside in.

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, **_: Any) -> NoReturn:  # type: ignore[override]
        _refuse("waits for real time", 'Use `await workflow.sleep("name", "5m")` or the `timeout=` of the operation.')

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, **_: Any) -> NoReturn:  # type: ignore[override]
        _refuse("waits for real time", 'Use `await workflow.sleep("name", "5m")` or the `timeout=` of the operation.')

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:  # type: ignore[override]
        _refuse("starts a thread", "Make it a step: `await workflow.do(name, function)` runs functions in a thread.")

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, **_: Any) -> NoReturn:  # type: ignore[override]
        _refuse("is called from a thread", "Make the call a step: `await workflow.do(name, function)`.")


def _keep_for_ever(coro: Any) -> None:
    """Keep a coroutine that holds on from being collected, at the end of the process, too.

    That would close it once more, outside of its loop, where it may catch one error after the other for ever.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coro))


def _refusing(name: str) -> Callable[..., NoReturn]:
    def method(self: RunLoop, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(f"does real input or output ({name})", "Make it a step: `await workflow.do(name, function)`.")

    return method


for _name in vars(asyncio.AbstractEventLoop):
    if _name.startswith(
        ("sock_", "create_connection", "create_datagram", "create_server", "create_unix", "connect_")
    ) or (
        _name.startswith(("subprocess_", "add_reader", "add_writer", "add_signal", "start_tls", "sendfile", "getaddr"))
        or _name in ("getnameinfo", "run_until_complete", "run_forever")
    ):
        setattr(RunLoop, _name, _refusing(_name))


def _refuse(what: str, hint: str) -> NoReturn:
    raise NotDeterministicError(f"{_caller()} {what}, which a workflow's body must not.", hint=hint)


def _caller() -> str:
    """Name the nearest frame that is neither wfgen's nor asyncio's, as `file:line`."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("asyncio", "wfgen.loop")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "the workflow"


def _refuse_unordered(coro: Any) -> None:
    """Refuse plain coroutines given to `asyncio.as_completed`: it starts them in the order of their addresses.

    Operations of the handle carry their identity already, tasks hash by number; both are fine.
    """
    frame = sys._getframe(2)
    for _ in range(4):
        if frame.f_globals.get("__name__") != "asyncio.tasks":
            return
        # 3.11 and 3.12: a function; 3.13 and later: the constructor of an iterator. The set comprehension inside is
        # a frame of its own before 3.12.
        if frame.f_code.co_qualname.startswith(("as_completed", "_AsCompletedIterator")):
            if getattr(getattr(coro, "cr_code", None), "co_name", "") != "wait_for_operation":
                raise NotDeterministicError(
                    f"{_caller()} gives coroutines to asyncio.as_completed, which starts them in an order that "
                    "changes from process to process.",
                    hint="Make tasks of them first: `[asyncio.create_task(c) for c in coroutines]`.",
                )
            return
        if frame.f_back is None:
            return
        frame = frame.f_back
