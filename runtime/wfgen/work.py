"""A function that is called for a step: for one of a run in this process, or for a job off a queue.

Attempts, retries and timeouts are made alike for both; who asks for one differs in where its end is recorded.
"""

from __future__ import annotations

import functools
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from wfgen.codec import ANY
from wfgen.definitions import MISSING
from wfgen.ids import RunId
from wfgen.job import Attempt, Job
from wfgen.retry import ONCE, Retry
from wfgen.step_options import Validate

if TYPE_CHECKING:
    from concurrent.futures import Future as ThreadFuture

    from wfgen.codec import Codec
    from wfgen.surroundings import Surroundings


class Part:
    """Names a value of a step, such as its input; the text is made when an error needs it."""

    __slots__ = ("_name", "_work")

    def __init__(self, name: str, work: Work) -> None:
        self._name = name
        self._work = work

    def __str__(self) -> str:
        return f"{self._name} of {self._work!r}"


class Work(ABC):
    """What attempts are made at.

    Attributes:
        key: the step's identity in its run.
        name: of the step.
        target: the worker's id; None for a function that is no worker.
        annotation: the type of its result.
        validate: what becomes of a result that does not fit its type.
    """

    __slots__ = (
        "annotation",
        "began",
        "data",
        "function",
        "job_parameter",
        "key",
        "name",
        "reports",
        "retry",
        "target",
        "thread",
        "timeout",
        "validate",
    )

    def __init__(self, key: str, name: str, target: str | None) -> None:
        self.key = key
        self.name = name
        self.target = target
        self.function: Callable[..., Any] | None = None
        self.data: Any = MISSING
        """Encoded input, with the type to load it by; `MISSING` without input."""
        self.job_parameter: str | None = None
        self.retry: Retry = ONCE
        self.timeout: float | None = None
        """Seconds of one attempt."""
        self.annotation = ANY
        self.validate: Validate | None = None
        self.began: float | None = None
        """When the first attempt began, in seconds since the epoch."""
        self.reports: Attempt | None = None
        """What the last attempt has reported, if its function takes a Job."""
        self.thread: ThreadFuture[Any] | None = None
        """The thread of the last attempt, which may go on when the attempt is over."""

    # What it belongs to.

    @property
    @abstractmethod
    def run_id(self) -> RunId:
        """Of its run."""

    @property
    @abstractmethod
    def codec(self) -> Codec:
        """Loads its input, encodes its result."""

    @property
    @abstractmethod
    def surroundings(self) -> Surroundings:
        """Context, logger and middleware."""

    @property
    @abstractmethod
    def effect_key(self) -> str:
        """What the worker finds as `job.idempotency_key`."""

    # Its attempts.

    @property
    def deadline(self) -> float:
        """When all attempts have to be over, in seconds since the epoch; infinite without a bound."""
        return math.inf if self.began is None else self.retry.deadline(self.began)

    def call(self, attempt: int) -> Any:
        """Call the function with a fresh copy of its input: what it does to it stays its own."""
        assert self.function is not None
        arguments: tuple[Any, ...] = ()
        if self.data is not MISSING:
            arguments = (self.input_copy(),)
        if self.job_parameter is None:
            return self.function(*arguments)
        self.reports = self.new_reports()
        job = Job(
            run_id=self.run_id,
            step=self.name,
            key=self.key,
            attempt=attempt,
            context=self.surroundings.context,
            log=self.surroundings.log_of(self.name, attempt),
            idempotency_key=self.effect_key,
            _attempt=self.reports,
        )
        return self.function(*arguments, **{self.job_parameter: job})

    def new_reports(self) -> Attempt:
        """Where what an attempt says is kept."""
        return Attempt(self.codec, repr(self))

    def input_copy(self) -> Any:
        """Decode the input anew."""
        encoded, annotation = self.data
        return self.codec.decode(encoded, annotation, Part("the input", self))

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

    # What became of them. Called by the runner, on the engine's loop.

    @property
    @abstractmethod
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more: there is no other attempt."""

    @property
    @abstractmethod
    def settles(self) -> bool:
        """Whether it wants to know of attempts that are cancelled."""

    @property
    @abstractmethod
    def has_to_settle(self) -> bool:
        """Whether the thread of an attempt that was cancelled just now has to end: it may have an effect."""

    @abstractmethod
    def completed(
        self,
        attempt: int,
        started_at: float,
        encoded: bytes,
        value: Any,
        recorded: str | None,
        warning: str | None = None,
    ) -> None:
        """The function returned; its result is encoded already. `warning`: why it does not fit its type."""

    @abstractmethod
    def failed(self, attempt: int, started_at: float, error: dict[str, Any], partial: bytes | None = None) -> None:
        """It failed for good.

        `error` holds `error_type`, `error`, and `timed_out` or `traceback`; `type` is the class of `partial`, which is
        what the attempt reported last, encoded.
        """

    @abstractmethod
    def try_again(self, attempt: int, delay: float, error: dict[str, Any]) -> None:
        """An attempt failed; the next one begins after `delay` seconds."""

    @abstractmethod
    def cancelled(self, attempt: int) -> None:
        """An attempt was cancelled, maybe before it began; ignored if its end is known already."""

    @abstractmethod
    def lost(self) -> None:
        """An attempt did not begin: the lease of this process has lapsed."""
