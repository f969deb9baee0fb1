"""One run, worked by this process: its loop, its history and the operations that are open.

The rule: completions are delivered one at a time, in recorded order, each time until the run is quiet; live runs go
the same way. In a replay nothing is started before all that is recorded has been delivered. In a live run the code
goes on in memory before a completion is written, so that what follows from it at once (a timer, a hook, the end of the
run) is written with it; but the step that the code then asks for starts only once that completion is durable. So
whatever has an effect follows from what is recorded. A recorded completion that belongs to no operation that was asked
for, or to one of another form or target, is a divergence.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from wfgen.children import OnParentEnd, OpenChildren
from wfgen.codec import adapter
from wfgen.definitions import MISSING, WorkflowDefinition
from wfgen.divergence import reproduces
from wfgen.errors import (
    HandleError,
    HookTimeoutError,
    LeaseLostError,
    RunTimeoutError,
    StepError,
    StepTimeoutError,
    WfgenError,
    error_name,
)
from wfgen.events import Event, EventType
from wfgen.guard import Guard
from wfgen.handle import Workflow
from wfgen.hooks import OpenHooks
from wfgen.host import Host
from wfgen.ids import HookToken
from wfgen.loop import BranchTask, RunLoop
from wfgen.operations import CHILD_FORMS, HOOK_FORMS, STEP_FORMS, ContinueAsNew, Operation
from wfgen.recorder import Recorder
from wfgen.replay import Replay
from wfgen.runlog import RunLogger
from wfgen.steps import OpenSteps
from wfgen.store.protocol import FINISHED, Append, Claimed, Message, RunStatus, Verdict

log = logging.getLogger("wfgen.engine")


class Execution:
    """A run in progress.

    Args:
        claimed: the run and all that is recorded of it.
        definition: its workflow, in the run's version.
        host: the engine.
    """

    def __init__(self, claimed: Claimed, definition: WorkflowDefinition, host: Host) -> None:
        self.run = claimed.run
        self.definition = definition
        self.registry = host.registry
        self.codec = host.codec
        self._origin = f"{self.run.salt}/{claimed.events[0].seq}"
        """From which tokens and random values derive; another one after each new start."""
        self.now = claimed.events[0].time
        """Time of the last delivered event, in seconds since the epoch."""
        self.loop = RunLoop(lambda: self.now, self._on_loop_exception)  # type: ignore[abstract]
        self.log = RunLogger(self.run.run_id, definition.name, lambda: self.replaying)
        self.closed = False
        self._host = host
        self._guard = Guard()
        self._recorder = Recorder(self.run, claimed.events[-1].seq, host, self._recorded)
        self._children = OpenChildren(self.run, self._origin, self._recorder, self.registry, self.codec)
        self._hooks = OpenHooks(self.run, self._recorder, self.codec, claimed.messages, self._children)
        self._operations: dict[str, Operation] = {}
        self._asked: list[Operation] = []
        """What the code waits for and what is not started yet."""
        filename, _, line = definition.source.rpartition(":")
        self._replay = Replay(self.run, claimed.events, f"{host.shorten(filename)}:{line}")
        self._steps = OpenSteps(host, self._recorder, self._complete)
        self._stops: dict[str, Callable[[], None]] = {}
        """What stops each timer: of a sleep, a hook, the whole run."""
        self._root: BranchTask[Any] | None = None
        self._pumping = False
        self._ending = False
        self._cancelled = False
        self._timed_out = False
        self._limit = 0.0
        """Seconds that the whole run may take, once a deadline is set."""
        self._last_completion = "start"
        self._draws: Counter[tuple[str, str]] = Counter()

    # For the handle.

    @property
    def replaying(self) -> bool:
        """Whether recorded completions are still to be delivered."""
        return self._replay.replaying

    def reserve(self, name: str, form: str, filename: str, line: int, **details: Any) -> Operation:
        """Give an operation its identity: branch, name, occurrence."""
        task = asyncio.current_task(self.loop) or self._root
        assert isinstance(task, BranchTask)
        count = task.occurrences.get(name, 0) + 1
        key = f"{task.branch}/{name}" if count == 1 else f"{task.branch}/{name}#{count}"
        while key in self._operations:  # a step that is really called `name#2`
            count += 1
            key = f"{task.branch}/{name}#{count}"
        task.occurrences[name] = count
        if form in HOOK_FORMS:
            digest = hashlib.sha256(f"{self._origin}/{self.run.run_id}/{key}".encode()).hexdigest()
            details["token"] = HookToken(f"hook_{digest[:32]}")
        operation = Operation(self, key, name, form, f"{self._host.shorten(filename)}:{line}", **details)
        self._operations[key] = operation
        return operation

    def asked(self, operation: Operation) -> None:
        """The code waits for an operation; it starts when the run is quiet and nothing is left to replay."""
        self._asked.append(operation)

    def seed(self, name: str) -> int:
        """A number that is the same in every replay, and another one at each call."""
        task = asyncio.current_task(self.loop)
        branch = task.branch if isinstance(task, BranchTask) else ""
        self._draws[branch, name] += 1
        text = f"{self._origin}/{branch}/{self._last_completion}/{name}/{self._draws[branch, name]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])

    def patched(self, change: str) -> bool:
        """Whether the run takes a changed path; one change has one answer for a run.

        What is reached in a replay was passed before without the change, unless it is recorded otherwise; so was what
        comes before an operation that is recorded as open and is still to be asked for.
        """
        answer = self._replay.patches.get(change)
        if answer is None:
            answer = not self.replaying and all(key in self._operations for key in self._replay.openings)
            self._replay.patches[change] = answer
            if answer:
                self._recorder.record("patched", None, {"id": change})
        return answer

    def prepare_child(self, operation: Operation, data: Any, on_parent_end: OnParentEnd) -> None:
        """Check the input of a child and choose its id and version."""
        self._children.prepare(operation, data, on_parent_end)

    def next_input(self, data: Any) -> bytes | None:
        """The input with which the run is to start again, encoded."""
        if asyncio.current_task(self.loop) is not self._root:
            raise HandleError(
                "continue_as_new was called in a task beside the workflow's main branch.",
                hint="Wait for the other branches first, and call it in the workflow function itself.",
            )
        return self.definition.encode_input(data, self.codec.validate)

    # For the engine. All are callbacks of its loop.

    def begin(self) -> None:
        """Start the workflow's code, and replay what is recorded."""
        if self.closed:
            return
        try:
            signature = self.definition.signature
            adapter(signature.output)  # what could not be encoded at the end fails before the first step
            arguments: tuple[Any, ...] = ()
            if signature.takes_input and self.run.input is not None:
                what = f"the input of run {self.run.run_id}"
                arguments = (self.codec.decode(self.run.input, signature.input, what),)
        except WfgenError as error:
            self._fail(error)
            self._flush()
            return
        self._set_deadline()
        self._root = self.loop.create_task(self.definition.function(Workflow(self), *arguments))
        self.pump()

    def receive(self, message: Message) -> None:
        """Take a message from the run's inbox."""
        self._hooks.receive(message)
        self._take_messages()
        self._flush()

    @property
    def has_family(self) -> bool:
        """Whether other runs may have to hear of its end: its parent, or children."""
        return self.run.parent is not None or self._children.started or self.run.claims > 1

    @property
    def waits_for_children(self) -> bool:
        """Whether it cannot go on before other runs do."""
        return self._recorder.status == "waiting" and self._children.waiting

    def drop(self) -> None:
        """Stop working this run: it is finished or no longer ours, or the process ends. Nothing is recorded."""
        if self.closed:
            return
        self.closed = True
        self._stop_all()
        with self._guard:
            self.loop.drop()

    def step_completed(
        self, operation: Operation, attempt: int, started_at: float, encoded: bytes, value: Any, recorded: str | None
    ) -> None:
        """A step's function returned; its result is encoded already."""
        data: dict[str, Any] = {"attempt": attempt, "started_at": started_at}
        if recorded is not None:
            data["type"] = recorded
        if not (self.closed or self._ending):
            self._steps.end(operation, "step_completed", data, encoded, value)

    def step_failed(self, operation: Operation, attempt: int, started_at: float, error: dict[str, Any]) -> None:
        """A step failed for good. `error` holds `error_type`, `error`, and `timed_out` or `traceback`."""
        if not (self.closed or self._ending):
            self._steps.end(operation, "step_failed", {"attempt": attempt, "started_at": started_at, **error})

    def step_retrying(self, operation: Operation, attempt: int, delay: float, error: dict[str, Any]) -> None:
        """An attempt failed; the next one begins after `delay` seconds."""
        if not (self.closed or self._ending):
            self._steps.retry(operation, attempt, delay, error)
            self._flush()

    # Deliver, drive, start.

    def pump(self) -> None:
        """Deliver what is recorded, one completion at a time, until there is none; then start what was asked for."""
        if self.closed or self._pumping or self._ending or self._root is None:
            return
        self._pumping = True
        try:
            self._drive()
            while self._replay.deliveries and not self._root.done():
                self._deliver(*self._replay.next())
                self._drive()
            if self._root.done():
                self._replay.check_rest(self._operations)
                self._check_openings()
                self._finish(self._root)
            else:
                self._check_openings()
                self._take_messages()  # a request to cancel goes before what would start now
                self._start_asked()
                self._take_messages()  # and early payloads go to the hooks that were opened
        except (WfgenError, SystemExit) as error:
            self._fail(error)
        except Exception:
            # A fault of the engine, or a record that nobody can read: not the workflow's failure.
            log.exception("run %s cannot be worked by this process", self.run.run_id)
            self.drop()
            self._host.ended(self, None)
        finally:
            self._pumping = False
        self._flush()

    def _drive(self) -> None:
        with self._guard:
            self.loop.drive()

    def _deliver(self, event: Event, value: Any) -> None:
        self.now = event.time
        self._last_completion = event.key or event.type
        self._draws.clear()
        if event.key is None:
            self._cancelled |= event.type == "cancel_requested"
            self._timed_out |= event.type == "run_timed_out"
            assert self._root is not None
            self._root.cancel()
            return
        operation = self._operations.get(event.key)
        if operation is None or not reproduces(operation, event):
            raise self._replay.divergence(event, self._operations)
        self._hooks.replayed(event.key)
        self._children.replayed(event.key)
        if value is MISSING and operation.form in STEP_FORMS:
            self._compare_input(operation, event)
        if not operation.future.done():  # or else the code has cancelled it meanwhile
            self._settle(operation, event, value)

    def _compare_input(self, operation: Operation, event: Event) -> None:
        """Record a warning, once, when a replay gives a recorded step another input."""
        recorded = event.data.get("input")
        if recorded != operation.input_digest and event.key not in self._replay.changed_inputs:
            log.warning("run %s: %r was recorded with another input than it has now", self.run.run_id, operation)
            self._recorder.record("input_changed", operation, {"recorded": recorded})

    def _settle(self, operation: Operation, event: Event, value: Any) -> None:
        data = event.data
        match event.type:
            case "step_failed":
                kind = StepTimeoutError if data.get("timed_out") else StepError
                operation.future.set_exception(
                    kind(operation.name, data["error_type"], data["error"], attempts=data["attempt"])
                )
            case "hook_timed_out":
                operation.future.set_exception(
                    HookTimeoutError(f"hook {operation.name!r} ({operation.place}) was not resumed in time.")
                )
            case "timer_fired":
                operation.future.set_result(None)
            case "child_completed" | "child_failed":
                self._children.settle(operation, event)
            case _:
                if value is MISSING:
                    assert event.payload is not None
                    what = f"the recorded result of {operation!r}"
                    value = self.codec.load(event.payload, operation.annotation, data.get("type"), what)
                operation.future.set_result(value)

    def _start_asked(self) -> None:
        asked, self._asked = self._asked, []
        for operation in asked:
            if operation.future.done():
                continue
            opening = self._replay.openings.pop(operation.key, None)
            if operation.form in HOOK_FORMS:
                self._open_hook(operation, opening)
            elif operation.form in CHILD_FORMS:
                self._children.open(operation, opening)
                operation.future.add_done_callback(functools.partial(self._give_up_child, operation))
            elif operation.form in STEP_FORMS:
                self._steps.ask(operation, opening)
            else:
                self._set_timer(operation, opening)
        self._steps.start_durable()
        if self._steps.at_work:
            return
        if not self._stops and not self._hooks.waiting and not self._children.waiting:
            raise HandleError(
                f"run {self.run.run_id} waits for something that nothing can bring about: "
                "no step, sleep, hook or child is open.",
                hint="Look for an Event, Queue or Future that no other branch serves.",
            )
        self._recorder.set_status("waiting")

    def _complete(self, event: Event, value: Any = MISSING) -> None:
        """A completion is on its way to the record, and is written with what the code does next."""
        self._replay.deliveries.append((event, value))
        # Not here: this may be inside a step's task, and the run's loop is driven from plain callbacks.
        self._host.soon(self.pump)

    # Timers and hooks.

    def _set_timer(self, operation: Operation, opening: Event | None) -> None:
        if opening is not None:
            operation.due = opening.data["due"]
        else:
            self._recorder.record("timer_set", operation, {"due": operation.due})
        assert operation.due is not None
        operation.future.add_done_callback(lambda _: self._stop(operation.key))
        self._stops[operation.key] = self._host.at(operation.due, lambda: self._due(operation, "timer_fired"))

    def _open_hook(self, operation: Operation, opening: Event | None) -> None:
        self._hooks.open(operation, opening)
        assert operation.due is not None
        operation.future.add_done_callback(lambda _: self._close_hook(operation))
        self._stops[operation.key] = self._host.at(operation.due, lambda: self._due(operation, "hook_timed_out"))

    def _give_up_child(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._children.close(operation)

    def _close_hook(self, operation: Operation) -> None:
        self._stop(operation.key)
        self._hooks.close(operation, "closed")

    def _due(self, operation: Operation, event: EventType) -> None:
        if self.closed or operation.future.done() or self._stops.pop(operation.key, None) is None:
            return
        recorded = self._recorder.record(event, operation, {"token": operation.token} if operation.token else {})
        self._hooks.close(operation, "timed_out")
        self._complete(recorded)

    def _set_deadline(self) -> None:
        """Set the timeout of the whole run; once set it stays, whatever today's code says."""
        if self._replay.deadline is not None:
            due = self._replay.deadline.data["due"]
        elif self.definition.timeout is not None:
            due = self.now + self.definition.timeout
            self._recorder.record("timer_set", None, {"form": "run_timeout", "due": due})
        else:
            return
        self._limit = due - self.now
        self._stops[""] = self._host.at(due, self._run_due)

    def _run_due(self) -> None:
        if not self.closed and not self._ending:
            self._complete(self._recorder.record("run_timed_out", None, {}))

    def _take_messages(self) -> None:
        """Turn messages from outside into events, once replay is over."""
        if self.closed or self.replaying or self._ending:
            return
        for event, value in self._hooks.take():
            self._stop(event.key or "no key")
            self._complete(event, value)

    def _stop(self, key: str) -> None:
        stop = self._stops.pop(key, None)
        if stop is not None:
            stop()

    def _stop_all(self) -> None:
        self._steps.stop_all()
        for key in list(self._stops):
            self._stop(key)

    # Recording.

    def _flush(self) -> None:
        if not self.closed and not self._pumping:
            self._recorder.flush()

    def _recorded(self, append: Append, verdict: Verdict) -> None:
        if self.closed:
            return
        if verdict is not None:
            if not isinstance(verdict, LeaseLostError):
                log.error("run %s cannot be recorded: %s", self.run.run_id, verdict)
            self.drop()
            self._host.ended(self, None)
            return
        if append.status in FINISHED:
            self.drop()
            self._host.ended(self, append)
            return
        if append.events and append.events[-1].type == "run_continued":
            self.drop()
            self._host.continued(self, append.events[-1])
            return
        if not self._ending:
            self._steps.start_durable()
        self._flush()

    # The end.

    def _finish(self, root: BranchTask[Any]) -> None:
        if root.cancelled():
            if self._timed_out:
                self._fail(RunTimeoutError(f"run {self.run.run_id} exceeded its timeout of {self._limit:g} s."))
            elif self._cancelled:
                self._end("run_cancelled", "cancelled", {})
            else:
                self._fail(asyncio.CancelledError("the workflow's code raised it; nobody cancelled the run"))
            return
        error = root.exception()
        if isinstance(error, ContinueAsNew):
            if self._hooks.take_cancel():
                self._end("run_cancelled", "cancelled", {})
            else:
                self._continue(error.input)
            return
        if error is not None:
            self._fail(error)
            return
        what = f"the result of workflow {self.definition.name!r}"
        try:
            encoded, _, recorded = self.codec.record(root.result(), self.definition.signature.output, what)
        except WfgenError as failure:
            self._fail(failure)
            return
        self._end("run_completed", "completed", {"type": recorded} if recorded else {}, encoded)

    def _continue(self, payload: bytes | None) -> None:
        """Start the run again, in this process as soon as it is recorded."""
        self._ending = True
        data = {"workflow": self.run.workflow, "version": self.run.version}
        self._recorder.record("run_continued", None, data, payload)
        self._recorder.set_status("running")
        self._stop_all()

    def _fail(self, error: BaseException) -> None:
        if self._ending or self.closed:
            return
        name = error_name(error)
        code = error.code if isinstance(error, WfgenError) else None
        if not isinstance(error, WfgenError | asyncio.CancelledError):
            log.error("run %s failed", self.run.run_id, exc_info=error)
        self._recorder.outgoing.error = (name, str(error), code)
        self._end("run_failed", "failed", {"error_type": name, "error": str(error), "code": code})

    def _end(self, type: EventType, status: RunStatus, data: dict[str, Any], payload: bytes | None = None) -> None:
        self._ending = True
        self._recorder.record(type, None, data, payload)
        self._recorder.set_status(status)
        self._recorder.outgoing.output = payload
        self._stop_all()

    def _check_openings(self) -> None:
        for operation in self._replay.check_openings(self._operations):
            if operation.form in CHILD_FORMS:
                self._recorder.outgoing.given_up.append(operation.key)

    def _on_loop_exception(self, context: dict[str, Any]) -> None:
        if not self.closed:
            log.warning("run %s: %s", self.run.run_id, context.get("message"), exc_info=context.get("exception"))
