"""The code of one run: what it asks for by its handle, and what it is told of what is recorded."""

from __future__ import annotations

import asyncio
import logging
from types import FrameType
from typing import TYPE_CHECKING, Any

from wfgen.children import OnParentEnd, OpenChildren
from wfgen.conformance import Conformance
from wfgen.definitions import MISSING
from wfgen.divergence import reproduces
from wfgen.emissions import Emissions
from wfgen.errors import HandleError
from wfgen.events import Event
from wfgen.host import Host
from wfgen.loop import BranchTask
from wfgen.openings import Openings
from wfgen.operations import HOOK_FORMS, STEP_FORMS, Operation
from wfgen.recorder import Recorder
from wfgen.replay import Replay
from wfgen.retry import Retry
from wfgen.rollback import Rollback
from wfgen.targets import Target

if TYPE_CHECKING:
    from wfgen.execution import Execution

log = logging.getLogger("wfgen.engine")


class WorkflowCode:
    """The workflow's code in one run.

    Args:
        execution: the run.
        host: the engine.
        replay: what is recorded and not yet reproduced.
        recorder: takes what the code says and does at once.
        openings: what is open of what it has asked for.
        children: its child runs.
        rollback: takes it back.
        emissions: what it says.
        conformance: whether it keeps to its graph.
        now: time of the first event that counts, in seconds since the epoch.
    """

    def __init__(
        self,
        execution: Execution,
        host: Host,
        replay: Replay,
        recorder: Recorder,
        openings: Openings,
        children: OpenChildren,
        rollback: Rollback,
        emissions: Emissions,
        conformance: Conformance,
        now: float,
    ) -> None:
        self.operations: dict[str, Operation] = {}
        """All that it has called for, by key."""
        self.asked: list[Operation] = []
        """What it waits for and what is not started yet."""
        self.root: BranchTask[Any] | None = None
        """Its main branch, once it has begun."""
        self.now = now
        """Time of the last delivered event, in seconds since the epoch."""
        self._execution = execution
        self._loop = execution.loop
        self._identities = execution.identities
        self._host = host
        self._replay = replay
        self._recorder = recorder
        self._openings = openings
        self._children = children
        self._rollback = rollback
        self._emissions = emissions
        self._conformance = conformance

    # What it does by its handle.

    def place(self, frame: FrameType) -> str:
        """Where the code is, `file:line`, as it is shown."""
        return f"{self._host.shorten(frame.f_code.co_filename)}:{frame.f_lineno}"

    def reserve(
        self, name: str, form: str, place: str, target: str | None = None, *, branch: str | None = None
    ) -> Operation:
        """Give an operation its identity: branch, name, occurrence. Without a branch that of the code that runs."""
        current = asyncio.current_task(self._loop)
        task = current if isinstance(current, BranchTask) else self.root
        assert task is not None
        key = self._identities.key(task, branch, name, self.operations)
        operation = Operation(self._execution, key, name, form, place, target)
        if form in HOOK_FORMS:
            operation.token = self._identities.token(key)
        self.operations[key] = operation
        if branch is None:
            self._conformance.check(operation)
        return operation

    @property
    def _branch(self) -> str:
        """Of the code that is running."""
        task = asyncio.current_task(self._loop)
        return task.branch if isinstance(task, BranchTask) else ""

    def seed(self, name: str) -> int:
        """A number that is the same in every replay, and another one at each call."""
        return self._identities.seed(self._branch, name)

    def emit(self, event: str, data: Any, place: str) -> None:
        """Record an event of the code's own, once."""
        self._emissions.emit(self._branch, event, data, place)

    def progress(self, done: float, total: float | None, message: str | None, place: str) -> None:
        """Record how far the code has come, once."""
        self._emissions.progress(self._branch, done, total, message, place)

    def patched(self, change: str) -> bool:
        """Whether the run takes a changed path; one change has one answer for a run.

        What is reached in a replay was passed before without the change, unless it is recorded otherwise; so was what
        comes before an operation that is recorded as open and is still to be asked for.
        """
        answer = self._replay.patches.get(change)
        if answer is None:
            answer = not self._replay.replaying and all(key in self.operations for key in self._replay.openings)
            self._replay.patches[change] = answer
            if answer:
                self._recorder.record("patched", None, {"id": change})
        return answer

    def prepare_child(self, operation: Operation, data: Any, on_parent_end: OnParentEnd) -> None:
        """Check the input of a child and choose its id and version."""
        self._children.prepare(operation, data, on_parent_end, self._replay.ids.get(operation.key))

    def compensate(
        self, name: str, target: Target, data: Any, place: str, retry: Retry | None, timeout: float | None
    ) -> None:
        """Register an undo step."""
        course, seq = self._execution.course, self._identities.last_seq
        course.register(name, target, data, place, retry=retry, timeout=timeout, seq=seq)

    def next_input(self, data: Any) -> bytes | None:
        """The input with which the run is to start again, encoded."""
        if asyncio.current_task(self._loop) is not self.root:
            raise HandleError(
                "continue_as_new was called in a task beside the workflow's main branch.",
                hint="Wait for the other branches first, and call it in the workflow function itself.",
            )
        return self._execution.definition.encode_input(data, self._execution.codec.validate)

    # What it is told.

    def deliver(self, event: Event, value: Any) -> None:
        """Tell it of a completion; `value` is the decoded one, `MISSING` where it is not at hand.

        Raises:
            DivergenceError: the completion belongs to nothing that it has asked for.
        """
        self.now = event.time
        self._identities.delivered(event)
        if event.key is None:
            self._deliver_to_run(event)
            return
        operation = self.operations.get(event.key)
        if operation is None or not reproduces(operation, event):
            raise self._replay.divergence(event, self.operations)
        if operation.form in STEP_FORMS and value is MISSING:
            self._compare_input(operation, event)
        self._openings.ended(operation)
        if event.type == "step_completed" and operation.compensate is not None:
            self._execution.course.step_completed(operation, event)
        operation.ended = True
        if not operation.future.done():  # or else the code has cancelled it meanwhile
            self._openings.settle(operation, event, value)

    def _deliver_to_run(self, event: Event) -> None:
        course, ending = self._execution.course, self._execution.ending
        if event.type == "compensation_started":
            if not course.compensate():
                raise self._replay.divergence(event, self.operations)
        elif event.type == "rollback_requested":
            course.closing = True
            self._rollback.begin(self._loop, course.compensations)
        elif not course.closing:
            ending.cancelled |= event.type == "cancel_requested"
            ending.timed_out |= event.type == "run_timed_out"
            assert self.root is not None
            self.root.cancel()

    def _compare_input(self, operation: Operation, event: Event) -> None:
        """Record a warning, once, when a replay gives a recorded step another input."""
        recorded = event.data.get("input")
        if not operation.has_input(recorded) and event.key not in self._replay.changed_inputs:
            log.warning("run %s: %r was recorded with another input than it has now", operation.run_id, operation)
            self._recorder.record("input_changed", operation, {"recorded": recorded})
