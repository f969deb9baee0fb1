"""What counts of a run's history, the points to which it can be taken back, and where it goes on from there.

History is append-only: `rolled_back` and `run_retried` say up to which event it counts from then on. Everything here is
a function of a list of events; none changes what it is given.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wfgen.compensations import BRANCH as UNDO
from wfgen.compensations import retry_point
from wfgen.errors import CompensationError, RunStateError, RunTimeoutError
from wfgen.events import COMPLETIONS, OPENINGS, Event, EventType

STARTS = frozenset({"run_started", "run_continued"})
MARKERS = frozenset({"rolled_back", "run_retried"})
"""Events that undo those before them, back to `to`."""

FAILURES = frozenset({"step_failed", "hook_timed_out", "child_failed"})
"""Completions that raise an error in the code."""

_CONTROL = frozenset(
    {"run_claimed", "run_paused", "run_resumed", "rollback_requested", "rolled_back", "run_retried", "input_changed"}
)
"""Events that concern one run alone: a fork of it does not have them."""

_CLOSING = (f"{UNDO}/", "after/")
"""Keys of what runs once the code has ended."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point of a run to which it can be rolled back, and from which it can be forked."""

    seq: int
    """Of its event: what was recorded up to there counts."""
    type: str
    """Of its event: `run_started`, `step_completed`, `hook_resumed`, …"""
    key: str | None
    """The operation that was completed; None for a start."""
    name: str | None
    """Of the step; None for a start."""
    time: float
    """When it was recorded, in seconds since the epoch."""


def effective(events: Sequence[Event]) -> list[Event]:
    """The events that count, markers included; the last event always does."""
    kept: list[Event] = []
    for event in events:
        if event.type in MARKERS:
            while kept and kept[-1].seq > event.data["to"]:
                kept.pop()
            if anew := {event.data.get("step"), *event.data.get("anew", ())} - {None}:
                begin = _start(kept)
                kept[begin:] = [e for e in kept[begin:] if e.key not in anew or e.type not in OPENINGS]
            kept = _without_foreign(kept)
        kept.append(event)
    return kept


def _without_foreign(events: list[Event]) -> list[Event]:
    """Without what a fork was given as ended and is open again: that hook or child is the other run's, not its own."""
    seeds = events[0].data.get("seeds") if events else None
    if not seeds:
        return events
    _, last = seeds[-1]
    ended = {event.key for event in events if event.type in COMPLETIONS}
    return [event for event in events if event.seq > last or not _is_left_open(event, ended)]


def undone(events: Sequence[Event]) -> set[int]:
    """Seqs of the events that do not count any more."""
    counts = {event.seq for event in effective(events)}
    return {event.seq for event in events if event.seq not in counts}


def current_part(events: Sequence[Event]) -> list[Event]:
    """What counts since the run's last start: what a process that works it goes by."""
    kept = effective(events)
    return kept[_start(kept) :]


def _start(events: Sequence[Event]) -> int:
    """Index of the last start; 0 without one."""
    return next((index for index in range(len(events) - 1, -1, -1) if events[index].type in STARTS), 0)


def checkpoints(events: Sequence[Event], keep: int | None = None) -> list[Checkpoint]:
    """Where the run can be taken back to: its starts, and each completion that was delivered to its code.

    Args:
        events: the run's history.
        keep: how many, the last ones; None for all.
    """
    found = [
        Checkpoint(event.seq, event.type, event.key, event.key and step_name(event.key), event.time)
        for event in effective(events)
        if event.type in STARTS or _is_delivered(event)
    ]
    return found if keep is None else found[-keep:]


def step_name(key: str) -> str:
    """The step's name in an operation's key."""
    return key.partition("/")[2]


def _is_delivered(event: Event) -> bool:
    return (
        event.type in COMPLETIONS
        and event.key is not None
        and not event.key.startswith(_CLOSING)
        and not event.data.get("after_cancel")
    )


