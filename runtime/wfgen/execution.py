"""One run, worked by this process: its loop, its history and the operations that are open.

The rule: completions are delivered one at a time, in recorded order, each time until the run is quiet; live runs go
the same way. In a replay nothing is started before all that is recorded has been delivered. In a live run the code
goes on in memory before a completion is written, so that what follows from it at once (a timer, a hook, the end of the
run) is written with it; but the step that the code then asks for starts only once that completion is durable. So
whatever has an effect follows from what is recorded. A recorded completion that belongs to no operation that was asked
for, or to one of another form or target, is a divergence.
"""

from __future__ import annotations

import functools
import logging
import math
from typing import Any

from wfgen.checkpoints import begun_at, current_part, is_first_part, rolled_back
from wfgen.children import OpenChildren
from wfgen.codec import adapter
from wfgen.compensations import retried
from wfgen.conformance import Conformance
from wfgen.course import Course
from wfgen.deadlines import Deadlines
from wfgen.definitions import MISSING, WorkflowDefinition
from wfgen.emissions import Emissions
from wfgen.ending import Ending
from wfgen.errors import HandleError, LeaseLostError, WfgenError
from wfgen.events import Event
from wfgen.failures import Failures
from wfgen.guard import Guard
from wfgen.handle import Workflow
from wfgen.hooks import OpenHooks
from wfgen.host import Host
from wfgen.identities import Identities
from wfgen.lifecycle import Lifecycle
from wfgen.loop import RunLoop
from wfgen.openings import Openings
from wfgen.operations import Operation
from wfgen.pausing import Pausing
from wfgen.queued import OpenJobs
from wfgen.recorder import Recorder
from wfgen.replay import Replay
from wfgen.rollback import Rollback
from wfgen.runinfo import RunInfo
from wfgen.steps import OpenSteps
from wfgen.store.records import FINISHED, GIVEN_BACK, Append, Claimed, Message, Verdict
from wfgen.surroundings import Surroundings
from wfgen.workflow_code import WorkflowCode

log = logging.getLogger("wfgen.engine")


SLICE = 100
"""Recorded completions that are delivered before other runs have their turn: a few milliseconds."""


