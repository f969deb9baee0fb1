"""The timers of one run: its sleeps, the deadlines of its hooks, its own timeout."""

from __future__ import annotations

import functools
from collections.abc import Callable

from wfgen.events import Event, EventType
from wfgen.hooks import OpenHooks
from wfgen.host import Host
from wfgen.operations import Operation
from wfgen.pausing import Pausing
from wfgen.recorder import Recorder
from wfgen.timers import Alarms


class Deadlines:
    """Sets timers once and keeps to what was recorded of them; while the run is being paused none goes off.

    Args:
        host: has the clock.
        recorder: where timers are recorded.
        hooks: the run's open hooks.
        pausing: keeps what comes due while the run is being paused.
        completed: told of each timer that has gone off.
        is_closing: whether the run's code has ended: then its timeout concerns nobody any more.
    """

    def __init__(
        self,
        host: Host,
        recorder: Recorder,
        hooks: OpenHooks,
        pausing: Pausing,
        completed: Callable[[Event], None],
        is_closing: Callable[[], bool],
    ) -> None:
        self._alarms = Alarms(host.at)
        self._recorder = recorder
        self._hooks = hooks
        self._pausing = pausing
        self._completed = completed
        self._is_closing = is_closing

    @property
    def next_due(self) -> float:
        """When the next timer goes off, in seconds since the epoch; infinite without one."""
        return self._alarms.next_due

    def set_timer(self, operation: Operation, opening: Event | None) -> None:
        """Start a sleep, or take it up as it was recorded."""
        if opening is not None:
            operation.due = opening.data["due"]
        else:
            self._recorder.record("timer_set", operation, {"due": operation.due})
        assert operation.due is not None
        operation.future.add_done_callback(lambda _: self._alarms.stop(operation.key))
        self._alarms.set(operation.key, operation.due, lambda: self._due(operation, "timer_fired"))

    def open_hook(self, operation: Operation, opening: Event | None) -> None:
        """Open a hook with its deadline, or take it up as it was recorded."""
        self._hooks.open(operation, opening)
        assert operation.due is not None
        operation.future.add_done_callback(lambda _: self._close_hook(operation))
        self._alarms.set(operation.key, operation.due, lambda: self._due(operation, "hook_timed_out"))

    def set_run_timeout(self, opening: Event | None, begun_at: float, timeout: float | None) -> float:
        """Set the timeout of the whole run; once set it stays, whatever today's code says.

        Args:
            opening: what was recorded of it.
            begun_at: when the run began, in seconds since the epoch.
            timeout: seconds from then on, if today's code has one.

        Returns how many seconds the run may take; 0 without a bound.
        """
        if opening is not None and opening.time >= begun_at:
            due = opening.data["due"]
        elif timeout is not None:
            due = begun_at + timeout
            self._recorder.record("timer_set", None, {"form": "run_timeout", "due": due})
        else:
            return 0.0
        self._alarms.set("", due, self._run_due)
        return float(due - begun_at)

    def stop(self, key: str) -> bool:
        """Stop one timer; False if there is none."""
        return self._alarms.stop(key)

    def stop_all(self) -> None:
        """Stop all; nothing is recorded."""
        self._alarms.stop_all()

    def _close_hook(self, operation: Operation) -> None:
        self._alarms.stop(operation.key)
        self._hooks.close(operation, "closed")

    def _due(self, operation: Operation, event: EventType) -> None:
        if self._pausing.asked:
            self._pausing.keep(functools.partial(self._due, operation, event))
            return
        if operation.future.done() or not self._alarms.stop(operation.key):
            return
        recorded = self._recorder.record(event, operation, {"token": operation.token} if operation.token else {})
        self._hooks.close(operation, "timed_out")
        self._completed(recorded)

    def _run_due(self) -> None:
        if self._pausing.asked:
            self._pausing.keep(self._run_due)
        elif self._alarms.stop("") and not self._is_closing():
            self._completed(self._recorder.record("run_timed_out", None, {}))