def check_checkpoint(events: Sequence[Event], seq: int, what: str, keep: int | None) -> None:
    """See that a run can be taken back to an event.

    Args:
        events: its history.
        seq: of the event.
        what: names the run in errors.
        keep: how many checkpoints are kept; None for all.

    Raises:
        RunStateError: it is no checkpoint, is not kept any more, or effects of steps before it have been undone.
    """
    found = checkpoints(events)
    place = next((place for place, checkpoint in enumerate(found) if checkpoint.seq == seq), None)
    if place is None:
        before = [checkpoint.seq for checkpoint in found if checkpoint.seq < seq]
        reason = "is undone" if seq in undone(events) else "is no checkpoint"
        raise RunStateError(
            f"event {seq} of {what} {reason}.",
            hint=f"The last one before it is {before[-1]}; `wfgen runs checkpoints` lists them."
            if before
            else "`wfgen runs checkpoints` lists those that there are.",
        )
    if keep is not None and place < len(found) - keep:
        raise RunStateError(
            f"checkpoint {seq} of {what} is not kept: only the last {keep} are, from {found[-keep].seq} on.",
            hint="The setting checkpoints_kept says how many are.",
        )
    back_to = undone_effects(events)
    if back_to is not None and seq > back_to:
        raise RunStateError(
            f"{what} has undone effects of steps that its history at {seq} counts as done.",
            hint=f"Go back to {back_to} or before, so that they are done again.",
        )


def undone_effects(events: Sequence[Event]) -> int | None:
    """Seq after which history has to be undone since compensations have run; None if none has."""
    kept = current_part(events)
    requested = next((event for event in kept if event.type == "rollback_requested"), None)
    if requested is not None:
        back_to: int = requested.data["to"]
        return back_to
    if any(event.type == "step_completed" and (event.key or "").startswith(f"{UNDO}/") for event in kept):
        return retry_point([event for event in kept if event.type != "run_failed"])
    return None


def check_compensation(events: Sequence[Event], to: int, what: str) -> None:
    """See that a run can undo its steps back to a checkpoint.

    Args:
        events: its history.
        to: seq of the checkpoint.
        what: names the run in errors.

    Raises:
        RunStateError: it is undoing its steps, or has done so; or the checkpoint lies before its last continuation.
    """
    part = current_part(events)
    if any(event.type in ("compensation_started", "rollback_requested") for event in part):
        raise RunStateError(
            f"{what} cannot undo its steps: it has begun to undo them already.",
            hint="Wait for that to end, and roll it back without compensations.",
        )
    if to < part[0].seq:
        raise RunStateError(
            f"{what} cannot undo its steps back to {to}: it was continued with a new input at {part[0].seq}.",
            hint=f"Roll it back to {part[0].seq} or later, or without compensations.",
        )


def rolled_back(to: int, compensated: bool, anew: Sequence[str] = ()) -> dict[str, Any]:
    """What `rolled_back` records: `compensated` when effects of what it takes back are undone.

    `anew` holds the keys of calls that begin anew, since their children were cancelled when the run ended.
    """
    return {"to": to, **({"compensated": True} if compensated else {}), **({"anew": list(anew)} if anew else {})}


def is_cancelling(events: Sequence[Event]) -> bool:
    """Whether a run that is not finished has heard that it is to stop."""
    return any(event.type == "cancel_requested" for event in current_part(events))


def open_children(events: Sequence[Event], type: EventType, data: dict[str, Any]) -> dict[str, str]:
    """The children of which a run does not know the end once a marker with this data counts: keys by run id."""
    last = events[-1]
    part = current_part([*events, Event(last.seq + 1, type, last.time, None, data)])
    ended = {event.key for event in part if event.type in COMPLETIONS}
    return {e.data["run_id"]: e.key for e in part if e.type == "child_started" and e.key and e.key not in ended}


def open_jobs(events: Sequence[Event], type: EventType, data: dict[str, Any]) -> dict[str, str]:
    """The same of the jobs that it awaits: keys by job id."""
    last = events[-1]
    part = current_part([*events, Event(last.seq + 1, type, last.time, None, data)])
    ended = {event.key for event in part if event.type in COMPLETIONS}
    return {
        e.data["job_id"]: e.key
        for e in part
        if e.type == "job_created" and e.data["awaited"] and e.key and e.key not in ended
    }


def retried_from(events: Sequence[Event], what: str) -> dict[str, Any]:
    """What `run_retried` records when a failed run is retried.

    `to` is the event up to which history counts. `step` names the operation whose error ended the run: what is recorded
    of it as open does not count either, so that its attempts, its deadline or its child begin anew.
    With `compensations` the run's own code is not retried, but the compensations that had failed.

    Args:
        events: the history of a run that has failed.
        what: names the run in errors.

    Raises:
        RunStateError: its steps were undone.
    """
    kept = current_part(events)
    failed = kept.pop()
    code = failed.data.get("code")
    if code == CompensationError.code:
        return {"to": _last(kept, lambda e: (e.key or "").startswith(f"{UNDO}/")).seq, "compensations": True}
    if (back_to := undone_effects(events)) is not None:
        raise RunStateError(
            f"{what} cannot be retried: its steps are undone already.",
            hint=f"Roll it back to {back_to}, fork it from there, or start a new one.",
        )
    if code == RunTimeoutError.code:
        return {"to": _last(kept, lambda e: e.type == "run_timed_out").seq - 1}
    step = failed.data.get("step")
    if step is not None and any(e.key == step and e.type in FAILURES for e in kept):
        return {"to": _last(kept, lambda e: e.key == step and e.type in FAILURES).seq - 1, "step": step}
    # Nothing recorded was to blame. What ran after the code's end belongs to an end that is taken back.
    return {"to": _last(kept, lambda e: not _closes(e)).seq}


