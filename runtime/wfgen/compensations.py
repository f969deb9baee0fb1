"""The saga of a run: what is to be undone if it does not succeed, and undoing it.

Each undo step is an operation of its own under the branch `undo`, with retries, and recorded like any other: keys are
`undo/<name>`. They run one after the other, the last registered first. A step that was given `compensate=` registers
its undo when its completion is delivered, `workflow.compensate` at once; both follow from what is recorded, so a replay
registers the same.

An undo step that fails for good stops none of the others. When the run is retried, those that have failed run again,
as operations of their own (`undo/<name>#2`): what is recorded as undone is never undone again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wfgen.errors import CompensationError, StepError
from wfgen.events import Event
from wfgen.operations import Operation, wait_for_operation

BRANCH = "undo"


@dataclass(frozen=True, slots=True)
class Compensation:
    """A registered undo step."""

    name: str
    """Of the undo step."""
    prepare: Callable[[], Operation]
    """Makes the operation that undoes, under a new key each time."""
    seq: int
    """Seq of the event that registered it: the step's completion, or what was delivered last before `compensate`."""
    back_to: int
    """Seq after which history has to be undone for the undone effect to come about again."""


class Compensations:
    """The undo steps of a run, in the order of their registration.

    Args:
        rounds: how often the failed ones are tried: once, and once more for each time that the run was retried.
    """

    def __init__(self, rounds: int = 1) -> None:
        self._stack: list[Compensation] = []
        self._rounds = rounds
        self.wanted = False
        """Whether the code has ever asked for one, also for a step that has not completed yet."""

    def register(self, compensation: Compensation) -> None:
        """Add one on top; its `seq` is not below that of those before it."""
        self.wanted = True
        self._stack.append(compensation)

    def above(self, seq: int = 0) -> Sequence[Compensation]:
        """Those registered by events after `seq`, in the order in which they would run."""
        return [compensation for compensation in reversed(self._stack) if compensation.seq > seq]

    async def run(self, above: int = 0) -> dict[str, StepError]:
        """Undo what events after `above` have registered, the last first, and forget it.

        To be awaited in the run's main branch.

        Returns:
            The errors of those that have failed, by the key of the failed step; empty if all is undone.
        """
        left = list(self.above(above))
        del self._stack[len(self._stack) - len(left) :]
        failed: dict[str, StepError] = {}
        for _ in range(self._rounds):
            failed.clear()
            again = []
            for compensation in left:
                operation = compensation.prepare()
                try:
                    await wait_for_operation(operation)
                except StepError as error:
                    failed[operation.key] = error
                    again.append(compensation)
            left = again
        return failed


def failure(what: str, failed: dict[str, StepError]) -> CompensationError:
    """The error of a run whose compensations have failed.

    Args:
        what: why they ran.
        failed: errors of undo steps, by key.
    """
    named = "; ".join(f"{key}: {error.error_type}: {error.error}" for key, error in failed.items())
    count = "a compensation" if len(failed) == 1 else f"{len(failed)} compensations"
    return CompensationError(
        f"{what}, and {count} failed: {named}.",
        hint="What they were to undo still stands. Mend the cause and retry the run: it goes on with them.",
    )


def retried(events: Sequence[Event]) -> int:
    """How often the run was retried for compensations that had failed, by the events that count of it."""
    return sum(event.type == "run_retried" and bool(event.data.get("compensations")) for event in events)


def retry_point(events: Sequence[Event]) -> int | None:
    """Where a run that has compensated goes on when it is retried.

    Args:
        events: what counts of its history, its end included.

    Returns:
        The seq after which history is undone; None if the run has not begun to compensate. With failed compensations
        it is that of the last undo step: `run_retried` then carries `compensations: true`, and the failed ones run
        again. If all was undone, it is before the first step that was, and the run does it anew.
    """
    started = next((event for event in reversed(events) if event.type == "compensation_started"), None)
    if started is None:
        return None
    undone = [e for e in events if e.seq > started.seq and e.key is not None and e.key.startswith(f"{BRANCH}/")]
    if any(event.type == "run_failed" and event.data.get("code") == CompensationError.code for event in events):
        return undone[-1].seq
    back_to: int = started.data["back_to"]
    return back_to
