"""Attempts of steps: on the engine's loop or in a thread, with a timeout, once or again."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import logging
import math
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from wfgen.codec import ANY
from wfgen.durations import seconds
from wfgen.environment import Environment
from wfgen.errors import MAX_ERROR_TEXT, SerializationError, error_name, error_text
from wfgen.threads import in_thread
from wfgen.work import Part, Work

log = logging.getLogger("wfgen.step")

GRACE = 10.0
"""Seconds that a process which closes waits for steps that it has cancelled."""


class _LeaseLapsed(BaseException):
    """A step was not begun."""


class StepRunner:
    """Runs the functions of steps for all runs and jobs of this process.

    Args:
        loop: the engine's loop.
        environment: clock and randomness.
        executor: the pool for plain functions.
        holds: whether this process may still act for its runs: a step that another one may have completed meanwhile
            does not begin.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        environment: Environment,
        executor: Executor,
        holds: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._clock = environment.clock
        self._timeout = environment.timeout
        self._random = environment.random
        self._executor = executor
        self._holds = holds
        self._tasks: dict[asyncio.Task[Any], Work] = {}

    def start(self, work: Work, attempt: int) -> Callable[[], None]:
        """Begin an attempt; returns what cancels it."""
        # An empty context: a step must not see what the run's own loop or the engine has set.
        # Not by the loop's task factory: an eager one would end a step before its start is known here.
        task = asyncio.Task(self._work(work, attempt), loop=self._loop, context=contextvars.Context())

        def settle(_: object) -> None:
            if task.cancelled():
                work.cancelled(attempt)

        if work.settles:
            task.add_done_callback(settle)

        def stop() -> None:
            task.cancel()

        return stop

    async def close(self) -> None:
        """Cancel what is being worked, and wait a while for asynchronous steps to end."""
        working = dict(self._tasks)
        for task in working:
            task.cancel()
        if not working:
            return
        _, late = await asyncio.wait(working, timeout=GRACE)
        for task in late:
            asyncio._unregister_task(task)  # or else `asyncio.run` would wait for it, for ever
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            work = working[task]
            log.warning(
                "run %s: %r goes on %g s after it was cancelled, and is left behind: its result is refused",
                work.run_id, work, GRACE,
            )  # fmt: skip

    async def _work(self, work: Work, attempt: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = work
        work.reports = None
        if not work.retry.overlap:
            await self._last_thread(work)
        started_at = self._clock.time()
        if work.began is None:
            work.began = started_at
        try:
            await self._run(work, attempt, started_at, task)
        except Exception as error:
            # The step's own errors are handled inside; this is a fault of the engine, and must not hang the run.
            log.exception("%r of run %s could not be worked", work, work.run_id)
            details = {"error_type": error_name(error), "error": error_text(error)}
            work.failed(attempt, started_at, details)
        finally:
            self._tasks.pop(task, None)

    async def _run(self, work: Work, attempt: int, started_at: float, task: asyncio.Task[Any]) -> None:
        limit: asyncio.Timeout | None = None
        call = functools.partial(self._call, work, attempt)
        timeout = min(work.timeout or math.inf, work.deadline - started_at)
        if timeout <= 0:  # its timer came late: an attempt that cannot end in time does not begin
            self._failed(work, attempt, started_at, TimeoutError(), timeout)
            return
        try:
            if timeout == math.inf:
                result = await work.surroundings.attempt(work, attempt, call)
            else:
                async with self._timeout(timeout) as limit:
                    result = await work.surroundings.attempt(work, attempt, call)
            encoded, value, recorded, warning = _checked(work, result)
        except KeyboardInterrupt:
            raise
        except _LeaseLapsed:
            self._loop.call_soon(work.lost)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise
            timed_out = limit is not None and limit.expired()
            self._failed(work, attempt, started_at, error, timeout if timed_out else None)
        else:
            work.completed(attempt, started_at, encoded, value, recorded, warning)
        finally:
            if work.reports is not None:
                work.reports.over = True

    async def _last_thread(self, work: Work) -> None:
        """Wait until the thread of the attempt before has ended, as long as there is time for another attempt."""
        thread = work.thread
        if thread is None or thread.done():
            return
        log.info("run %s: %r waits for the thread of its last attempt", work.run_id, work)
        ended = asyncio.Event()

        def tell(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(ended.set)

        thread.add_done_callback(tell)
        left = work.deadline - self._clock.time()
        with contextlib.suppress(TimeoutError):
            async with contextlib.nullcontext() if left == math.inf else self._timeout(left):
                await ended.wait()

    async def _call(self, work: Work, attempt: int) -> Any:
        def call() -> Any:
            # As late as can be: in a thread it may have waited for its turn, and the process may have been stopped.
            if not self._holds():
                raise _LeaseLapsed
            return work.call(attempt)

        if work.is_async:
            return await call()
        context = contextvars.copy_context()  # what middleware has set, else nothing
        thread = self._executor.submit(context.run, in_thread, call)
        work.thread = thread
        try:
            try:
                result = await asyncio.wrap_future(thread, loop=self._loop)
            except asyncio.CancelledError:
                if thread.cancel() or not work.has_to_settle:
                    raise
                if work.reports is not None:
                    work.reports.over = True
                result = await asyncio.wrap_future(thread, loop=self._loop)  # it may have an effect to be undone
        finally:
            if not thread.done():
                thread.add_done_callback(functools.partial(_refuse, work, attempt))
        # `lambda: workers.users.create(signup)` gives a coroutine.
        return await result if inspect.isawaitable(result) else result

    def _failed(self, work: Work, attempt: int, started_at: float, error: BaseException, timeout: float | None) -> None:
        """An attempt failed, or took longer than `timeout` seconds."""
        if timeout is not None:
            details: dict[str, Any] = {
                "error_type": "TimeoutError",
                "error": f"the attempt took longer than {timeout:g} s",
                "timed_out": True,
            }
            if timeout != work.timeout and work.retry.within is not None:
                details["error"] = f"all attempts together took longer than {seconds(work.retry.within):g} s"
        else:
            lines = "".join(traceback.format_exception(error, limit=-8))
            details = {
                "error_type": error_name(error),
                "error": error_text(error),
                "traceback": lines[-MAX_ERROR_TEXT:],
            }
        again = work.retry.retries(error, attempt) and not work.is_given_up
        delay = work.retry.delay_after(attempt, error, self._random) if again else 0.0
        again = again and self._clock.time() + delay < work.deadline
        log.info(
            "run %s: %r failed in attempt %d%s: %s: %s",
            work.run_id, work, attempt, ", to be retried" if again else "",
            details["error_type"], details["error"],
        )  # fmt: skip
        if again:
            details["began"] = work.began
            work.try_again(attempt, delay, details)
        else:
            partial = None
            if work.reports is not None and work.reports.last is not None:
                partial, recorded = work.reports.last
                if recorded is not None:
                    details["type"] = recorded
            work.failed(attempt, started_at, details, partial)


def _checked(work: Work, result: Any) -> tuple[bytes, Any, str | None, str | None]:
    """A result encoded and decoded again, the name of its class if it is recorded, and a warning if it does not fit.

    Raises:
        SerializationError: it does not fit its type, and that matters; or it cannot be recorded at all.
    """
    codec, what = work.codec, Part("the result", work)
    try:
        return *codec.record(result, work.annotation, what), None
    except SerializationError as error:
        if work.validate != "warn" or work.annotation is ANY:
            raise
        found = codec.record(result, ANY, what)
        log.warning("run %s: %s", work.run_id, error.message)
        return *found, error.message


def _refuse(work: Work, attempt: int, thread: Future[Any]) -> None:
    """The thread of an attempt has ended, and nobody waited for it any more. Called in that thread."""
    if thread.cancelled():  # it never began
        return
    error = thread.exception()
    log.warning(
        "run %s: the thread of attempt %d at %r has ended late%s; its result is refused",
        work.run_id, attempt, work, f" ({error_name(error)})" if error else "",
    )  # fmt: skip
