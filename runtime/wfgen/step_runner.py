"""Attempts of steps: on the engine's loop or in a thread, with a timeout, once or again."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import math
import traceback
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from wfgen.durations import seconds
from wfgen.environment import Environment
from wfgen.errors import error_name
from wfgen.operations import Operation

log = logging.getLogger("wfgen.step")

MAX_ERROR = 4000
"""Characters that are kept of an error's message and of its traceback."""


class StepRunner:
    """Runs the functions of steps for all runs of this process.

    Args:
        loop: the engine's loop.
        environment: clock and randomness.
        executor: the pool for plain functions.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, environment: Environment, executor: Executor) -> None:
        self._loop = loop
        self._clock = environment.clock
        self._random = environment.random
        self._executor = executor
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, operation: Operation, attempt: int) -> Callable[[], None]:
        """Begin an attempt; returns what cancels it."""
        # An empty context: a step must not see what the run's own loop or the engine has set.
        task = self._loop.create_task(self._work(operation, attempt), context=contextvars.Context())

        def stop() -> None:
            task.cancel()

        return stop

    async def close(self) -> None:
        """Cancel what is being worked and wait for asynchronous steps to end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, operation: Operation, attempt: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        started_at = self._clock.time()
        if operation.began is None:
            operation.began = started_at
        try:
            await self._run(operation, attempt, started_at, task)
        except Exception as error:
            # The step's own errors are handled inside; this is a fault of the engine, and must not hang the run.
            log.exception("%r of run %s could not be worked", operation, operation.execution.run.run_id)
            details = {"error_type": error_name(error), "error": _text(error)[:MAX_ERROR]}
            operation.execution.step_failed(operation, attempt, started_at, details)
        finally:
            self._tasks.discard(task)

    async def _run(self, operation: Operation, attempt: int, started_at: float, task: asyncio.Task[Any]) -> None:
        execution = operation.execution
        limit: asyncio.Timeout | None = None
        timeout = min(operation.timeout or math.inf, operation.deadline - started_at)
        if timeout <= 0:  # its timer came late: an attempt that cannot end in time does not begin
            self._failed(operation, attempt, started_at, TimeoutError(), timeout)
            return
        try:
            if timeout == math.inf:
                result = await self._call(operation, attempt)
            else:
                async with asyncio.timeout(timeout) as limit:
                    result = await self._call(operation, attempt)
            what = f"the result of {operation!r}"
            encoded, value, recorded = execution.codec.record(result, operation.annotation, what)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise
            timed_out = limit is not None and limit.expired()
            self._failed(operation, attempt, started_at, error, timeout if timed_out else None)
        else:
            # These only record; the run's own loop is driven from a plain callback once the record is durable.
            execution.step_completed(operation, attempt, started_at, encoded, value, recorded)

    async def _call(self, operation: Operation, attempt: int) -> Any:
        if operation.is_async:
            return await operation.call(attempt)
        context = contextvars.Context()
        result = await self._loop.run_in_executor(self._executor, lambda: context.run(operation.call, attempt))
        # `lambda: workers.users.create(signup)` gives a coroutine.
        return await result if inspect.isawaitable(result) else result

    def _failed(
        self, operation: Operation, attempt: int, started_at: float, error: BaseException, timeout: float | None
    ) -> None:
        """An attempt failed, or took longer than `timeout` seconds."""
        execution = operation.execution
        if timeout is not None:
            details: dict[str, Any] = {
                "error_type": "TimeoutError",
                "error": f"the attempt took longer than {timeout:g} s",
                "timed_out": True,
            }
            if timeout != operation.timeout and operation.retry.within is not None:
                details["error"] = f"all attempts together took longer than {seconds(operation.retry.within):g} s"
        else:
            lines = "".join(traceback.format_exception(error, limit=-8))
            details = {
                "error_type": error_name(error),
                "error": _text(error)[:MAX_ERROR],
                "traceback": lines[-MAX_ERROR:],
            }
        again = operation.retry.retries(error, attempt)
        delay = operation.retry.delay_after(attempt, error, self._random) if again else 0.0
        again = again and self._clock.time() + delay < operation.deadline
        log.info(
            "run %s: %r failed in attempt %d%s: %s: %s",
            execution.run.run_id, operation, attempt, ", to be retried" if again else "",
            details["error_type"], details["error"],
        )  # fmt: skip
        if again:
            details["began"] = operation.began
            execution.step_retrying(operation, attempt, delay, details)
        else:
            execution.step_failed(operation, attempt, started_at, details)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error whose own text fails is still an error
        return "(its message cannot be shown)"
