"""The steps of one run that are asked for and have not ended: held back, at work, or waiting for the next attempt.

When the code cancels a step, it is stopped and forgotten. A step that can be undone (`compensate=`) is stopped as well,
but its end is awaited and recorded, marked `after_cancel`: it may have completed all the same, and is then undone.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from wfgen.definitions import MISSING
from wfgen.errors import StepInterruptedError
from wfgen.events import Event, EventType
from wfgen.host import Host
from wfgen.operations import Operation
from wfgen.recorder import Recorder

_INTERRUPTED = f"{StepInterruptedError.__module__}.{StepInterruptedError.__qualname__}"

DISTANT = 30.0
"""Seconds to a step's next attempt from which on the run counts as waiting, and may leave memory."""


class OpenSteps:
    """Starts each step once all that it may depend on is durable, and records how it ends.

    Args:
        host: works attempts, tells the time.
        recorder: where ends and failed attempts are recorded.
        ended: told of each recorded end, with its value.
        retrying: told that an attempt has failed, and another one is to come.
    """

    def __init__(
        self, host: Host, recorder: Recorder, ended: Callable[[Event, Any], None], retrying: Callable[[], None]
    ) -> None:
        self._host = host
        self._recorder = recorder
        self._ended = ended
        self._retrying = retrying
        self._held: deque[tuple[int, Operation, Event | None]] = deque()
        """Steps that start once the event of this seq is durable, with what was recorded of them before."""
        self._stops: dict[str, Callable[[], None]] = {}
        """What stops each started step: its attempt, or the timer of the next one."""
        self._between: dict[str, int] = {}
        """Started steps that wait for their next attempt, with the number of the last one."""
        self._distant: dict[str, float] = {}
        """Those of them whose next attempt is far away, with its time in seconds since the epoch."""
        self._active = 0
        self.hold = False
        """Whether no attempt may begin, except one that is recorded as begun."""
        self._late: list[Callable[[], None]] = []
        """Attempts whose time has come since."""

    @property
    def at_work(self) -> bool:
        """Whether a step is being worked, or waits for its start, or briefly for its next attempt."""
        return bool(self._active > len(self._distant) or self._held)

    @property
    def next_due(self) -> float:
        """When the first attempt that is far away begins; infinite without any."""
        return min(self._distant.values(), default=math.inf)

    def ask(self, operation: Operation, opening: Event | None) -> None:
        """Start a step once everything recorded so far is durable; `opening`: its last failed attempt, if any."""
        if operation.at_most_once and opening is None:
            # Written together with what is on its way already, before the step may begin.
            self._recorder.record("step_started", operation, {"attempt": 1})
        # It may depend on all that is recorded so far: a completion, a hook whose token it sends.
        self._held.append((self._recorder.seq, operation, opening))

    @property
    def has_attempts(self) -> bool:
        """Whether an attempt is under way, or recorded as begun."""
        return self._active > len(self._between) or any(map(_has_begun, self._held))

    def go_on(self) -> None:
        """Attempts may begin again."""
        self.hold = False
        late, self._late = self._late, []
        for attempt in late:
            attempt()
        self.start_durable()

    @property
    def under_way(self) -> set[str]:
        """Keys of the steps of which an attempt is at work."""
        return set(self._stops) - set(self._between)

    def start_durable(self) -> None:
        """Start what was held back for events that are durable by now."""
        kept: list[tuple[int, Operation, Event | None]] = []
        while self._held and self._held[0][0] <= self._recorder.durable:
            held = self._held.popleft()
            _, operation, opening = held
            if self.hold and not _has_begun(held):
                kept.append(held)
            elif operation.future.done():
                self.given_up(operation)
            else:
                self._start(operation, opening)
        self._held.extendleft(reversed(kept))

    def given_up(self, operation: Operation) -> None:
        """The code has cancelled a step that is not at work here; record an end if it matters and none is recorded."""
        last = self._between.pop(operation.key, 0)
        if operation.compensate is not None and not operation.ended:
            what = "between two attempts" if last else "before it had begun, or its process ended before it did"
            self._fail(operation, last, {"error_type": "CancelledError", "error": f"it was cancelled {what}"})

    # What an attempt came to. It is ignored if the code has given the step up meanwhile, or all are stopped.

    def completed(
        self,
        operation: Operation,
        attempt: int,
        started_at: float,
        encoded: bytes,
        value: Any,
        recorded: str | None,
        warning: str | None = None,
    ) -> None:
        """A step's function returned; its result is encoded already. `warning`: why it does not fit its type."""
        if not self._take(operation):
            return
        data: dict[str, Any] = {"attempt": attempt, "started_at": started_at}
        if recorded is not None:
            data["type"] = recorded
        if warning is not None:
            data["warning"] = warning
        self._end(operation, "step_completed", data, encoded, value)

    def failed(
        self,
        operation: Operation,
        attempt: int,
        started_at: float,
        error: dict[str, Any],
        partial: bytes | None = None,
    ) -> None:
        """A step failed for good.

        `error` holds `error_type`, `error`, and `timed_out` or `traceback`; `type` is the class of `partial`, which is
        what the step reported last, encoded.
        """
        if self._take(operation):
            data = {"attempt": attempt, "started_at": started_at, **error}
            self._end(operation, "step_failed", data, partial, MISSING)

    def cancelled(self, operation: Operation, attempt: int) -> None:
        """An attempt was cancelled for good, or before it began."""
        details = {"error_type": "CancelledError", "error": "it was cancelled"}
        self.failed(operation, attempt, self._host.time(), details)

    def _take(self, operation: Operation) -> bool:
        """Whether the step is at work; it is not any more."""
        if self._stops.pop(operation.key, None) is None:
            return False
        self._active -= 1
        return True

    def retry(self, operation: Operation, attempt: int, delay: float, error: dict[str, Any]) -> None:
        """An attempt failed; the next one begins after `delay` seconds."""
        if operation.key not in self._stops:
            return
        next_at = self._host.time() + delay
        self._recorder.record("step_retrying", operation, {"attempt": attempt, "next_at": next_at, **error})
        self._attempt_at(operation, attempt + 1, next_at)
        self._retrying()

    def _fail(self, operation: Operation, attempt: int, data: dict[str, Any]) -> None:
        """Record the failure of a step that is not at work."""
        self._end(
            operation, "step_failed", {"attempt": attempt, "started_at": self._host.time(), **data}, None, MISSING
        )

    def _end(
        self, operation: Operation, type: EventType, data: dict[str, Any], payload: bytes | None, value: Any
    ) -> None:
        self._ended(self.record_end(operation, type, data, payload), value)

    def record_end(self, operation: Operation, type: EventType, data: dict[str, Any], payload: bytes | None) -> Event:
        """Record the end of a step, wherever it was worked."""
        operation.ended = True
        if operation.future.cancelled():
            data["after_cancel"] = True
        if (digest := operation.input_digest) is not None:
            data["input"] = digest
            if self._host.record_inputs:
                data["given"] = operation.data[0].decode()
        return self._recorder.record(type, operation, data, payload)

    def stop_all(self) -> None:
        """Stop what is at work; nothing is recorded."""
        for stop in self._stops.values():
            stop()
        self._stops.clear()

    def _start(self, operation: Operation, opening: Event | None) -> None:
        if opening is not None and opening.type == "step_started" and operation.at_most_once:
            what = "it runs at most once, and its process ended before its end was recorded"
            self._fail(operation, 1, {"error_type": _INTERRUPTED, "error": what, "interrupted": True})
            return
        self._active += 1
        operation.future.add_done_callback(functools.partial(self._abandon, operation))
        if opening is None or opening.type == "step_started":
            self._attempt(operation, 1)
        else:
            operation.began = opening.data["began"]
            self._attempt_at(operation, opening.data["attempt"] + 1, opening.data["next_at"])

    def _next_attempt(self, operation: Operation, attempt: int) -> None:
        if self.hold:
            self._late.append(lambda: self._next_attempt(operation, attempt))
        else:
            self._attempt(operation, attempt)

    def _attempt(self, operation: Operation, attempt: int) -> None:
        self._between.pop(operation.key, None)
        if self._distant.pop(operation.key, None) is not None:
            self._recorder.set_status("running")
            self._host.woken(operation.execution)
        if not operation.future.done():
            self._stops[operation.key] = self._host.start_step(operation, attempt)

    def _attempt_at(self, operation: Operation, attempt: int, at: float) -> None:
        self._between[operation.key] = attempt - 1
        if at - self._host.time() >= DISTANT and (operation.thread is None or operation.thread.done()):
            self._distant[operation.key] = at
        self._stops[operation.key] = self._host.at(at, lambda: self._next_attempt(operation, attempt))

    def _abandon(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        """The code no longer waits for a step that is being worked: stop it, if it has not just ended."""
        stop = self._stops.get(operation.key) if future.cancelled() else None
        if stop is None:
            return
        stop()
        if operation.key in self._between or operation.compensate is None:
            del self._stops[operation.key]
            self._distant.pop(operation.key, None)
            self._active -= 1
            self.given_up(operation)


def _has_begun(held: tuple[int, Operation, Event | None]) -> bool:
    """Whether a step that is held back is recorded as begun: it runs at most once, so it has to run now."""
    _, operation, opening = held
    return bool(operation.at_most_once) and opening is None
