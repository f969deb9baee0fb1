"""The end of a run, or of its turn in this process: what is recorded last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from wfgen.causes import failed_operation
from wfgen.course import Result
from wfgen.errors import RunTimeoutError, WfgenError, error_name, error_text
from wfgen.events import EventType
from wfgen.operations import ContinueAsNew
from wfgen.recorder import Recorder
from wfgen.store.records import RunRecord, RunStatus

log = logging.getLogger("wfgen.engine")


class Ending:
    """Records how a run ends, once.

    Args:
        run: the run.
        recorder: takes the last event.
        stop_all: stops what is at work.
        has_cancel: whether a request to cancel waits to be delivered; it is taken then.
    """

    def __init__(
        self, run: RunRecord, recorder: Recorder, stop_all: Callable[[], None], has_cancel: Callable[[], bool]
    ) -> None:
        self.begun = False
        """Whether the last event is recorded, or on its way: nothing else is from then on."""
        self.cancelled = False
        """Whether a request to cancel was delivered."""
        self.timed_out = False
        """Whether the timeout of the whole run was delivered."""
        self.limit = 0.0
        """Seconds that the whole run may take, once a deadline is set."""
        self._run = run
        self._recorder = recorder
        self._stop_all = stop_all
        self._has_cancel = has_cancel

    def why_cancelled(self) -> BaseException | None:
        """With what the run fails whose code ended with a CancelledError; None if it was asked to stop."""
        if self.timed_out:
            return RunTimeoutError(f"run {self._run.run_id} exceeded its timeout of {self.limit:g} s.")
        if self.cancelled:
            return None
        return asyncio.CancelledError("the workflow's code raised it; nobody cancelled the run")

    def is_cancelled_between_parts(self) -> bool:
        """Whether somebody has asked to cancel a run that is about to start again; then it does not."""
        self.cancelled = self._has_cancel()
        return self.cancelled

    def finish(self, root: asyncio.Task[Result]) -> BaseException | None:
        """The code has come to its end, in its main branch; gives the error if the run is to fail."""
        if root.cancelled():
            reason = self.why_cancelled()
            if reason is None:
                self.cancel()
            return reason
        error = root.exception()
        if error is None:
            self.complete(*root.result())
        elif not isinstance(error, ContinueAsNew):
            return error
        elif self.is_cancelled_between_parts():
            self.cancel()
        else:
            self.start_again(error.input)
        return None

    def complete(self, output: bytes, recorded: str | None) -> None:
        """The code has returned: `output` is its encoded result, `recorded` its class if the workflow declares none."""
        self._end("run_completed", "completed", {"type": recorded} if recorded else {}, output)

    def cancel(self) -> None:
        """The code has come to its end after a request to cancel."""
        self._end("run_cancelled", "cancelled", {})

    def fail(self, error: BaseException) -> None:
        """The run has failed."""
        name = error_name(error)
        code = error.code if isinstance(error, WfgenError) else None
        if not isinstance(error, WfgenError | asyncio.CancelledError):
            log.error("run %s failed", self._run.run_id, exc_info=error)
        text = error_text(error)
        self._recorder.outgoing.error = (name, text, code)
        data: dict[str, Any] = {"error_type": name, "error": text, "code": code}
        if (step := failed_operation(error)) is not None:
            data["step"] = step
        self._end("run_failed", "failed", data)

    def start_again(self, payload: bytes | None) -> None:
        """The run goes on with a new input, in this process as soon as that is recorded."""
        data = {"workflow": self._run.workflow, "version": self._run.version}
        self._last("run_continued", "running", data, payload)

    def take_back(self, data: dict[str, Any]) -> None:
        """All is undone that a rollback takes back: the run goes to whoever takes it up from there."""
        self._last("rolled_back", "pending", data)

    def pause(self, record: Callable[[], None]) -> None:
        """The run is given back until somebody lets it go on."""
        self.begun = True
        record()
        self._stop_all()

    def _end(self, type: EventType, status: RunStatus, data: dict[str, Any], payload: bytes | None = None) -> None:
        self._last(type, status, data, payload)
        self._recorder.outgoing.output = payload

    def _last(self, type: EventType, status: RunStatus, data: dict[str, Any], payload: bytes | None = None) -> None:
        self.begun = True
        self._recorder.record(type, None, data, payload)
        self._recorder.set_status(status)
        self._stop_all()
