"""Pausing a run that is being worked: nothing new begins, what is at work ends and is recorded, then it is given back.

Until it is, the pause can be taken back: timers that came due meanwhile are kept, and what was recorded is delivered
then. Afterwards the run is as if its process had ended there: whoever takes it up goes on at that point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wfgen.events import Event
from wfgen.hooks import OpenHooks
from wfgen.recorder import Recorder


class Pausing:
    """Whether a run is to be paused.

    Args:
        recorder: where pauses are recorded.
        hooks: hold the run's inbox.
        events: what counts of the run's history.
    """

    def __init__(self, recorder: Recorder, hooks: OpenHooks, events: Sequence[Event]) -> None:
        self._is_wanted = False
        """Whether somebody has asked for a pause."""
        self._is_leaving = False
        """Whether the process gives its runs back."""
        self._recorder = recorder
        self._hooks = hooks
        self._answered: list[int] = []
        """Ids of messages that are answered when the pause is recorded, or taken back."""
        self._late: list[Callable[[], None]] = []
        turns = [event.type for event in events if event.type in ("run_paused", "run_resumed")]
        self._is_recorded = bool(turns) and turns[-1] == "run_paused"
        """Whether the run is taken up from a pause, by a message that ends it."""

    @property
    def asked(self) -> bool:
        """Whether nothing new may begin."""
        return self._is_wanted or self._is_leaving

    def leave(self) -> None:
        """Give the run back without a pause, as soon as nothing is at work."""
        self._is_leaving = True

    def begin(self) -> None:
        """The run is taken up: a pause ends before anything else is recorded, be it the run's end."""
        if self._is_recorded:
            self._is_recorded = False
            self._recorder.record("run_resumed", None, {})

    def take(self) -> bool:
        """Read what the inbox says about pausing; True if a pause ends that was asked for here.

        A request to cancel the run ends it as well.
        """
        was_wanted = self._is_wanted
        for message in self._hooks.take_controls():
            self._is_wanted = message.kind == "pause"
            self._answered.append(message.id)
        if self._hooks.has_cancel:
            self._is_wanted = False
        if self._is_wanted:
            return False
        if self._answered:
            self._answer()
        return was_wanted and not self._is_leaving

    def keep(self, late: Callable[[], None]) -> None:
        """Keep a timer that has come due until the pause is taken back."""
        self._late.append(late)

    def take_late(self) -> list[Callable[[], None]]:
        """The timers that came due during the pause."""
        late, self._late = self._late, []
        return late

    def record(self) -> None:
        """Nothing is at work any more: record the pause; it ends this process's work on the run."""
        if self._is_wanted:
            self._recorder.record("run_paused", None, {})
            self._recorder.set_status("paused")
        else:
            self._recorder.set_status("pending")
        self._answer()

    def _answer(self) -> None:
        self._recorder.outgoing.consumed += self._answered
        self._answered = []
