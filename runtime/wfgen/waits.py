"""Operations of the handle that wait: for a time, or for a payload from outside."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from typing import Any, Generic, TypeVar

from wfgen.durations import Duration, seconds
from wfgen.errors import HandleError
from wfgen.handle_core import HandleCore
from wfgen.ids import HookToken
from wfgen.operations import Operation, wait_for_operation

T = TypeVar("T")

HOOK_TIMEOUT = 7 * 86400.0
"""Seconds that a hook waits by default."""


class Waits(HandleCore):
    """Sleeps and hooks."""

    def sleep(self, step: str, duration: Duration, *, description: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait durably: the time that is left is kept across restarts."""
        return self._sleep(step, "sleep", self._code.now + seconds(duration))

    def sleep_until(self, step: str, when: datetime, *, description: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait durably until a time with a time zone."""
        if when.tzinfo is None:
            raise HandleError(f"sleep_until {step!r}: {when} has no time zone.", hint="Use datetime.now(UTC) and kin.")
        return self._sleep(step, "sleep_until", when.timestamp())

    def hook(
        self,
        step: str,
        model: type[T],
        *,
        timeout: Duration | None = None,
        validator: Callable[[T], object] | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, T]:
        """Wait for a payload from outside.

        Args:
            step: the hook's name; `run.hooks.<name>` resumes it.
            model: the payload's type.
            timeout: default the workflow's `hook_timeout`, then 7 days.
            validator: looks at a payload that fits its type. If it raises, or gives False, the payload is recorded as
                rejected and the hook goes on waiting. A plain function without effects; it is not called in a replay.
            description: one line for people.

        Raises:
            HookTimeoutError: nobody resumed it in time.
        """
        return wait_for_operation(self._reserve_hook(step, "hook", model, timeout, validator))

    def create_hook(
        self,
        step: str,
        model: type[T],
        *,
        timeout: Duration | None = None,
        validator: Callable[[T], object] | None = None,
        description: str | None = None,
    ) -> Hook[T]:
        """Open a hook now and await it later: for when its token must be sent first. Arguments as for `hook`."""
        operation = self._reserve_hook(step, "create_hook", model, timeout, validator)
        operation.ask()
        return Hook(operation)

    def _reserve_hook(
        self, step: str, form: str, model: Any, timeout: Duration | None, validator: Callable[[Any], object] | None
    ) -> Operation:
        wait = self._execution.definition.hook_timeout if timeout is None else seconds(timeout)
        due = self._code.now + (HOOK_TIMEOUT if wait is None else wait)
        operation = self._reserve(step, form)
        operation.due = due
        operation.annotation = model
        operation.validator = validator
        return operation

    def _sleep(self, step: str, form: str, due: float) -> Coroutine[Any, Any, None]:
        operation = self._reserve(step, form)
        operation.due = due
        return wait_for_operation(operation)


class Hook(Generic[T]):
    """An open hook: send its token, then await it."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    @property
    def token(self) -> HookToken:
        """What resumes it; whoever holds it may resume."""
        assert self._operation.token is not None
        return self._operation.token

    def __await__(self) -> Generator[Any, Any, T]:
        return wait_for_operation(self._operation).__await__()
