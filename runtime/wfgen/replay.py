"""What is recorded of a run and not yet reproduced by its code."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from wfgen.definitions import MISSING
from wfgen.divergence import divergence, reproduces
from wfgen.errors import DivergenceError
from wfgen.events import COMPLETIONS, OPENINGS, Event
from wfgen.operations import Operation
from wfgen.store.records import RunRecord

_IDS = {"hook_created": "token", "child_started": "run_id", "job_created": "job_id"}


class Replay:
    """The completions that are still to be delivered, in recorded order, and the operations recorded as open.

    Args:
        run: the run.
        events: all that is recorded of it since its last start.
        source: `file:line` of the workflow, as it is shown.
    """

    def __init__(self, run: RunRecord, events: Sequence[Event], source: str) -> None:
        self._run = run
        self._source = source
        self.deliveries: deque[tuple[Event, Any]] = deque(
            (event, MISSING) for event in events if event.type in COMPLETIONS
        )
        """Completions in the order of their record, with their decoded values where they are at hand."""
        self._left = len(self.deliveries)
        self.openings = {event.key: event for event in events if event.type in OPENINGS}
        """What was recorded of operations that are still open: deadlines, attempts."""
        self.deadline = self.openings.pop(None, None)
        """What was recorded of the timeout of the whole run."""
        for event, _ in self.deliveries:
            self.openings.pop(event.key, None)
        self.ids: dict[str | None, str] = {
            event.key: event.data[_IDS[event.type]] for event in events if event.type in _IDS
        }
        """Tokens of hooks and ids of child runs and jobs, by key, as they were recorded."""
        self.patches = {event.data["id"]: True for event in events if event.type == "patched"}
        """Answers of `patched`, by id."""
        self.changed_inputs = {event.key for event in events if event.type == "input_changed"}
        """Steps of which a changed input is recorded already."""

    @property
    def replaying(self) -> bool:
        """Whether recorded completions are still to be delivered."""
        return self._left > 0

    @property
    def cancels(self) -> bool:
        """Whether a request to cancel is still to be delivered."""
        return any(event.type == "cancel_requested" for event, _ in self.deliveries)

    def next(self) -> tuple[Event, Any]:
        """Take the completion that is delivered next."""
        if self._left:
            self._left -= 1
        return self.deliveries.popleft()

    def check_rest(self, operations: Mapping[str, Operation]) -> None:
        """The code is at its end: whatever completion is left must belong to what it asked for.

        Raises:
            DivergenceError: one does not.
        """
        for event, _ in self.deliveries:
            if event.key is not None and not reproduces(operations.get(event.key), event):
                raise self.divergence(event, operations)

    def check_openings(self, operations: Mapping[str, Operation]) -> list[tuple[Operation, Event]]:
        """All completions are delivered: what was recorded as open must have been asked for again.

        Returns the operations that the code has asked for and given up since, with what is recorded of them.

        Raises:
            DivergenceError: one was not asked for.
        """
        given_up = []
        for key, event in list(self.openings.items()):
            assert key is not None
            operation = operations.get(key)
            if operation is None or not reproduces(operation, event):
                raise self.divergence(event, operations)
            if operation.future.done():
                del self.openings[key]
                given_up.append((operation, event))
        return given_up

    def divergence(self, event: Event, operations: Mapping[str, Operation]) -> DivergenceError:
        """The error for a recorded event that today's code does not reproduce."""
        asked = [operation for operation in operations.values() if operation.asked and not operation.future.done()]
        later = {later.key for later, _ in self.deliveries}
        return divergence(self._run, event, operations.get(event.key or ""), asked, later, self._source)
