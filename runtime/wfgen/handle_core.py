"""What all operations of the handle share: the run, the check of where they are called, the identity."""

from __future__ import annotations

import sys
from asyncio import events as asyncio_events
from typing import TYPE_CHECKING, Any

from wfgen.errors import HandleError
from wfgen.names import MAX_STEP_NAME, is_step_name
from wfgen.operations import STEP_FORMS, Operation

if TYPE_CHECKING:
    from wfgen.execution import Execution

MAX_REFUSALS = 100
"""Calls that the handle of a dropped run refuses."""


class HandleCore:
    """The handle of one run, as far as each of its operations needs it."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._code = execution.code
        self._refusals = 0
        """How often it was asked for something after the run was dropped."""

    def _check_name(self, step: Any) -> None:
        self._check(step)
        if not isinstance(step, str) or not is_step_name(step):
            raise HandleError(
                f"{step!r:.80} cannot name a step.",
                hint=f"Use printable text of 1 to {MAX_STEP_NAME} characters.",
            )

    def _reserve(self, step: str, form: str, target: str | None = None) -> Operation:
        self._check_name(step)
        frame = sys._getframe(2 if form in STEP_FORMS else 3)
        return self._code.reserve(step, form, self._code.place(frame), target)

    def _check(self, what: str) -> None:
        closed = self._execution.closed
        if closed:
            # The run was dropped and its coroutines are being closed: clean-up code that asks for more ends here. Code
            # that catches even this and asks again would do so for ever: in the end it is left waiting.
            self._refusals += 1
            if self._refusals > MAX_REFUSALS:
                return
        if asyncio_events._get_running_loop() is not self._execution.loop:
            raise HandleError(
                f"the handle was used outside its workflow's own code ({what!r}).",
                hint="Inside a step, call the function itself, or `workers.<id>(...)`; other code has no handle.",
            )
        if closed:
            raise GeneratorExit
