"""Handlers that are told when a run starts, sleeps, goes on and ends.

They are called in the process that recorded the fact, once it is durable, in the order of the facts of each run, and at
their best effort: a process that dies in between has not called them, and what they raise is logged and touches no run.
What must happen is a before or after task, which is a step.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from wfgen.events import COMPLETIONS, Event
from wfgen.runinfo import RunInfo
from wfgen.store.records import Append, Claimed, RunStatus
from wfgen.threads import in_thread

log = logging.getLogger("wfgen.engine")

GRACE = 5.0
"""Seconds that a process which closes waits for the handlers that it has called."""


@dataclass(frozen=True, slots=True)
class RunUpdate(RunInfo):
    """A run, as lifecycle handlers are told of it."""

    status: RunStatus = "running"
    claims: int = 1
    """How often a process has taken the run up since it last got further."""
    error_type: str | None = None
    """on_error: qualified name of the exception."""
    error: str | None = None
    """on_error: its message."""
    code: str | None = None
    """on_error: its stable code, if it is one of wfgen's own."""
    wake_at: float | None = None
    """on_sleep: when the run goes on by itself, in seconds since the epoch; None if something else has to happen."""


Handler = Callable[[RunUpdate], Awaitable[None] | None]
"""A function, called in a thread of the steps, or an `async def`, on the engine's loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleHandlers:
    """What is called at the turns of a run; all are optional."""

    on_start: Handler | None = None
    """Its code is about to run for the first time."""
    on_sleep: Handler | None = None
    """It waits for timers, hooks, children and jobs alone."""
    on_resume: Handler | None = None
    """It goes on: after that, after it was paused, retried or rolled back, or in another process."""
    on_complete: Handler | None = None
    """It ended with a result."""
    on_error: Handler | None = None
    """It failed; a timeout of the run is a failure."""
    on_cancel: Handler | None = None
    """It was cancelled. Nobody is told of a run that is terminated."""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) is not None for field in dataclasses.fields(self))


NO_HANDLERS = LifecycleHandlers()
"""Nobody is told."""

_BACK = frozenset({"run_retried", "rolled_back", "rollback_requested"})
_ENDS = {
    "completed": "on_complete",
    "failed": "on_error",
    "cancelled": "on_cancel",
}


class Lifecycle:
    """Sees the turns of one run in what this process records of it.

    Args:
        claimed: the run, as this process took it up.
        info: how it is shown.
        handlers: those of the process and of the workflow, in the order in which they are called.
        call: calls handlers.
    """

    def __init__(
        self,
        claimed: Claimed,
        info: RunInfo,
        handlers: Sequence[LifecycleHandlers],
        call: Callable[[Sequence[Handler], RunUpdate], None],
    ) -> None:
        self._claims = claimed.run.claims
        self._info = info
        self._handlers = handlers
        self._call = call
        self._is_new = _is_new(claimed.events)
        last = next(event for event in reversed(claimed.events) if event.type != "run_claimed")
        self._goes_on = last.type == "run_resumed" or last.type in _BACK
        # A run that was begun before counts as asleep until something happens to it: whether it was is not known.
        is_awake = self._is_new or last.type == "run_continued"
        self._status: RunStatus = "running" if is_awake else "waiting"

    def begins(self) -> None:
        """The run's code is about to run in this process."""
        if self._is_new:
            self._tell("on_start")
        elif self._goes_on:
            self._status = "running"
            self._tell("on_resume")

    def recorded(self, append: Append) -> None:
        """An append is durable."""
        # What woke the run may be written together with what it waits for next, or with its end.
        if self._status == "waiting" and any(event.type in COMPLETIONS for event in append.events):
            self._status = "running"
            self._tell("on_resume")
        status = append.status
        if status is None or status == self._status:
            return
        self._status = status
        if status in _ENDS:
            error_type, error, code = append.error or (None, None, None)
            self._tell(_ENDS[status], error_type=error_type, error=error, code=code)
        elif status == "waiting":
            due = append.wake_at
            self._tell("on_sleep", wake_at=None if due == math.inf else due)

    def _tell(self, moment: str, **details: Any) -> None:
        called = [handler for one in self._handlers if (handler := getattr(one, moment)) is not None]
        if called:
            info = self._info
            details.setdefault("status", self._status)
            update = RunUpdate(info.run_id, info.workflow, info.version, info.tags, claims=self._claims, **details)
            self._call(called, update)


def _is_new(events: Sequence[Event]) -> bool:
    """Whether nobody has begun to work a run, as far as its events tell."""
    start = events[0]
    if start.type != "run_started" or any(event.type in _BACK for event in events):
        return False
    claims = [event for event in events if event.type == "run_claimed"]
    if not claims:  # of the process that created it
        return len(events) == 1
    return start.data.get("process") is None and claims == [events[-1]]


class HandlerRunner:
    """Calls handlers for all runs of a process, those of one run one after the other.

    Args:
        loop: the engine's loop.
        executor: the pool for plain functions.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> None:
        self._loop = loop
        self._executor = executor
        self._last: dict[str, asyncio.Task[None]] = {}
        """The last call of each run that is under way."""

    def call(self, handlers: Sequence[Handler], update: RunUpdate) -> None:
        """Call handlers once those that were called before for the same run have returned."""
        work = self._work(self._last.get(update.run_id), handlers, update)
        task = self._loop.create_task(work, context=contextvars.Context())
        self._last[update.run_id] = task
        task.add_done_callback(lambda _: self._forget(update.run_id, task))

    async def close(self) -> None:
        """Wait a while for the handlers that were called, and cancel those that go on."""
        tasks = list(self._last.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _forget(self, run_id: str, task: asyncio.Task[None]) -> None:
        if self._last.get(run_id) is task:
            del self._last[run_id]

    async def _work(self, before: asyncio.Task[None] | None, handlers: Sequence[Handler], update: RunUpdate) -> None:
        if before is not None:
            await asyncio.wait([before])
        for handler in handlers:
            try:
                await self._call(handler, update)
            except Exception:
                name = getattr(handler, "__qualname__", repr(handler))
                log.exception("run %s: the handler %s failed", update.run_id, name)

    async def _call(self, handler: Handler, update: RunUpdate) -> None:
        if inspect.iscoroutinefunction(handler):
            await handler(update)
            return
        context = contextvars.Context()

        def call() -> object:
            return context.run(handler, update)

        made = await self._loop.run_in_executor(self._executor, in_thread, call)
        if inspect.isawaitable(made):  # of a callable object, or a lambda
            await made
