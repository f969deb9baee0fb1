"""Taking a run back together with its effects: its steps are undone by their compensations first.

The request is recorded and delivered like a completion, behind all that the code has seen. From there on the code gets
nothing more; what was completed after the checkpoint is undone, the last first, and then the rollback is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from wfgen.compensations import BRANCH, Compensations, failure
from wfgen.errors import StepError
from wfgen.events import Event
from wfgen.loop import RunLoop
from wfgen.operations import Operation


class Rollback:
    """A rollback with compensations that was asked for and is not recorded yet, if there is one.

    Args:
        events: what counts of the run's history.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        requested = next((event for event in events if event.type == "rollback_requested"), None)
        self.wanted = requested is not None
        """Whether the run is to be taken back."""
        self.to: int = 0 if requested is None else requested.data["to"]
        """Seq of the checkpoint."""
        self.anew: list[str] = [] if requested is None else requested.data.get("anew", [])
        """Keys of the calls that begin anew."""
        self._undoing: asyncio.Task[dict[str, StepError]] | None = None

    @property
    def done(self) -> bool:
        """Whether all is undone, or has failed to be."""
        return self._undoing is not None and self._undoing.done()

    def begin(self, loop: RunLoop, compensations: Compensations) -> None:
        """Begin to undo what was completed after the checkpoint."""
        self._undoing = loop.create_task(compensations.run(self.to))

    def belongs(self, operation: Operation) -> bool:
        """Whether an operation may start: once undoing has begun, nothing else does."""
        return self._undoing is None or operation.key.startswith(f"{BRANCH}/")

    def failure(self) -> BaseException | None:
        """Why the run cannot be taken back; None if all is undone."""
        assert self._undoing is not None
        if self._undoing.cancelled():
            return asyncio.CancelledError()
        if (error := self._undoing.exception()) is not None:
            return error
        failed = self._undoing.result()
        if not failed:
            return None
        return failure(f"the run was to be rolled back to {self.to}", failed)
