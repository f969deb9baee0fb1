"""Where each step of a run stands: from what is recorded, and from the steps that its workflow's source has.

The start of an attempt is recorded only for steps that run at most once: a commit before each step would cost as much
as the one after it. So which steps are at work is known to the process that works the run; seen from elsewhere, a step
of the graph that has begun and recorded nothing yet is `pending`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from wfgen.checkpoints import current_part, undone
from wfgen.events import COMPLETIONS, OPENINGS, Event
from wfgen.store.records import FINISHED

if TYPE_CHECKING:
    from wfgen.graph import Graph, GraphStep
    from wfgen.operations import Operation

StepStatus = Literal["pending", "running", "waiting", "completed", "failed", "cancelled", "undone", "skipped"]
"""`pending`: the source has it, and nothing is recorded of it; `waiting`: for its time, a payload, child or job, or its
next attempt; `cancelled`: the code gave it up, or the run ended before it; `undone`: the run was taken back to before
it; `skipped`: the run has ended without it."""

_OF_STEPS = COMPLETIONS | OPENINGS
_FAILED = frozenset({"step_failed", "hook_timed_out", "child_failed"})
_OCCURRENCE = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class StepState:
    """A step of a run; of those that were not reached, one for each place in the source."""

    name: str
    """Its name; `<dynamic>` of one that was not reached and is named at run time."""
    status: StepStatus
    form: str
    """`rpc`, `inline`, `sleep`, `hook`, …"""
    key: str | None = None
    """Its identity in the run, such as `0.1/charge#2`; None if it was not reached."""
    target: str | None = None
    """The worker's id or the child's workflow."""
    place: str | None = None
    """`file:line`, where it was called or stands in the source."""
    attempts: int = 0
    """Attempts that are recorded, the one at work included if it is known."""
    started_at: float | None = None
    """When its first attempt began, or it was set, in seconds since the epoch; of a step that is at work and has
    recorded nothing None."""
    ended_at: float | None = None
    """When its end was recorded, in seconds since the epoch."""
    due: float | None = None
    """Waiting: until when at the latest, in seconds since the epoch."""
    error: str | None = None
    """What its last failed attempt raised."""
    queue: str | None = None
    """Of a step that is, or was, a job: its queue."""
    job_id: str | None = None
    """The same: the job's id. The job knows more: whether a process works it, attempts that have failed, progress."""

    @property
    def duration(self) -> float | None:
        """Seconds from the start of its first attempt to its end; None while it is open."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.started_at)


def base_name(key: str) -> str:
    """The step's name in an operation's key, without its occurrence."""
    return _OCCURRENCE.sub("", key.partition("/")[2])


def step_states(
    events: Sequence[Event], status: str, graph: Graph | None = None, at_work: Collection[Operation] = ()
) -> list[StepState]:
    """The steps of a run: those that were reached, in that order, then the others of its graph, in source order.

    Of a run that was continued with another input, those since then.

    Args:
        events: its whole history.
        status: the run's.
        graph: the steps that its source has; None if it is not known.
        at_work: operations of which the process that works the run knows that they are at work.
    """
    gone = undone(events)
    begins = current_part(events)[0].seq
    counting: dict[str, StepState] = {}
    replaced: dict[str, StepState] = {}
    for event in events:
        if event.seq < begins or event.key is None or event.type not in _OF_STEPS:
            continue
        states = replaced if event.seq in gone else counting
        states[event.key] = _after(event, states.get(event.key))
    for operation in at_work:
        known = counting.get(operation.key, _new(operation.key, operation.form, operation.target, operation.place))
        if known.ended_at is None:
            counting[operation.key] = replace(known, status="running", attempts=known.attempts + 1, due=None)
    ended = status in FINISHED
    reached = [replace(one, status="undone", due=None) for key, one in replaced.items() if key not in counting]
    reached += [_ended(state) if ended else state for state in counting.values()]
    return reached + [
        _unreached(step, "skipped" if ended else "pending")
        for step in (graph.steps if graph is not None else ())
        if not any(_is_of(state, step) for state in counting.values())
    ]


def _after(event: Event, before: StepState | None) -> StepState:
    assert event.key is not None
    data = event.data
    if before is None:
        before = _new(event.key, data.get("form", ""), data.get("target"), data.get("at"))
    error = _error(data)
    if event.type == "job_created":
        before = replace(before, queue=data["queue"], job_id=data["job_id"])
    attempts = max(before.attempts, data.get("attempt", 0))
    first = min(data.get("began", event.time), data.get("started_at", event.time))
    started = first if before.started_at is None else min(before.started_at, first)
    if event.type not in COMPLETIONS and data.get("awaited", True):
        opened: StepStatus = "running" if event.type == "step_started" else "waiting"
        due = data.get("next_at", data.get("due"))
        return replace(before, status=opened, attempts=attempts, started_at=started, due=due, error=error)
    status: StepStatus = "completed"
    if event.type in _FAILED:
        status = "cancelled" if data.get("after_cancel") else "failed"
    return replace(
        before, status=status, attempts=attempts, started_at=started, ended_at=event.time, due=None, error=error
    )


def _new(key: str, form: str, target: str | None, place: str | None) -> StepState:
    return StepState(base_name(key), "pending", form, key=key, target=target, place=place)


def _error(data: dict[str, Any]) -> str | None:
    kind = data.get("error_type")
    return None if kind is None else f"{kind}: {data.get('error')}"


def _ended(state: StepState) -> StepState:
    """An open step of a run that has ended."""
    is_open = state.status in ("running", "waiting")
    return replace(state, status="cancelled", due=None) if is_open else state


def _is_of(state: StepState, step: GraphStep) -> bool:
    """Whether an operation is one of a step of the source."""
    branch = (state.key or "").partition("/")[0]
    return branch not in ("before", "after", "undo") and step.fits(state.form, state.name, state.target)


def _unreached(step: GraphStep, status: StepStatus) -> StepState:
    return StepState(step.name or "<dynamic>", status, step.form, target=step.target, place=step.place)
