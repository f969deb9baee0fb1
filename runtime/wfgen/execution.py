"""One run, worked by this process: its loop, its history and the operations that are open.

The rule: completions are delivered one at a time, in recorded order, each time until the run is quiet; live runs go
the same way, each completion being recorded before it is delivered. What the code asks for is started only when
nothing recorded is left to deliver. A recorded completion that belongs to no operation that was asked for, or to one
of another form or target, is a divergence.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Protocol

from wfgen.definitions import MISSING, WorkflowDefinition
from wfgen.errors import (
    DivergenceError,
    HandleError,
    HookTimeoutError,
    LeaseLostError,
    RunTimeoutError,
    SerializationError,
    StepError,
    StepTimeoutError,
    WfgenError,
)
from wfgen.events import COMPLETIONS, Event, EventType
from wfgen.guard import Guard
from wfgen.handle import Workflow
from wfgen.ids import HookToken
from wfgen.loop import BranchTask, RunLoop
from wfgen.operations import HOOK_FORMS, STEP_FORMS, Operation
from wfgen.runlog import RunLogger
from wfgen.store.protocol import Append, Claimed, HookRecord, Message, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from wfgen.codec import Codec
    from wfgen.registry import Registry

log = logging.getLogger("wfgen.engine")

OPENINGS = frozenset({"timer_set", "hook_created", "step_retrying"})
"""Events that leave an operation open; what they recorded is taken up again in a replay."""


class Host(Protocol):
    """What a run needs of the engine that works it."""

    registry: Registry
    codec: Codec

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Record, then call back; retries itself what may be tried again, so a verdict is final."""
        ...

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        """Begin an attempt; returns what stops it. Reports to the execution."""
        ...

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at a time in seconds since the epoch; returns what stops it."""
        ...

    def shorten(self, filename: str) -> str:
        """A source path as it is shown and recorded: relative to the project."""
        ...

    def ended(self, execution: Execution, last: Append | None) -> None:
        """The run needs nothing more of this process: it finished, or was lost (`last` is None)."""
        ...


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
        self.now = claimed.events[0].time
        self.loop = RunLoop(lambda: self.now, self._on_loop_exception)  # type: ignore[abstract]
        self.log = RunLogger(self.run.run_id, definition.name, lambda: self.replaying)
        self.replayed = 0
        """Completions that were delivered from the record."""
        self.closed = False
        self._host = host
        self._guard = Guard()
        self._operations: dict[str, Operation] = {}
        self._asked: list[Operation] = []
        self._deliveries: deque[tuple[Event, Any]] = deque(
            (e, MISSING) for e in claimed.events if e.type in COMPLETIONS
        )
        self._to_replay = len(self._deliveries)
        self._openings = {e.key: e for e in claimed.events if e.type in OPENINGS}
        for event in claimed.events:
            if event.type in COMPLETIONS and event.key is not None:
                self._openings.pop(event.key, None)
        self._deadline = self._openings.pop(None, None)
        self._changed_inputs = {e.key for e in claimed.events if e.type == "input_changed"}
        self._seq = claimed.events[-1].seq
        self._messages: list[Message] = list(claimed.messages)
        self._stops: dict[str, Callable[[], None]] = {}
        """What stops each started operation: a step's task, a timer."""
        self._active = 0
        """Steps that are being worked or wait for their next attempt."""
        self._hooks: dict[str, Operation] = {}
        """Open hooks by key, oldest first."""
        self._opening = 0
        """Hooks whose creation is not durable yet: no step starts before, since it may send a token."""
        self._values: dict[int, Any] = {}
        self._outbox: Append | None = None
        self._in_flight: Append | None = None
        self._status = self.run.status
        self._root: BranchTask[Any] | None = None
        self._pumping = False
        self._ending = False
        self._cancelled = False
        self._timed_out = False
        self._last_completion = "start"
        self._draws: Counter[tuple[str, str]] = Counter()

    # For the handle.

    @property
    def replaying(self) -> bool:
        """Whether recorded completions are still to be delivered."""
        return self.replayed < self._to_replay

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
            digest = hashlib.sha256(f"{self.run.salt}/{self.run.run_id}/{key}".encode()).hexdigest()
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
        text = f"{self.run.salt}/{branch}/{self._last_completion}/{name}/{self._draws[branch, name]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])

    # For the engine. All but `receive` and `drop` are callbacks of its loop.

    def begin(self) -> None:
        """Start the workflow's code, and replay what is recorded."""
        if self.closed:
            return
        try:
            signature = self.definition.signature
            arguments: tuple[Any, ...] = ()
            if signature.takes_input and self.run.input is not None:
                what = f"the input of run {self.run.run_id}"
                arguments = (self.codec.decode(self.run.input, signature.input, what),)
        except WfgenError as error:
            self._fail(error)
            return
        if self.definition.timeout is not None or self._deadline is not None:
            self._set_deadline()
        self._root = self.loop.create_task(self.definition.function(Workflow(self), *arguments))
        self.pump()

    def receive(self, message: Message) -> None:
        """Take a message from the run's inbox."""
        if all(known.id != message.id for known in self._messages):
            self._messages.append(message)
            self._take_messages()
            self._flush()

    def drop(self) -> None:
        """Stop working this run: it is no longer ours, or the process ends. Nothing is recorded."""
        if self.closed:
            return
        self.closed = True
        for stop in list(self._stops.values()):
            stop()
        self._stops.clear()
        with self._guard:
            self.loop.drop()

    def step_completed(
        self, operation: Operation, attempt: int, started_at: float, encoded: bytes, value: Any, recorded: str | None
    ) -> None:
        """A step's function returned; its result is encoded already."""
        data: dict[str, Any] = {"attempt": attempt, "started_at": started_at}
        if recorded is not None:
            data["type"] = recorded
        self._end_step(operation, "step_completed", data, encoded, value)

    def step_failed(self, operation: Operation, attempt: int, started_at: float, error: dict[str, Any]) -> None:
        """A step failed for good. `error` holds `error_type`, `error`, and `timed_out` or `traceback`."""
        self._end_step(operation, "step_failed", {"attempt": attempt, "started_at": started_at, **error})

    def step_retrying(self, operation: Operation, attempt: int, delay: float, error: dict[str, Any]) -> None:
        """An attempt failed; the next one begins after `delay` seconds."""
        if self.closed:
            return
        next_at = self._host.time() + delay
        data = {"attempt": attempt, "next_at": next_at, **error}
        self._record("step_retrying", operation, data)
        self._stops[operation.key] = self._host.at(next_at, lambda: self._attempt(operation, attempt + 1))
        self._flush()

    # The loop: deliver, drive, start.

    def pump(self) -> None:
        """Deliver what is recorded, one completion at a time, until there is none; then start what was asked for."""
        if self.closed or self._pumping or self._ending or self._root is None:
            return
        self._pumping = True
        try:
            self._drive()
            while self._deliveries and not self._root.done():
                event, value = self._deliveries.popleft()
                self._deliver(event, value)
                self._drive()
            if self._root.done():
                self._check_rest()
                self._finish()
            else:
                self._check_openings()
                self._start_asked()
                self._take_messages()
        except (WfgenError, SystemExit) as error:
            self._fail(error)
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
        self.replayed += self.replaying
        if event.key is None:
            if event.type == "cancel_requested":
                self._cancelled = True
            else:
                self._timed_out = True
            assert self._root is not None
            self._root.cancel()
            return
        operation = self._operations.get(event.key)
        if operation is None or not operation.asked or not self._matches(operation, event):
            raise self._divergence(event, operation)
        self._hooks.pop(event.key, None)
        if value is MISSING and operation.form in STEP_FORMS:
            self._compare_input(operation, event)
        if operation.future.done():  # cancelled by the code meanwhile
            return
        self._settle(operation, event, value)

    def _compare_input(self, operation: Operation, event: Event) -> None:
        """Record a warning, once, when a replay gives a recorded step another input."""
        recorded = event.data.get("input")
        if recorded != operation.input_digest and event.key not in self._changed_inputs:
            log.warning(
                "run %s: %r is replayed with another input than it was recorded with", self.run.run_id, operation
            )
            self._record("input_changed", operation, {"recorded": recorded})

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
            case _:
                if value is MISSING:
                    assert event.payload is not None
                    what = f"the recorded result of {operation!r}"
                    value = self.codec.load(event.payload, operation.annotation, data.get("type"), what)
                operation.future.set_result(value)

    def _start_asked(self) -> None:
        waiting, self._asked = self._asked, []
        for operation in waiting:
            if operation.future.done():
                continue
            if operation.form in STEP_FORMS:
                if self._opening:
                    self._asked.append(operation)
                    continue
                self._start_step(operation)
            elif operation.form in HOOK_FORMS:
                self._open_hook(operation)
            else:
                self._set_timer(operation)
        if self._active or self._in_flight is not None:
            return
        if not self._stops and not self._asked and self._outbox is None:
            raise HandleError(
                f"run {self.run.run_id} waits for something that nothing can bring about: "
                "no step, sleep or hook is open.",
                hint="Look for an Event, Queue or Future that no other branch serves.",
            )
        if self._status != "waiting":
            self._outgoing().status = self._status = "waiting"

    def _start_step(self, operation: Operation) -> None:
        self._active += 1
        operation.future.add_done_callback(lambda future: self._abandon(operation, future))
        opening = self._openings.pop(operation.key, None)
        if opening is None:
            self._attempt(operation, 1)
        else:
            attempt = opening.data["attempt"] + 1
            self._stops[operation.key] = self._host.at(
                opening.data["next_at"], lambda: self._attempt(operation, attempt)
            )

    def _attempt(self, operation: Operation, attempt: int) -> None:
        if not self.closed and not operation.future.done():
            self._stops[operation.key] = self._host.start_step(operation, attempt)

    def _abandon(self, operation: Operation, future: asyncio.Future[Any]) -> None:
        """The code no longer waits for a step that is being worked: stop it, if it has not just ended."""
        if future.cancelled():
            stop = self._stops.pop(operation.key, None)
            if stop is not None:
                self._active -= 1
                stop()

    def _set_timer(self, operation: Operation) -> None:
        opening = self._openings.pop(operation.key, None)
        if opening is not None:
            operation.due = opening.data["due"]
        else:
            self._record("timer_set", operation, {"due": operation.due, "at": operation.place})
        assert operation.due is not None
        operation.future.add_done_callback(lambda _: self._stop(operation.key))
        self._stops[operation.key] = self._host.at(operation.due, lambda: self._timer_due(operation, "timer_fired"))

    def _open_hook(self, operation: Operation) -> None:
        opening = self._openings.pop(operation.key, None)
        assert operation.token is not None
        if opening is not None:
            operation.due = opening.data["due"]
        else:
            data = {"token": operation.token, "due": operation.due, "at": operation.place}
            event = self._record("hook_created", operation, data)
            self._opening += 1
            self._outgoing().opened.append(
                HookRecord(
                    token=operation.token,
                    run_id=self.run.run_id,
                    workflow=self.run.workflow,
                    key=operation.key,
                    name=operation.name,
                    due=operation.due,
                    state="open",
                    created_at=event.time,
                )
            )
        assert operation.due is not None
        self._hooks[operation.key] = operation
        operation.future.add_done_callback(lambda _: self._close_hook(operation))
        self._stops[operation.key] = self._host.at(operation.due, lambda: self._timer_due(operation, "hook_timed_out"))

    def _close_hook(self, operation: Operation) -> None:
        self._stop(operation.key)
        if self._hooks.pop(operation.key, None) is not None:  # cancelled by the code: nobody waits for it any more
            assert operation.token is not None
            self._outgoing().closed.append((operation.token, "closed"))

    def _timer_due(self, operation: Operation, event: EventType) -> None:
        if self.closed or operation.future.done() or self._stops.pop(operation.key, None) is None:
            return
        self._record(event, operation, {"token": operation.token} if operation.token else {})
        if event == "hook_timed_out":
            self._hooks.pop(operation.key, None)
            assert operation.token is not None
            self._outgoing().closed.append((operation.token, "timed_out"))
        self._flush()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            assert self.definition.timeout is not None
            due = self.now + self.definition.timeout
            self._record("timer_set", None, {"form": "run_timeout", "due": due})
        else:
            due = self._deadline.data["due"]
        self._stops[""] = self._host.at(due, self._run_due)

    def _run_due(self) -> None:
        if not self.closed and not self._ending:
            self._record("run_timed_out", None, {})
            self._flush()

    def _end_step(
        self,
        operation: Operation,
        type: EventType,
        data: dict[str, Any],
        payload: bytes | None = None,
        value: Any = MISSING,
    ) -> None:
        if self.closed or self._ending or self._stops.pop(operation.key, None) is None:
            return
        self._active -= 1
        if (digest := operation.input_digest) is not None:
            data["input"] = digest
        event = self._record(type, operation, data, payload)
        if value is not MISSING:
            self._values[event.seq] = value
        self._flush()

    def _take_messages(self) -> None:
        """Turn messages from outside into events, once replay is over."""
        if self._to_replay > self.replayed or self._ending or self._opening:
            return
        left = []
        for message in self._messages:
            if message.kind == "cancel":
                self._record("cancel_requested", None, {})
                self._outgoing().consumed.append(message.id)
            elif (operation := self._find_hook(message)) is not None:
                self._resume_hook(operation, message)
            else:
                left.append(message)
        self._messages = left

    def _find_hook(self, message: Message) -> Operation | None:
        for operation in self._hooks.values():
            if message.token == operation.token or (message.token is None and message.name == operation.name):
                return operation
        return None

    def _resume_hook(self, operation: Operation, message: Message) -> None:
        self._outgoing().consumed.append(message.id)
        assert operation.token is not None
        assert message.payload is not None
        try:
            value = self.codec.decode(message.payload, operation.annotation, f"the payload of hook {operation.name!r}")
        except SerializationError as error:
            self._record("hook_rejected", operation, {"token": operation.token, "error": error.message})
            log.warning("run %s: %s", self.run.run_id, error.message)
            return
        del self._hooks[operation.key]
        self._stop(operation.key)
        event = self._record("hook_resumed", operation, {"token": operation.token}, message.payload)
        self._values[event.seq] = value
        self._outgoing().closed.append((operation.token, "resumed"))

    def _stop(self, key: str) -> None:
        stop = self._stops.pop(key, None)
        if stop is not None:
            stop()

    # Recording: one append of a run is under way at a time; what comes meanwhile is gathered for the next.

    def _outgoing(self) -> Append:
        if self._outbox is None:
            self._outbox = Append(run_id=self.run.run_id, epoch=self.run.epoch)
        return self._outbox

    def _record(
        self, type: EventType, operation: Operation | None, data: dict[str, Any], payload: bytes | None = None
    ) -> Event:
        self._seq += 1
        key = None
        if operation is not None:
            key = operation.key
            data["form"] = operation.form
            if operation.target is not None:
                data["target"] = operation.target
            data["at"] = operation.place
        event = Event(self._seq, type, max(self._host.time(), self.now), key, data, payload)
        outgoing = self._outgoing()
        outgoing.events.append(event)
        if type in COMPLETIONS and self._status != "running":
            outgoing.status = self._status = "running"
        return event

    def _flush(self) -> None:
        if self._outbox is not None and self._in_flight is None and not self.closed and not self._pumping:
            self._in_flight, self._outbox = self._outbox, None
            self._host.append(self._in_flight, self._recorded)

    def _recorded(self, verdict: Verdict) -> None:
        append, self._in_flight = self._in_flight, None
        assert append is not None
        if self.closed:
            return
        if verdict is not None:
            if not isinstance(verdict, LeaseLostError):
                log.error("run %s: %s", self.run.run_id, verdict)
            self.drop()
            self._host.ended(self, None)
            return
        if append.status in ("completed", "failed", "cancelled"):
            self.drop()
            self._host.ended(self, append)
            return
        self._opening -= len(append.opened)
        for event in append.events:
            if event.type in COMPLETIONS:
                self._deliveries.append((event, self._values.pop(event.seq, MISSING)))
        self.pump()
        self._flush()

    # The end, and what ends a run early.

    def _finish(self) -> None:
        assert self._root is not None
        if self._root.cancelled():
            if self._timed_out:
                limit = self.definition.timeout
                self._fail(RunTimeoutError(f"run {self.run.run_id} exceeded its timeout of {limit:g} s."))
            elif self._cancelled:
                self._end("run_cancelled", "cancelled", {})
            else:
                self._fail(asyncio.CancelledError("the workflow's code raised it; nobody cancelled the run"))
            return
        error = self._root.exception()
        if error is not None:
            self._fail(error)
            return
        what = f"the result of workflow {self.definition.name!r}"
        try:
            encoded, _, recorded = self.codec.record(self._root.result(), self.definition.signature.output, what)
        except WfgenError as failure:
            self._fail(failure)
            return
        self._end("run_completed", "completed", {"type": recorded} if recorded else {}, encoded)

    def _fail(self, error: BaseException) -> None:
        if self._ending or self.closed:
            return
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        code = error.code if isinstance(error, WfgenError) else None
        if not isinstance(error, WfgenError | asyncio.CancelledError):
            log.error("run %s failed", self.run.run_id, exc_info=error)
        self._outgoing().error = (name, str(error), code)
        self._end("run_failed", "failed", {"error_type": name, "error": str(error), "code": code})

    def _end(self, type: EventType, status: Any, data: dict[str, Any], payload: bytes | None = None) -> None:
        self._ending = True
        self._record(type, None, data, payload)
        self._outgoing().status = self._status = status
        self._outgoing().output = payload
        for stop in list(self._stops.values()):
            stop()
        self._stops.clear()
        if not self._pumping:
            self._flush()

    # Divergence.

    @staticmethod
    def _matches(operation: Operation, event: Event) -> bool:
        return event.data.get("form") == operation.form and event.data.get("target") == operation.target

    def _check_rest(self) -> None:
        """The code is at its end; what was recorded after that must belong to what it asked for."""
        for event, _ in self._deliveries:
            operation = self._operations.get(event.key) if event.key else None
            if event.key is not None and (operation is None or not self._matches(operation, event)):
                raise self._divergence(event, operation)

    def _check_openings(self) -> None:
        """Replay is over; what was recorded as open must have been asked for again."""
        for event in self._openings.values():
            assert event.key is not None
            operation = self._operations.get(event.key)
            if operation is None or not operation.asked or not self._matches(operation, event):
                raise self._divergence(event, operation)
        self._openings = {k: e for k, e in self._openings.items() if not self._operations[k or ""].future.done()}

    def _divergence(self, event: Event, operation: Operation | None) -> DivergenceError:
        name = (event.key or "").partition("/")[2]
        target = f" -> {event.data['target']}" if event.data.get("target") else ""
        recorded = f"step {name!r} ({event.data.get('form')}{target}), recorded at {event.data.get('at')}"
        if operation is not None and operation.asked:
            asked = repr(operation)
        else:
            recorded_later = {e.key for e, _ in self._deliveries}
            waiting = [o for o in self._asked if not o.future.done()]
            waiting = [o for o in waiting if o.key not in recorded_later] or waiting
            asked = ", ".join(map(repr, waiting[:5])) if waiting else f"nothing more ({self.definition.source})"
        return DivergenceError(
            f"run {self.run.run_id} of workflow {self.run.workflow!r} version {self.run.version!r} does not follow its "
            f"history: expected {recorded}; asked for: {asked}.",
            hint="Put the old steps back, or give the changed workflow a new version and keep this one for its runs.",
        )

    def _on_loop_exception(self, context: dict[str, Any]) -> None:
        if self.closed:
            return
        log.warning("run %s: %s", self.run.run_id, context.get("message"), exc_info=context.get("exception"))
