"""What a worker is told of the attempt that it works, and what it may say back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, cast

from wfgen.contexts import Ctx_co
from wfgen.ids import RunId
from wfgen.logs import Logger, StandardLogger

if TYPE_CHECKING:
    from wfgen.codec import Codec


class Attempt:
    """One attempt at a step: what its function has reported so far, and whether it is over.

    Args:
        codec: encodes reports; None outside an engine: reports are kept as they are.
        what: names the step in errors.
    """

    __slots__ = ("codec", "last", "over", "what")

    def __init__(self, codec: Codec | None = None, what: str = "a job") -> None:
        self.codec = codec
        self.what = what
        self.over = False
        self.last: tuple[Any, str | None] | None = None
        """What was reported last, encoded, and its class as `module:qualname`, if it is recorded."""

    def report(self, value: Any) -> None:
        """Keep a value in place of the last one; encoded at once, so that later changes to it do not count."""
        if self.codec is None:
            self.last = (value, None)
        else:
            encoded, _, recorded = self.codec.record(value, Any, f"what {self.what} reports")
            self.last = (encoded, recorded)


@dataclass(frozen=True, slots=True)
class Job(Generic[Ctx_co]):
    """What a worker may ask for by annotation: `async def charge(order: Order, job: Job) -> Receipt`.

    `Job[Shop]` says of which type its context is.
    """

    run_id: RunId
    step: str
    """Name of the step that it works."""
    key: str
    """The step's identity within its run."""
    attempt: int
    """From 1."""
    idempotency_key: str = ""
    """Send it to whatever must not happen twice, such as a payment: it is the same in each attempt at this step, also
    after a crash or in another process. It is what `do` was given, or derives from the run and the step."""
    context: Ctx_co = field(default=cast("Ctx_co", None))
    """The run's context: what the workflow's context factory made, or the process's dependencies."""
    log: Logger = field(default_factory=lambda: StandardLogger("wfgen.step"), repr=False, compare=False)
    """A logger that carries the ids of run, step and attempt."""
    _attempt: Attempt = field(default_factory=Attempt, repr=False, compare=False)

    def report(self, value: Any) -> None:
        """Say how far the step has come; may be called from its thread, as often as it likes.

        If the attempt fails for good, the last value is recorded with the failure: `StepError.partial`. Otherwise it is
        forgotten. Of a step on a queue it is also kept with the job, about once a second, for whoever looks.

        Args:
            value: anything that can be recorded as a result that has no declared type.

        Raises:
            SerializationError: it cannot be recorded.
        """
        self._attempt.report(value)

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for this attempt any more: it took too long, or its run was cancelled.

        A plain function cannot be stopped from outside. One that takes long looks here and returns.
        """
        return self._attempt.over
