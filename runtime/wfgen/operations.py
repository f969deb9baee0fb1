"""A durable operation: what the workflow's code asked for, and where it stands."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from wfgen.codec import ANY, adapter, annotations_of
from wfgen.definitions import MISSING, WorkerDefinition
from wfgen.errors import InvalidInputError
from wfgen.ids import HookToken
from wfgen.job import Attempt, Job
from wfgen.retry import ONCE, Retry
from wfgen.step_options import OnError, Validate, check_once
from wfgen.targets import Target

if TYPE_CHECKING:
    from concurrent.futures import Future as ThreadFuture

    from wfgen.events import Event
    from wfgen.execution import Execution
    from wfgen.store.protocol import NewRun

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


class Part:
    """Names a value of an operation, such as its input; the text is made when an error needs it."""

    __slots__ = ("_name", "_operation")

    def __init__(self, name: str, operation: Operation) -> None:
        self._name = name
        self._operation = operation

    def __str__(self) -> str:
        return f"{self._name} of {self._operation!r}"


class Operation:
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
        "annotation",
        "asked",
        "at_most_once",
        "began",
        "child",
        "compensate",
        "data",
        "due",
        "ended",
        "execution",
        "form",
        "function",
        "future",
        "idempotency_key",
        "job_parameter",
        "key",
        "name",
        "on_error",
        "place",
        "reports",
        "retry",
        "target",
        "thread",
        "timeout",
        "token",
        "validate",
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
        self.execution = execution
        self.key = key
        self.name = name
        self.form = form
        self.target = target
        self.place = place
        self.future: asyncio.Future[Any] = execution.loop.create_future()
        self.asked = False
        self.function: Callable[..., Any] | None = None
        self.data: Any = MISSING
        """Encoded input of a step, with the type to load it by; `MISSING` without input."""
        self.job_parameter: str | None = None
        self.retry: Retry = ONCE
        self.timeout: float | None = None
        self.began: float | None = None
        """Steps: when the first attempt began, in seconds since the epoch."""
        self.due: float | None = None
        self.child: NewRun | None = None
        """Calls and starts: the run to create."""
        self.annotation = ANY
        self.token: HookToken | None = None
        self.validator: Callable[[Any], object] | None = None
        self.on_error: OnError = "raise"
        self.validate: Validate | None = None
        self.idempotency_key: str | None = None
        self.at_most_once: bool | None = None
        self.compensate: Target | None = None
        self.ended = False
        self.reports: Attempt | None = None
        """What the last attempt has reported, if its function takes a Job."""
        self.thread: ThreadFuture[Any] | None = None
        """The thread of the last attempt, which may go on when the attempt is over."""

    def __repr__(self) -> str:
        target = f" -> {self.target}" if self.target else ""
        return f"step {self.name!r} ({self.form}{target}) at {self.place}"

    @property
    def deadline(self) -> float:
        """Steps: when all attempts have to be over, in seconds since the epoch; infinite without a bound."""
        return math.inf if self.began is None else self.retry.deadline(self.began)

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
            self.execution.asked(self)

    def call(self, attempt: int) -> Any:
        """Call the step's function with a fresh copy of its input: what it does to it stays its own."""
        assert self.function is not None
        arguments: tuple[Any, ...] = ()
        if self.data is not MISSING:
            arguments = (self.input_copy(),)
        if self.job_parameter is None:
            return self.function(*arguments)
        surroundings = self.execution.surroundings
        self.reports = Attempt(self.execution.codec, repr(self))
        job = Job(
            run_id=self.execution.run.run_id,
            step=self.name,
            key=self.key,
            attempt=attempt,
            context=surroundings.context,
            log=surroundings.log_of(self.name, attempt),
            idempotency_key=self.idempotency_key or self.execution.idempotency_key(self.key),
            _attempt=self.reports,
        )
        return self.function(*arguments, **{self.job_parameter: job})

    def input_copy(self) -> Any:
        """Decode the step's input anew."""
        encoded, annotation = self.data
        return self.execution.codec.decode(encoded, annotation, Part("the input", self))

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

    @property
    def is_async(self) -> bool:
        """Whether the function runs on the engine's loop rather than in a thread."""
        function: Any = self.function
        if isinstance(function, FunctionType):
            return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
        while isinstance(function, functools.partial):
            function = function.func
        call = getattr(type(function), "__call__", None)  # noqa: B004
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


async def wait_for_operation(operation: Operation) -> Any:
    """The coroutine that `do` and its kin return."""
    operation.ask()
    result = await operation.future
    if operation.form in STEP_FORMS:  # nobody can wait for it again: what it was given and gave is the code's alone
        operation.future = operation.execution.loop.settled
        operation.data = MISSING
    return result
