"""The steps of one run that are asked for and have not ended: held back, at work, or waiting for the next attempt."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from wfgen.definitions import MISSING
from wfgen.events import Event, EventType
from wfgen.host import Host
from wfgen.operations import Operation
from wfgen.recorder import Recorder


class OpenSteps:
    """Starts each step once all that it may depend on is durable, and records how it ends.

    Args:
        host: works attempts, tells the time.
        recorder: where ends and failed attempts are recorded.
        completed: told of each recorded end, with its value.
    """

    def __init__(self, host: Host, recorder: Recorder, completed: Callable[[Event, Any], None]) -> None:
        self._host = host
        self._recorder = recorder
        self._completed = completed
        self._held: deque[tuple[int, Operation, Event | None]] = deque()
        """Steps that start once the event of this seq is durable, with what was recorded of them before."""
        self._stops: dict[str, Callable[[], None]] = {}
        """What stops each started step: its attempt, or the timer of the next one."""
        self._active = 0

    @property
    def at_work(self) -> bool:
        """Whether a step is being worked, or waits for its start or its next attempt."""
        return bool(self._active or self._held)

    def ask(self, operation: Operation, opening: Event | None) -> None:
        """Start a step once everything recorded so far is durable; `opening`: its last failed attempt, if any."""
        # It may depend on all that is recorded so far: a completion, a hook whose token it sends.
        self._held.append((self._recorder.seq, operation, opening))

    def start_durable(self) -> None:
        """Start what was held back for events that are durable by now."""
        while self._held and self._held[0][0] <= self._recorder.durable:
            _, operation, opening = self._held.popleft()
            if not operation.future.done():
                self._start(operation, opening)

    def end(
        self,
        operation: Operation,
        type: EventType,
        data: dict[str, Any],
        payload: bytes | None = None,
        value: Any = MISSING,
    ) -> None:
        """Record how a step ended, unless the code has given it up meanwhile."""
        if self._stops.pop(operation.key, None) is None:
            return
        self._active -= 1
        if (digest := operation.input_digest) is not None:
            data["input"] = digest
        self._completed(self._recorder.record(type, operation, data, payload), value)

    def retry(self, operation: Operation, attempt: int, delay: float, error: dict[str, Any]) -> None:
        """Record that an attempt failed; the next one begins after `delay` seconds."""
        if operation.key not in self._stops:
            return
        next_at = self._host.time() + delay
        self._recorder.record("step_retrying", operation, {"attempt": attempt, "next_at": next_at, **error})
        self._attempt_at(operation, attempt + 1, next_at)

    def stop_all(self) -> None:
        """Stop what is at work; nothing is recorded."""
        for stop in self._stops.values():
            stop()
        self._stops.clear()

    def _start(self, operation: Operation, opening: Event | None) -> None:
        self._active += 1
        operation.future.add_done_callback(lambda future: self._abandon(operation, future))
        if opening is None:
            self._attempt(operation, 1)
        else:
            operation.began = opening.data["began"]
            self._attempt_at(operation, opening.data["attempt"] + 1, opening.data["next_at"])

    def _attempt(self, operation: Operation, attempt: int) -> None:
        if not operation.future.done():
            self._stops[operation.key] = self._host.start_step(operation, attempt)

    def _attempt_at(self, operation: Operation, attempt: int, at: float) -> None:
        self._stops[operation.key] = self._host.at(at, lambda: self._attempt(operation, attempt))

    def _abandon(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        """The code no longer waits for a step that is being worked: stop it, if it has not just ended."""
        stop = self._stops.pop(operation.key, None) if future.cancelled() else None
        if stop is not None:
            self._active -= 1
            stop()
