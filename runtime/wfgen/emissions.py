"""What a run's code says on its way: events of its own, and how far it has come.

Each is recorded once, with the next commit. It has an identity as operations have, branch, name and occurrence, by
which a replay finds it recorded. What was said right before a crash, and not recorded, is said again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wfgen.codec import ANY, Codec
from wfgen.definitions import MISSING
from wfgen.errors import HandleError
from wfgen.events import COMPLETIONS, Event, EventType
from wfgen.names import MAX_STEP_NAME, is_step_name
from wfgen.recorder import Recorder

MAX_MESSAGE = 1000
"""Characters that are kept of a message about progress."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, by its own account."""

    done: float
    """What is done, in units of the workflow's choice."""
    total: float | None
    """Of how much; None if it is not known."""
    message: str | None
    time: float
    """When it was recorded, in seconds since the epoch."""

    @property
    def percent(self) -> float | None:
        """Share of what is done, 0 to 100; None without a total."""
        return None if not self.total else min(100.0, 100.0 * self.done / self.total)

    @classmethod
    def last(cls, events: Iterable[Event]) -> Progress | None:
        """What the last of these events says; None if none does."""
        found = [event for event in events if event.type == "progress"]
        if not found:
            return None
        data = found[-1].data
        return cls(data["done"], data["total"], data["message"], found[-1].time)


class Emissions:
    """Records what the code of one run says.

    Args:
        recorder: where it is recorded.
        codec: encodes data.
        events: what is recorded of the run already.
    """

    def __init__(self, recorder: Recorder, codec: Codec, events: Iterable[Event]) -> None:
        self._recorder = recorder
        self._codec = codec
        self._recorded: set[tuple[str, str | None]] = set()
        self.ahead = False
        """Whether something is recorded after the last completion."""
        for event in events:
            if event.type in ("emitted", "progress"):
                self._recorded.add((event.type, event.key))
                self.ahead = True
            elif event.type in COMPLETIONS:
                self.ahead = False
        self._counts: Counter[tuple[str, str]] = Counter()
        self._given: set[tuple[str, str]] = set()

    def emit(self, branch: str, event: str, data: Any, place: str) -> None:
        """Record an event of the workflow's own, unless it is recorded."""
        if not isinstance(event, str) or not is_step_name(event):
            raise HandleError(
                f"{event!r:.80} cannot name an event.", hint=f"Use printable text of 1 to {MAX_STEP_NAME} characters."
            )
        key = self._reserve("emitted", branch, f"emit:{event}")
        if key is None:
            return
        details: dict[str, Any] = {"event": event, "at": place}
        payload = None
        if data is not MISSING:
            payload, _, recorded = self._codec.record(data, ANY, f"the data of event {event!r} ({place})")
            if recorded is not None:
                details["type"] = recorded
        self._recorder.record("emitted", None, details, payload, key=key)

    def progress(self, branch: str, done: float, total: float | None, message: str | None, place: str) -> None:
        """Record how far the run has come, unless it is recorded."""
        for what, number in (("done", done), ("total", total)):
            if number is None and what == "total":
                continue
            if not isinstance(number, int | float) or not 0 <= number <= sys.float_info.max:
                raise HandleError(
                    f"progress ({place}): {what}={number!r:.80} is no amount.", hint="Give a number of 0 or more."
                )
        if message is not None and not isinstance(message, str):
            raise HandleError(f"progress ({place}): the message {message!r:.80} is no text.", hint="Give a string.")
        key = self._reserve("progress", branch, "progress")
        if key is not None:
            details = {"done": done, "total": total, "message": message and message[:MAX_MESSAGE], "at": place}
            self._recorder.record("progress", None, details, key=key)

    def _reserve(self, type: EventType, branch: str, name: str) -> str | None:
        """The identity of what is said now; None if it is recorded."""
        self._counts[branch, name] += 1
        count = self._counts[branch, name]
        key = f"{branch}/{name}" if count == 1 else f"{branch}/{name}#{count}"
        while (type, key) in self._given:  # an event that is really called `name#2`
            count += 1
            key = f"{branch}/{name}#{count}"
        self._given.add((type, key))
        return None if (type, key) in self._recorded else key
