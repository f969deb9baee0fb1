"""A run's history as people and programs look at it: its events, with what follows from those around them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wfgen.checkpoints import undone
from wfgen.events import Event, EventType


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event of a run."""

    seq: int
    """Position in the run, from 1, without gaps."""
    time: float
    """When it was recorded, in seconds since the epoch."""
    type: EventType
    key: str | None
    """The operation that it belongs to, such as `0.1/charge#2`: branch, name, occurrence."""
    step: str | None
    """The operation's name and occurrence, such as `charge#2`."""
    form: str | None
    """`rpc`, `inline`, `sleep`, `hook`, …"""
    attempt: int | None
    """Steps: the number of the attempt, from 1."""
    process: str | None
    """Id of the process that held the run then; None before one took it up."""
    duration: float | None
    """Ends of steps: seconds that the last attempt took."""
    is_undone: bool
    """Whether it does not count any more: the run was taken back to before it."""
    data: dict[str, Any]
    """What else is recorded, see the table in `wfgen.events`."""
    payload: Any
    """The input, result or payload as plain JSON values; None for none."""
    input: Any
    """Ends of steps: what the step was given, as plain JSON values; None without input, and unless the setting
    `record_inputs` is on."""


def entries(events: Sequence[Event]) -> list[HistoryEntry]:
    """The whole history of a run as entries.

    Args:
        events: all of its events, from the first one on.
    """
    gone = undone(events)
    process: str | None = None
    found = []
    for event in events:
        data = event.data
        process = data.get("process", process)
        started_at = data.get("started_at")
        found.append(
            HistoryEntry(
                seq=event.seq,
                time=event.time,
                type=event.type,
                key=event.key,
                step=None if event.key is None else event.key.partition("/")[2],
                form=data.get("form"),
                attempt=data.get("attempt"),
                process=process,
                duration=None if started_at is None else max(0.0, event.time - started_at),
                is_undone=event.seq in gone,
                data=data,
                payload=None if event.payload is None else json.loads(event.payload),
                input=json.loads(data["given"]) if "given" in data else None,
            )
        )
    return found