def _closes(event: Event) -> bool:
    return (
        (event.key or "").startswith(_CLOSING)
        or bool(event.data.get("after_cancel"))
        or event.type == "compensation_started"
    )


def _last(events: Sequence[Event], fits: Any) -> Event:
    return next(event for event in reversed(events) if fits(event))


def marker(events: Sequence[Event]) -> Event | None:
    """The last event that took the run back, in what counts of its history."""
    return next((event for event in reversed(events) if event.type in MARKERS), None)


def is_first_part(events: Sequence[Event]) -> bool:
    """Whether these events begin where the run began, or the one it was forked from: not at a continuation."""
    return events[0].type == "run_started" and not events[0].data.get("continued")


def begun_at(events: Sequence[Event]) -> float:
    """When the timeout of a run began to count: at its start, or when it was last taken back or forked.

    In seconds since the epoch; `events` is what counts since its last start.
    """
    last = marker(events)
    if last is not None:
        return last.time
    forked: float = events[0].data.get("forked_time", events[0].time)
    return forked


def effects_origin(events: Sequence[Event], origin: str) -> str:
    """The text from which the idempotency keys of steps derive.

    It changes when effects were undone: what is done again then is another effect. A plain retry or rollback keeps it,
    since the effects still stand.
    """
    last = next((e for e in reversed(events) if e.type in MARKERS and e.data.get("compensated")), None)
    return origin if last is None else f"{origin}/{last.seq}"


def copied(events: Sequence[Event], at: int, run_id: str, origin: str, now: float) -> list[Event]:
    """The first events of a fork: what counts of a run up to one of its checkpoints, numbered from 1.

    What is open there is left out, so that the fork opens its own hooks and children and begins its own attempts;
    sleeps go on.

    Args:
        events: the history of the run.
        at: seq of the checkpoint.
        run_id: the run's id.
        origin: the text from which its random values derive, see `seeds`.
        now: when it is forked, in seconds since the epoch.
    """
    part = [event for event in effective(events) if event.seq <= at]
    part = part[_start(part) :]
    ended = {event.key for event in part if event.type in COMPLETIONS and event.key is not None}
    chosen = [event for event in part if event.type not in _CONTROL and not _is_left_open(event, ended)]
    number = {event.seq: place for place, event in enumerate(chosen, 1)}
    start = part[0]
    data = {
        **{name: value for name, value in start.data.items() if name in ("workflow", "version")},
        "forked_from": run_id,
        "forked_at": at,
        "forked_time": now,
        "seeds": [
            *([text, sum(event.seq <= last for event in chosen)] for text, last in start.data.get("seeds", [])),
            [origin, len(chosen)],
        ],
    }
    if not is_first_part(part):
        data["continued"] = True
    first = dataclasses.replace(start, seq=1, type="run_started", data=data)
    return [first, *(dataclasses.replace(event, seq=number[event.seq]) for event in chosen[1:])]


def _is_left_open(event: Event, ended: Collection[str | None]) -> bool:
    if event.type not in OPENINGS or event.key in ended:
        return False
    if event.type == "job_created" and not event.data["awaited"]:
        return False  # done, as far as the run goes: the job goes its own way
    return event.type != "timer_set" or event.key is None


def seed_origin(salt: str, first_seq: int) -> str:
    """The text from which the random values of one part of a run derive.

    A fork's history shows it, so it must not give away the salt, from which the hook tokens derive.
    """
    return hashlib.sha256(f"seeds/{salt}/{first_seq}".encode()).hexdigest()[:32]


def seeds(events: Sequence[Event], origin: str) -> Iterator[tuple[str, float]]:
    """The texts from which random values derive, each with the seq of the event from which on the next one is used.

    A fork has to see what the run before it saw, as far as its history is that of the other run.
    """
    yield from ((text, last) for text, last in events[0].data.get("seeds", []))
    yield origin, float("inf")
