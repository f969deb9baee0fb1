"""Writing the events of one run: one append is under way at a time; what comes meanwhile is gathered for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wfgen.events import COMPLETIONS, Event, EventType
from wfgen.host import Host
from wfgen.operations import Operation
from wfgen.store.records import Append, RunRecord, RunStatus, Verdict


class Recorder:
    """Numbers the events of a run and sends them to the store.

    Args:
        run: the run, in this process's epoch.
        seq: number of its last recorded event.
        latest: time of that event, in seconds since the epoch.
        host: takes appends, tells the time.
        done: told of each append that is durable or refused for good.
        process: this one's id, if the history does not tell it yet; told with the first event.
    """

    def __init__(
        self,
        run: RunRecord,
        seq: int,
        latest: float,
        host: Host,
        done: Callable[[Append, Verdict], None],
        process: str | None,
    ) -> None:
        self.status: RunStatus = run.status
        self.seq = seq
        """Number of the last event, recorded or on its way."""
        self.durable = seq
        """Number of the last event that is durable."""
        self._run = run
        self._host = host
        self._done = done
        self._latest = latest
        self._process = process
        self._gathered: Append | None = None
        self._in_flight: Append | None = None

    @property
    def outgoing(self) -> Append:
        """The append that is being gathered."""
        if self._gathered is None:
            self._gathered = Append(run_id=self._run.run_id, epoch=self._run.epoch)
        return self._gathered

    def record(
        self,
        type: EventType,
        operation: Operation | None,
        data: dict[str, Any],
        payload: bytes | None = None,
        *,
        key: str | None = None,
    ) -> Event:
        """Add an event; what is known of its operation is added to its data."""
        if operation is not None:
            key = operation.key
            data["form"] = operation.form
            if operation.target is not None:
                data["target"] = operation.target
            data["at"] = operation.place
        if self._process is not None:
            data["process"], self._process = self._process, None
        self.seq += 1
        # The clock may be set back; a run's time only goes on.
        self._latest = max(self._host.time(), self._latest)
        event = Event(self.seq, type, self._latest, key, data, payload)
        self.outgoing.events.append(event)
        if type in COMPLETIONS:
            self.set_status("running")
        return event

    def set_status(self, status: RunStatus, wake_at: float | None = None) -> None:
        """Change the status with the next append, if it differs; `wake_at` goes with `waiting`."""
        if status != self.status:
            self.outgoing.status = self.status = status
            self.outgoing.wake_at = wake_at

    @property
    def is_idle(self) -> bool:
        """Whether all is durable."""
        return self._gathered is None and self._in_flight is None

    def flush(self) -> None:
        """Send what is gathered, unless an append is under way: then it goes after that."""
        if self._gathered is not None and self._in_flight is None:
            self._in_flight, self._gathered = self._gathered, None
            self._host.append(self._in_flight, self._settle)

    def _settle(self, verdict: Verdict) -> None:
        append, self._in_flight = self._in_flight, None
        assert append is not None
        if verdict is None and append.events:
            self.durable = append.events[-1].seq
        self._done(append, verdict)
