"""A durable operation: what the workflow's code asked for, and where it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wfgen.codec import ANY, adapter, annotations_of
from wfgen.definitions import MISSING, WorkerDefinition
from wfgen.errors import InvalidInputError
from wfgen.ids import HookToken, JobId, RunId
from wfgen.job_ref import JobRef
from wfgen.retry import ONCE, Retry
from wfgen.step_options import OnError, check_once
from wfgen.targets import Target
from wfgen.work import Part, Work

if TYPE_CHECKING:
    from wfgen.codec import Codec
    from wfgen.events import Event
    from wfgen.execution import Execution
    from wfgen.store.records import NewRun
    from wfgen.surroundings import Surroundings

STEP_FORMS = frozenset({"rpc", "inline"})
HOOK_FORMS = frozenset({"hook", "create_hook"})
CHILD_FORMS = frozenset({"call", "start"})


class ContinueAsNew(BaseException):
    """Ends a run's code so that it starts again. Not an Exception, so that `except Exception` lets it through.

    Attributes:
        input: encoded; None without one.
    """

    def __init__(self, input: bytes | None) -> None:
        super().__init__("the run continues with a new input")
        self.input = input


class Operation(Work):
    """One call of `do`, `sleep`, `hook`, … of a run. What asks for it sets what it is about.

    Attributes:
        key: its identity in the run: branch, name, occurrence; such as `0/charge` or `0.1/charge#2`.
        form: `rpc`, `inline`, `sleep`, `sleep_until`, `hook`, `create_hook`, `call` or `start`.
        target: form rpc: the worker's id; call and start: the workflow's name.
        place: `file:line` of the call.
        future: what the workflow's code waits on; lives on the run's loop.
        asked: whether the code waits for it (it was called before, but may not have been awaited yet).
        annotation: the type of its result.
        due: sleeps and hooks: deadline in seconds since the epoch.
        token: hooks: what resumes it.
        validator: hooks: looks at a payload that fits its type.
        on_error: steps: `continue` gives the code the error in place of the result.
        validate: steps: what becomes of a result that does not fit its type.
        at_most_once: steps: whether it must never run a second time.
        compensate: steps: what undoes it; given its result.
        ended: steps: whether their recorded end was delivered, also if the code had cancelled them before.
    """

    __slots__ = (
        "asked",
        "at_most_once",
        "awaited",
        "child",
        "compensate",
        "due",
        "ended",
        "execution",
        "expires",
        "form",
        "future",
        "idempotency_key",
        "job_id",
        "on_error",
        "place",
        "queue",
        "token",
        "validator",
    )

    def __init__(
        self,
        execution: Execution,
        key: str,
        name: str,
        form: str,
        place: str,
        target: str | None = None,
    ) -> None:
        super().__init__(key, name, target)
        self.execution = execution
        self.form = form
        self.place = place
        self.future: asyncio.Future[Any] = execution.loop.create_future()
        self.asked = False
        self.due: float | None = None
        self.child: NewRun | None = None
        """Calls and starts: the run to create."""
        self.token: HookToken | None = None
        self.validator: Callable[[Any], object] | None = None
        self.on_error: OnError = "raise"
        self.idempotency_key: str | None = None
        self.at_most_once: bool | None = None
        self.queue: str | None = None
        """Steps: the queue that they are put on; None for those that run in this process."""
        self.awaited = True
        """Steps on a queue: whether the code waits for the result, and not for the JobRef alone."""
        self.job_id: JobId | None = None
        """The same: of their job."""
        self.expires: float | None = None
        """The same: seconds that the job may wait on the queue."""
        self.compensate: Target | None = None
        self.ended = False

    def __repr__(self) -> str:
        target = f" -> {self.target}" if self.target else ""
        return f"step {self.name!r} ({self.form}{target}) at {self.place}"

    def prepare_worker(self, worker: WorkerDefinition) -> None:
        """Take function, types and policies from a worker.

        Raises:
            InvalidInputError: the data does not fit the worker's input.
        """
        signature = worker.signature
        what = Part("the input", self)
        if self.data is MISSING:
            if signature.input_required:
                raise InvalidInputError(f"{what} is missing.")
        elif not signature.takes_input:
            if self.data is not None:
                raise InvalidInputError(f"{what} is given, but the worker takes none.")
            self.data = MISSING
        else:
            self.data = (self.execution.codec.validate(self.data, signature.input, what), signature.input)
        adapter(signature.output)  # what could not be encoded afterwards fails before it runs
        self.function = worker.function
        self.annotation = signature.output
        self.job_parameter = signature.job_parameter
        if self.timeout is None:
            self.timeout = worker.timeout
        if self.validate is None:
            self.validate = worker.validate
        if self.at_most_once is None:
            self.at_most_once = worker.at_most_once
        self.expires = worker.expires
        self._choose_retry(worker.retry)

    def prepare_function(self, function: Callable[..., Any]) -> None:
        """Take types from an inline callable's annotations, where it has any."""
        self.function = function
        declared = annotations_of(function)
        self.annotation = declared.output
        if self.data is not MISSING:
            annotation, what = declared.input, Part("the input", self)
            if annotation is ANY:
                encoded, _, recorded = self.execution.codec.record(self.data, ANY, what)
                self.data = (encoded, type(self.data) if recorded else ANY)
            else:
                self.data = (self.execution.codec.validate(self.data, annotation, what), annotation)
        self._choose_retry(None)

    def _choose_retry(self, workers: Retry | None) -> None:
        """The step's own policy, else the worker's, else the workflow's, which does not concern steps that run once.

        Raises:
            HandleError: a policy has several attempts, and the step runs at most once.
        """
        if self.retry is ONCE and workers is not None:
            self.retry = workers
        if self.at_most_once:
            check_once(repr(self), self.retry)
        elif self.retry is ONCE:
            self.retry = self.execution.definition.retry or ONCE

    def ask(self) -> None:
        """Say that the code waits for it, once."""
        if not self.asked:
            self.asked = True
            self.execution.code.asked.append(self)

    def result_of(self, event: Event) -> Any:
        """The result that a `step_completed` event of this step holds; a new object each time.

        Raises:
            SerializationError: it does not load into today's type.
        """
        assert event.payload is not None
        # What was let through with a warning does not fit the type; it was recorded by its own class.
        annotation = ANY if "warning" in event.data else self.annotation
        what = Part("the recorded result", self)
        return self.execution.codec.load(event.payload, annotation, event.data.get("type"), what)

    @property
    def input_digest(self) -> str | None:
        """Hash of the step's input; None without one."""
        if self.data is MISSING:
            return None
        encoded, annotation = self.data
        return self.execution.codec.digest(encoded, annotation)

    def has_input(self, recorded: str | None) -> bool:
        """Whether a recorded hash is that of its input, as far as the keys at hand can tell."""
        if self.data is MISSING or recorded is None:
            return self.data is MISSING and recorded is None
        encoded, annotation = self.data
        return self.execution.codec.digest(encoded, annotation, recorded) in (recorded, None)

    # What a step's attempts need, and what became of them.

    @property
    def run_id(self) -> RunId:
        return self.execution.run.run_id

    @property
    def codec(self) -> Codec:
        return self.execution.codec

    @property
    def surroundings(self) -> Surroundings:
        return self.execution.surroundings

    @property
    def effect_key(self) -> str:
        return self.idempotency_key or self.execution.identities.idempotency_key(self.key)

    @property
    def is_given_up(self) -> bool:
        return self.future.cancelled()

    @property
    def settles(self) -> bool:
        return self.compensate is not None

    @property
    def has_to_settle(self) -> bool:
        return self.compensate is not None and self.future.cancelled() and not self.execution.closed

    def completed(
        self,
        attempt: int,
        started_at: float,
        encoded: bytes,
        value: Any,
        recorded: str | None,
        warning: str | None = None,
    ) -> None:
        # This and the like only record; the run's own loop is driven from a plain callback once that is durable.
        self.execution.steps.completed(self, attempt, started_at, encoded, value, recorded, warning)

    def failed(self, attempt: int, started_at: float, error: dict[str, Any], partial: bytes | None = None) -> None:
        self.execution.steps.failed(self, attempt, started_at, error, partial)

    def try_again(self, attempt: int, delay: float, error: dict[str, Any]) -> None:
        self.execution.steps.retry(self, attempt, delay, error)

    def cancelled(self, attempt: int) -> None:
        self.execution.steps.cancelled(self, attempt)

    def lost(self) -> None:
        self.execution.lost()


async def wait_for_operation(operation: Operation) -> Any:
    """The coroutine that `do` and its kin return."""
    operation.ask()
    if not operation.awaited:
        assert operation.job_id is not None
        return JobRef(operation.job_id, str(operation.queue))
    result = await operation.future
    if operation.form in STEP_FORMS:  # nobody can wait for it again: what it was given and gave is the code's alone
        operation.future = operation.execution.loop.settled
        operation.data = MISSING
    return result