class Execution:
    """A run in progress.

    Args:
        claimed: the run and all that is recorded of it.
        definition: its workflow, in the run's version.
        host: the engine.
    """

    def __init__(self, claimed: Claimed, definition: WorkflowDefinition, host: Host) -> None:
        events = current_part(claimed.events)
        claimed = Claimed(claimed.run, events, claimed.messages)
        self.run = claimed.run
        self.definition = definition
        self.registry = host.registry
        self.codec = host.codec
        self._begun_at = begun_at(claimed.events)
        self.loop = RunLoop(lambda: self.code.now, self._on_loop_exception)  # type: ignore[abstract]
        run = self.run
        info = RunInfo(run.run_id, run.workflow, run.version, run.tags)
        self.surroundings = Surroundings(info, definition, host.process, lambda: self.repeating)
        self.closed = False
        self.number = 0
        """Among those that its process has taken."""
        self.errors = Failures()
        """Errors of steps from which the code has gone on."""
        self._host = host
        self._guard = Guard()
        filename, _, line = definition.source.rpartition(":")
        self.source = f"{host.shorten(filename)}:{line}"
        """Where its workflow is defined, as it is shown."""
        self._replay = Replay(self.run, events, self.source)
        self.identities = Identities(self.run, events, self._replay.ids)
        last = claimed.events[-1]
        # Who takes a run up that nobody has worked before tells so with its first event; later claims are recorded.
        process = self.run.owner if self.run.epoch == 1 and "process" not in events[0].data else None
        self._recorder = Recorder(self.run, last.seq, last.time, host, self._recorded, process)
        emissions = Emissions(self._recorder, self.codec, claimed.events)
        self._children = OpenChildren(self.run, self.identities.origin, self._recorder, self.registry, self.codec)
        cancelled = any(event.type == "cancel_requested" for event in claimed.events)
        self.steps = OpenSteps(host, self._recorder, self._complete, self._retrying)
        self._jobs = OpenJobs(self._recorder, self.steps)
        self._hooks = OpenHooks(
            self.run, self._recorder, self.codec, claimed.messages, self._children, self._jobs, cancelled
        )
        self._pausing = Pausing(self._recorder, self._hooks, claimed.events)
        self._rollback = Rollback(claimed.events)
        self._caught_up = not (self._replay.openings or emissions.ahead)
        """Whether the code is past all that the record shows it to have done."""
        self._conformance = Conformance.of(self.run, definition, host, self._recorder, claimed.events)
        self._deadlines = Deadlines(
            host, self._recorder, self._hooks, self._pausing, self._complete, lambda: self.course.closing
        )
        self._openings = Openings(
            self._recorder, self._deadlines, self._hooks, self._children, self._jobs, self.steps, self.errors
        )
        self.ending = Ending(
            self.run, self._recorder, self._stop_all, lambda: self._replay.cancels or self._hooks.take_cancel()
        )
        self.code = WorkflowCode(
            self, host, self._replay, self._recorder, self._openings, self._children, self._rollback, emissions,
            self._conformance, events[0].time,
        )  # fmt: skip
        """The workflow's code: what it has asked for, and is told."""
        handlers = [h for h in (host.process.definition.handlers, definition.handlers) if h]
        self._lifecycle = Lifecycle(claimed, self.surroundings.info, handlers, host.call_handlers) if handlers else None
        self.course = Course(self, is_first=is_first_part(claimed.events), rounds=1 + retried(claimed.events))
        self._pumping = False
        self._slice = 0
        """How many recorded completions may be delivered before other runs have their turn."""

    @property
    def replaying(self) -> bool:
        """Whether recorded completions are still to be delivered."""
        return self._replay.replaying

    @property
    def repeating(self) -> bool:
        """Whether the code does again what it did before, as far as the record shows: it says nothing meanwhile."""
        return self.replaying or not self._caught_up

    # For the engine. All are callbacks of its loop.

    def begin(self) -> None:
        """Start the workflow's code, and replay what is recorded."""
        if self.closed:
            return
        self._pausing.begin()
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
        try:
            self.surroundings.open(*arguments)
        except Exception:
            # A fault of this process, not of the run: it is given back, and taken up again after a while.
            log.exception("run %s: its context cannot be made by this process", self.run.run_id)
            self.drop()
            self._host.ended(self, None)
            return
        if self._lifecycle is not None:
            self._lifecycle.begins()
        timeout = self.definition.timeout
        self.ending.limit = self._deadlines.set_run_timeout(self._replay.deadline, self._begun_at, timeout)
        body = functools.partial(self.surroundings.body, self.definition.function, Workflow(self), *arguments)
        self.code.root = self.loop.create_task(self.course.run(body, *arguments))
        self.pump()

    def give_up(self, error: WfgenError) -> None:
        """Let the run fail without working it."""
        if not self.closed:
            self._pausing.begin()
            self._fail(error)
            self._flush()

    def receive(self, *messages: Message) -> None:
        """Take messages from the run's inbox; it is read again and again until they are answered."""
        if not self._hooks.receive(messages):
            return
        self._take_messages()
        if self._pausing.asked:
            self._host.soon(self.pump)
        self._flush()

    @property
    def steps_at_work(self) -> list[Operation]:
        """Steps of which this process works an attempt."""
        return [self.code.operations[key] for key in self.steps.under_way]

    @property
    def has_family(self) -> bool:
        """Whether others may have to hear of its end: its parent, children, or who works its jobs."""
        return self.run.parent is not None or self._children.started or self._jobs.put or self.run.epoch > 1

    @property
    def is_parked(self) -> bool:
        """Whether it waits for timers, hooks, children and jobs alone, and that is durable."""
        return (
            self._recorder.status == "waiting"
            and self._recorder.is_idle
            and not (self.closed or self._pumping or self.ending.begun or self._pausing.asked)
            and not (self.steps.at_work or self._replay.deliveries)
            and self.wake_at > self._host.time()  # or else its timer is about to go off
        )

    @property
    def wake_at(self) -> float:
        """When the run goes on by itself, in seconds since the epoch; infinite if only a message can make it."""
        return min(self._deadlines.next_due, self.steps.next_due)

    @property
    def last_message(self) -> int:
        """Number of the last message that it has seen."""
        return self._hooks.last_message

    def drop(self) -> None:
        """Stop working this run: it is finished or no longer ours, or the process ends. Nothing is recorded."""
        if self.closed:
            return
        self.closed = True
        self._stop_all()
        with self._guard:
            held_on = self.loop.drop()
        if held_on:
            log.warning(
                "run %s: its code catches GeneratorExit, with which its coroutines are closed (`except:` or "
                "`except BaseException` around an operation); let it through",
                self.run.run_id,
            )

    @property
    def can_go(self) -> bool:
        """Whether it may be handed to another process soon: it is no longer replayed, and works one step at most."""
        return not (self.closed or self.repeating or self.ending.begun) and len(self.steps.under_way) <= 1

    def leave(self) -> None:
        """Another process is to go on: let nothing new begin, and give the run back once all at work has ended."""
        if not self.closed:
            self._pausing.leave()
            self.steps.hold = True
            self._host.soon(self.pump)

    def lost(self) -> None:
        """The lease has lapsed by this process's own clock: whoever takes the run up goes on with it."""
        if not self.closed:
            self.drop()
            self._host.ended(self, None)

    def _retrying(self) -> None:
        """An attempt has failed, and another one is to come."""
        if self._pausing.asked or not self.steps.at_work:
            self._host.soon(self.pump)
        self._flush()

    # Deliver, drive, start.

    def pump(self) -> None:
        """Deliver what is recorded, one completion at a time, until there is none; then start what was asked for."""
        root = self.code.root
        if self.closed or self._pumping or self.ending.begun or root is None:
            return
        self._pumping = True
        try:
            self._slice = SLICE
            self.loop.drive(self._guard, self._deliver_next)
            if self._replay.deliveries and self._takes_delivery():
                self._host.soon(self.pump)  # others have their turn; nothing starts before all is delivered
                return
            self._caught_up |= not self.replaying
            if self._pausing.asked and not root.done():
                self._pause_when_quiet()
            elif self._rollback.done:
                self._take_back()
            elif root.done() and not self._rollback.wanted:
                self._replay.check_rest(self.code.operations)
                self._check_openings()
                recorded = {event.key for event, _ in self._replay.deliveries}  # ends that the code did not wait for
                for operation in self.code.asked:
                    if not operation.future.done() and operation.key not in recorded:
                        self._openings.open_last(operation, self._replay.openings.pop(operation.key, None))
                error = self.ending.finish(root)
                if error is not None:
                    self._fail(error)
            else:
                self._check_openings()
                self._take_messages()  # a request to cancel goes before what would start now
                if self._pausing.asked:
                    self._pause_when_quiet()
                else:
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

    def _takes_delivery(self) -> bool:
        """Whether the code is to be told of what is recorded."""
        root = self.code.root
        assert root is not None
        return not self._pausing.asked and (not root.done() or self._rollback.wanted)

    def _deliver_next(self) -> bool:
        """The code has come to rest: tell it what is recorded next. False if there is nothing, or the slice is over."""
        self._conformance.settle()
        if not (self._replay.deliveries and self._takes_delivery()) or (not self._slice and self.replaying):
            return False
        self._slice -= 1
        self.code.deliver(*self._replay.next())
        return True

    def _start_asked(self) -> None:
        asked, self.code.asked = self.code.asked, []
        for operation in asked:
            if not self._rollback.belongs(operation):
                continue
            if operation.future.done():
                self._openings.never_opened(operation)
            else:
                self._openings.open(operation, self._replay.openings.pop(operation.key, None))
        self.steps.start_durable()
        if self.steps.at_work or self._replay.deliveries:
            return
        if self.course.waits and not self._openings.settling:
            self._complete(self._recorder.record("compensation_started", None, self.course.compensation_started()))
            return
        if self.wake_at == math.inf and not self._openings.waiting:
            raise HandleError(
                f"run {self.run.run_id} waits for something that nothing can bring about: "
                "no step, sleep, hook or child is open.",
                hint="Look for an Event, Queue or Future that no other branch serves.",
            )
        self._recorder.set_status("waiting", self.wake_at)

    def _complete(self, event: Event, value: Any = MISSING) -> None:
        """A completion is on its way to the record, and is written with what the code does next."""
        self._replay.deliveries.append((event, value))
        self._host.woken(self)
        # Not here: this may be inside a step's task, and the run's loop is driven from plain callbacks.
        self._host.soon(self.pump)

    def _take_messages(self) -> None:
        """Turn messages from outside into events, once replay is over."""
        if self.closed or self.replaying or self.ending.begun or not (self._hooks.has_messages or self._pausing.asked):
            return
        if self._pausing.take():
            self._unpause()
        self.steps.hold = self._pausing.asked
        if self._pausing.asked or self._rollback.wanted:
            return
        for event, value in self._hooks.take():
            self._deadlines.stop(event.key or "no key")
            self._complete(event, value)

    def _unpause(self) -> None:
        """The pause was taken back before it began: go on as if nobody had asked for it."""
        self.steps.go_on()
        for late in self._pausing.take_late():
            late()
        self._host.soon(self.pump)

    def _pause_when_quiet(self) -> None:
        self._take_messages()
        if self._pausing.asked and not self.steps.has_attempts:
            self.ending.pause(self._pausing.record)

    def _stop_all(self) -> None:
        self.steps.stop_all()
        self._deadlines.stop_all()

    # Recording.

    def _flush(self) -> None:
        if not self.closed and not self._pumping:
            self._recorder.flush()

    def _recorded(self, append: Append, verdict: Verdict) -> None:
        if self.closed:
            return
        if verdict is not None:
            if isinstance(verdict, LeaseLostError):
                log.warning("run %s is given up: %s", self.run.run_id, verdict)
            else:
                log.error("run %s cannot be recorded: %s", self.run.run_id, verdict)
            self.drop()
            self._host.ended(self, None)
            return
        if self._lifecycle is not None:
            self._lifecycle.recorded(append)
        if append.status in FINISHED or append.status in GIVEN_BACK:
            self.drop()
            self._host.ended(self, append)
            return
        if append.events and append.events[-1].type == "run_continued":
            self.drop()
            self._host.continued(self, append.events[-1])
            return
        at_work = self.steps.at_work
        if at_work and not self.ending.begun:
            self.steps.start_durable()
            if not self.steps.at_work:  # what was held back was given up meanwhile, and nothing else tells of it
                self._host.soon(self.pump)
        self._flush()
        if self.is_parked:
            self._host.parked(self)

    # The end.

    def _take_back(self) -> None:
        """All is undone that the rollback takes back: give the run to whoever takes it up from there."""
        error = self._rollback.failure()
        if error is not None:
            self._fail(error)
            return
        self.ending.take_back(rolled_back(self._rollback.to, True, self._rollback.anew))

    def _fail(self, error: BaseException) -> None:
        if not (self.ending.begun or self.closed):
            self.ending.fail(error)

    def _check_openings(self) -> None:
        for operation, opening in self._replay.check_openings(self.code.operations):
            self._openings.given_up(operation, opening)

    def _on_loop_exception(self, context: dict[str, Any]) -> None:
        if not self.closed:
            log.warning("run %s: %s", self.run.run_id, context.get("message"), exc_info=context.get("exception"))
