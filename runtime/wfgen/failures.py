"""Errors of steps: how a recorded one comes back, and those that a run has gone on from (`workflow.errors`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from wfgen.codec import ANY
from wfgen.definitions import MISSING
from wfgen.errors import (
    JobDiscardedError,
    JobExpiredError,
    SerializationError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
)
from wfgen.events import Event
from wfgen.operations import Operation

_KINDS: dict[str, type[StepError]] = {
    "timed_out": StepTimeoutError,
    "interrupted": StepInterruptedError,
    "expired": JobExpiredError,
    "discarded": JobDiscardedError,
}
"""Errors by what a `step_failed` event says of how it came to that."""


def recorded_error(operation: Operation, event: Event) -> StepError:
    """The error that a `step_failed` event stands for: the same in every replay."""
    data = event.data
    kind = next((kind for mark, kind in _KINDS.items() if data.get(mark)), StepError)
    partial = None
    if event.payload is not None:
        what = f"what {operation!r} reported"
        partial = operation.execution.codec.load(event.payload, ANY, data.get("type"), what)
    return kind(
        operation.name,
        data["error_type"],
        data["error"],
        attempts=data["attempt"],
        key=operation.key,
        form=operation.form,
        target=operation.target,
        input=_input_of(operation),
        partial=partial,
    )


def _input_of(operation: Operation) -> Any:
    try:
        return None if operation.data is MISSING else operation.input_copy()
    except SerializationError:  # then the step has failed of that: what is encoded does not load again
        return None


class Failures(Sequence[StepError]):
    """Errors that did not end the run, in the order in which they were delivered; each is there once."""

    def __init__(self) -> None:
        self._errors: list[StepError] = []
        self._seen: set[int] = set()

    def add(self, error: StepError) -> StepError:
        """Keep an error, and give it back."""
        if id(error) not in self._seen:
            self._seen.add(id(error))
            self._errors.append(error)
        return error

    @overload
    def __getitem__(self, index: int) -> StepError: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StepError]: ...
    def __getitem__(self, index: int | slice) -> StepError | Sequence[StepError]:
        return self._errors[index]

    def __len__(self) -> int:
        return len(self._errors)

    def __iter__(self) -> Iterator[StepError]:
        return iter(self._errors)

    def __repr__(self) -> str:
        return repr(self._errors)
