"""What a run has asked for and is open: what begins each kind of operation, hears of its end, or gives it up."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from wfgen.causes import caused_by
from wfgen.children import OpenChildren
from wfgen.deadlines import Deadlines
from wfgen.definitions import MISSING
from wfgen.errors import HookTimeoutError
from wfgen.events import Event
from wfgen.failures import Failures, recorded_error
from wfgen.hooks import OpenHooks
from wfgen.operations import CHILD_FORMS, HOOK_FORMS, STEP_FORMS, Operation
from wfgen.queued import OpenJobs
from wfgen.recorder import Recorder
from wfgen.steps import OpenSteps


class Openings:
    """The open operations of one run, by kind."""

    def __init__(
        self,
        recorder: Recorder,
        deadlines: Deadlines,
        hooks: OpenHooks,
        children: OpenChildren,
        jobs: OpenJobs,
        steps: OpenSteps,
        errors: Failures,
    ) -> None:
        self._recorder = recorder
        self._deadlines = deadlines
        self._hooks = hooks
        self._children = children
        self._jobs = jobs
        self._steps = steps
        self._errors = errors

    def open(self, operation: Operation, opening: Event | None) -> None:
        """Begin an operation that the code waits for, or take it up as it was recorded."""
        form = operation.form
        if form in HOOK_FORMS:
            self._deadlines.open_hook(operation, opening)
        elif form in CHILD_FORMS:
            self._children.open(operation, opening)
            operation.future.add_done_callback(functools.partial(self._close, operation))
        elif form not in STEP_FORMS:
            self._deadlines.set_timer(operation, opening)
        elif self._jobs.takes(operation, opening):
            self._jobs.open(operation, opening)
            operation.future.add_done_callback(functools.partial(self._close, operation))
        else:
            self._steps.ask(operation, opening)

    def open_last(self, operation: Operation, opening: Event | None) -> None:
        """The code has come to its end: what goes its own way begins all the same."""
        if operation.form == "start" or not operation.awaited:
            self.open(operation, opening)

    def _close(self, operation: Operation, future: asyncio.Future[object]) -> None:
        """The code no longer waits for what is at work elsewhere."""
        if not future.cancelled():
            return
        if operation.form in CHILD_FORMS:
            self._children.close(operation)
        else:
            self._jobs.close(operation)

    def never_opened(self, operation: Operation) -> None:
        """The code has given an operation up before it was opened here."""
        if operation.form in STEP_FORMS and not self._jobs.has(operation):
            self._steps.given_up(operation)

    def given_up(self, operation: Operation, opening: Event) -> None:
        """The code has given up again what is recorded as open."""
        if operation.form in CHILD_FORMS:
            self._recorder.outgoing.given_up.append(operation.key)
        elif opening.type == "job_created":
            self._jobs.give_up(operation)
        elif operation.token is not None:  # open again if the run was taken back behind its closing
            self._recorder.outgoing.closed.append((operation.token, "closed"))

    def ended(self, operation: Operation) -> None:
        """The recorded end of an operation was delivered."""
        if operation.form in HOOK_FORMS:
            self._hooks.replayed(operation.key)
        elif operation.form in CHILD_FORMS:
            self._children.replayed(operation.key)
        elif operation.form in STEP_FORMS:
            self._jobs.ended(operation.key)

    def settle(self, operation: Operation, event: Event, value: Any) -> None:
        """Give the code what it waits for; `value` is the decoded result, `MISSING` where it is not at hand."""
        match event.type:
            case "step_failed":
                error = recorded_error(operation, event)
                if operation.on_error == "continue":
                    operation.future.set_result(self._errors.add(error))
                else:
                    operation.future.set_exception(error)
            case "hook_timed_out":
                late = HookTimeoutError(f"hook {operation.name!r} ({operation.place}) was not resumed in time.")
                operation.future.set_exception(caused_by(late, operation.key))
            case "timer_fired":
                operation.future.set_result(None)
            case "child_completed" | "child_failed":
                self._children.settle(operation, event)
            case _:
                operation.future.set_result(operation.result_of(event) if value is MISSING else value)

    @property
    def waiting(self) -> bool:
        """Whether something from outside can let the run go on: a payload, the end of a child or of a job."""
        return self._hooks.waiting or self._children.waiting or self._jobs.waiting

    @property
    def settling(self) -> bool:
        """Whether a step that was given up, and can be undone, may still complete elsewhere."""
        return self._jobs.settling
