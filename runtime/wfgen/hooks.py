"""The open hooks of one run, and the messages from outside that nobody has taken yet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from wfgen.children import OpenChildren
from wfgen.codec import Codec
from wfgen.definitions import MISSING
from wfgen.errors import SerializationError, error_name, error_text
from wfgen.events import Event
from wfgen.operations import Operation
from wfgen.queued import OpenJobs
from wfgen.recorder import Recorder
from wfgen.store.records import HookRecord, Message, RunRecord

log = logging.getLogger("wfgen.engine")


class OpenHooks:
    """Matches messages with hooks: events before waiters are kept.

    Args:
        run: the run.
        recorder: where hooks and their answers are recorded.
        codec: loads payloads by the hook's type.
        messages: the run's inbox so far, oldest first.
        children: take messages about the end of a child.
        jobs: take messages about the end of a job.
        cancelled: whether a request to cancel is recorded: the code hears of one only.
    """

    def __init__(
        self,
        run: RunRecord,
        recorder: Recorder,
        codec: Codec,
        messages: Sequence[Message],
        children: OpenChildren,
        jobs: OpenJobs,
        cancelled: bool,
    ) -> None:
        self._children = children
        self._jobs = jobs
        self._cancelled = cancelled
        self._run = run
        self._recorder = recorder
        self._codec = codec
        self._messages = list(messages)
        self._known = {message.id for message in messages}
        self.last_message = max(self._known, default=0)
        """Number of the last message that the run has seen."""
        self._open: dict[str, Operation] = {}

    @property
    def waiting(self) -> bool:
        """Whether a hook is open."""
        return bool(self._open)

    @property
    def has_messages(self) -> bool:
        """Whether there is a message that is not answered yet."""
        return bool(self._messages)

    def open(self, operation: Operation, opening: Event | None) -> None:
        """Open a hook, or take it up again as it was recorded."""
        assert operation.token is not None
        self._open[operation.key] = operation
        if opening is not None:
            operation.due = opening.data["due"]
            return
        event = self._recorder.record("hook_created", operation, {"token": operation.token, "due": operation.due})
        self._recorder.outgoing.opened.append(
            HookRecord(
                token=operation.token,
                run_id=self._run.run_id,
                workflow=self._run.workflow,
                key=operation.key,
                name=operation.name,
                due=operation.due,
                state="open",
                created_at=event.time,
            )
        )

    def close(self, operation: Operation, state: Literal["resumed", "timed_out", "closed"]) -> None:
        """Close a hook, if it is open."""
        if self._open.pop(operation.key, None) is not None:
            assert operation.token is not None
            self._recorder.outgoing.closed.append((operation.token, state))

    def replayed(self, key: str) -> None:
        """A hook's recorded end was delivered; the store knows of it."""
        self._open.pop(key, None)

    def receive(self, messages: Sequence[Message]) -> bool:
        """Take messages from the run's inbox, each once: it is read again until its answer is recorded.

        Returns whether one of them was new.
        """
        new = [message for message in messages if message.id not in self._known]
        if new:
            self._known.update(message.id for message in new)
            self.last_message = max(self.last_message, *(message.id for message in new))
            self._messages += new
        return bool(new)

    def take_cancel(self) -> bool:
        """Whether somebody has asked to cancel the run; recorded, if so."""
        waiting = next((message for message in self._messages if message.kind == "cancel"), None)
        if waiting is None:
            return False
        self._recorder.record("cancel_requested", None, {})
        self._recorder.outgoing.consumed.append(waiting.id)
        self._messages.remove(waiting)
        return True

    @property
    def has_cancel(self) -> bool:
        """Whether somebody has asked to cancel the run, and that is not answered yet."""
        return any(message.kind == "cancel" for message in self._messages)

    def take_controls(self) -> list[Message]:
        """Take the messages that pause the run, or end its pause, oldest first."""
        taken = [message for message in self._messages if message.kind in ("pause", "resume")]
        if taken:
            self._messages = [message for message in self._messages if message not in taken]
        return taken

    def take(self) -> list[tuple[Event, Any]]:
        """Turn what can be answered into events; gives each completion with its value."""
        left: list[Message] = []
        completed: list[tuple[Event, Any]] = []
        for message in self._messages:
            if message.kind == "cancel":
                if not self._cancelled:
                    self._cancelled = True
                    completed.append((self._recorder.record("cancel_requested", None, {}), None))
                self._recorder.outgoing.consumed.append(message.id)
            elif message.kind == "child":
                end = self._children.take(message)
                if end is None:
                    left.append(message)
                else:
                    completed.append((end, MISSING))
            elif message.kind == "job":
                ended = self._jobs.take(message)
                if ended is None:
                    left.append(message)
                else:
                    completed += ended
            elif (operation := self._find(message)) is not None:
                completed += self._resume(operation, message)
            else:
                left.append(message)
        self._messages = left
        return completed

    def _find(self, message: Message) -> Operation | None:
        for operation in self._open.values():
            if message.token == operation.token or (message.token is None and message.name == operation.name):
                return operation
        return None

    def _resume(self, operation: Operation, message: Message) -> list[tuple[Event, Any]]:
        self._recorder.outgoing.consumed.append(message.id)
        assert message.payload is not None
        what = f"the payload of hook {operation.name!r}"
        try:
            value = self._codec.decode(message.payload, operation.annotation, what)
        except SerializationError as error:
            return self._reject(operation, error.message)
        if operation.validator is not None:
            try:
                accepted = operation.validator(value)
            except Exception as error:
                reason = f"{error_name(error)}: {error_text(error)}"
                return self._reject(operation, f"{what} was refused by its validator: {reason}")
            if accepted is False:
                return self._reject(operation, f"{what} was refused by its validator.")
        event = self._recorder.record("hook_resumed", operation, {"token": operation.token}, message.payload)
        self.close(operation, "resumed")
        return [(event, value)]

    def _reject(self, operation: Operation, why: str) -> list[tuple[Event, Any]]:
        """A payload that cannot be given to the code: the hook stays open."""
        self._recorder.record("hook_rejected", operation, {"token": operation.token, "error": why})
        log.warning("run %s: %s", self._run.run_id, why)
        return []
