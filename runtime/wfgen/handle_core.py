"""What all operations of the handle share: the run, the check of where they are called, the identity."""

from __future__ import annotations

import sys
from asyncio import events as asyncio_events
from typing import TYPE_CHECKING, Any

from wfgen.errors import HandleError
from wfgen.names import MAX_STEP_NAME, is_step_name
from wfgen.operations import CHILD_FORMS, HOOK_FORMS, Operation

if TYPE_CHECKING:
    from wfgen.execution import Execution


class HandleCore:
    """The handle of one run, as far as each of its operations needs it."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def _check_name(self, step: Any) -> None:
        self._check(step)
        if not isinstance(step, str) or not is_step_name(step):
            raise HandleError(
                f"{step!r:.80} cannot name a step.",
                hint=f"Use printable text of 1 to {MAX_STEP_NAME} characters.",
            )

    def _reserve(self, step: str, form: str, **details: Any) -> Operation:
        self._check_name(step)
        frame = sys._getframe(3 if form in HOOK_FORMS or form in CHILD_FORMS else 2)
        return self._execution.reserve(step, form, frame.f_code.co_filename, frame.f_lineno, **details)

    def _check(self, what: str) -> None:
        if self._execution.closed:
            # The run was dropped and its coroutines are being closed: clean-up code that asks for more ends here.
            raise GeneratorExit
        if asyncio_events._get_running_loop() is not self._execution.loop:
            raise HandleError(
                f"the handle was used outside its workflow's own code ({what!r}).",
                hint="Inside a step, call the function itself, or `workers.<id>(...)`; other code has no handle.",
            )
