"""Known bugs, to see that the simulation finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wfgen import checkpoints
from wfgen.claims import Claims
from wfgen.hooks import OpenHooks
from wfgen.pausing import Pausing
from wfgen.recorder import Recorder
from wfgen.replay import Replay
from wfgen.step_runner import StepRunner
from wfgen.steps import OpenSteps
from wfgen.store.sqlite import control
from wfgen.store.sqlite.claiming import Claiming
from wfgen.store.sqlite.jobs import JobTransitions
from wfgen.store.sqlite.transitions import Transitions

Mutation = Callable[[pytest.MonkeyPatch], None]


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """Whoever wrote to a run once may go on."""
    verify = Transitions._verify

    def lenient(self: Any, run_id: str, epoch: int) -> Any:
        (current,) = self._connection.execute("SELECT epoch FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        self._connection.execute("UPDATE runs SET owner = 'anybody' WHERE run_id = ? AND owner IS NULL", (run_id,))
        return verify(self, run_id, current)

    patch.setattr(Transitions, "_verify", lenient)


def steps_of_a_lapsed_lease(patch: pytest.MonkeyPatch) -> None:
    """A process that stood still begins what it was about to begin."""
    init = StepRunner.__init__

    def careless(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        self._holds = lambda: True

    patch.setattr(StepRunner, "__init__", careless)


def start_before_durable(patch: pytest.MonkeyPatch) -> None:
    """A step begins while what it follows from is being written."""
    ask = OpenSteps.ask

    def eager(self: Any, operation: Any, opening: Any) -> None:
        ask(self, operation, opening)
        self._held[-1] = (0, *self._held[-1][1:])

    patch.setattr(OpenSteps, "ask", eager)


def out_of_order(patch: pytest.MonkeyPatch) -> None:
    """A replay delivers the last completion first."""

    def backwards(self: Any) -> Any:
        if self._left:
            self._left -= 1
        return self.deliveries.pop()

    patch.setattr(Replay, "next", backwards)


def messages_stay(patch: pytest.MonkeyPatch) -> None:
    """A message that was answered is left in the inbox."""
    append = Transitions.append

    def forgetful(self: Any, what: Any) -> None:
        consumed, what.consumed = what.consumed, []
        append(self, what)
        what.consumed = consumed

    patch.setattr(Transitions, "append", forgetful)


def messages_unseen(patch: pytest.MonkeyPatch) -> None:
    """A run in progress does not hear of its messages."""
    patch.setattr(OpenHooks, "receive", lambda self, message: None)


def time_goes_back(patch: pytest.MonkeyPatch) -> None:
    """Events have the time of the clock, whatever came before."""
    record = Recorder.record

    def naive(self: Any, *arguments: Any, **options: Any) -> Any:
        self._latest = 0.0
        return record(self, *arguments, **options)

    patch.setattr(Recorder, "record", naive)


def acknowledged_too_soon(patch: pytest.MonkeyPatch) -> None:
    """Events are told to be recorded, and some are not."""
    flush = Transitions.flush

    def leaky(self: Any) -> None:
        self._events[:] = [row for row in self._events if row[2] != "step_completed" or row[1] % 7]
        flush(self)

    patch.setattr(Transitions, "flush", leaky)


def never_claims_again(patch: pytest.MonkeyPatch) -> None:
    """A run of which the record failed is not given back."""
    patch.setattr(Claims, "release", lambda self, run_id, epoch, *waiting: None)


def pauses_go_on(patch: pytest.MonkeyPatch) -> None:
    """A run that is taken up from a pause does not say so."""
    patch.setattr(Pausing, "begin", lambda self: None)


def forks_begin_too_soon(patch: pytest.MonkeyPatch) -> None:
    """A fork begins before the checkpoint."""
    patch.setattr(control, "copied", lambda events, at, *origin: checkpoints.copied(events, at - 1, *origin))


def parked_for_good(patch: pytest.MonkeyPatch) -> None:
    """A run that left memory is due when it was to go on by itself, whatever came meanwhile."""
    release = Claiming.release
    patch.setattr(Claiming, "release", lambda self, run, epoch, at, seen: release(self, run, epoch, at, 1 << 60))


def jobs_without_fence(patch: pytest.MonkeyPatch) -> None:
    """Whoever had a job once may end it."""

    def lenient(self: Any, job_id: str, epoch: int) -> int:
        (job,) = self._connection.execute("SELECT job FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        return int(job)

    patch.setattr(JobTransitions, "_held", lenient)


def jobs_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What a dead process worked stays its own."""
    patch.setattr(JobTransitions, "abandon", lambda self, process_id, says_goodbye: None)


def jobs_begun_twice(patch: pytest.MonkeyPatch) -> None:
    """A job that runs at most once goes back on its queue."""
    end_all = JobTransitions._end_all

    def spared(self: Any, which: str, *arguments: Any) -> None:
        if "at_most_once" not in which:
            end_all(self, which, *arguments)

    patch.setattr(JobTransitions, "_end_all", spared)


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        no_fencing,
        steps_of_a_lapsed_lease,
        start_before_durable,
        out_of_order,
        messages_stay,
        messages_unseen,
        time_goes_back,
        acknowledged_too_soon,
        never_claims_again,
        pauses_go_on,
        forks_begin_too_soon,
        parked_for_good,
        jobs_without_fence,
        jobs_forgotten,
        jobs_begun_twice,
    )
}
