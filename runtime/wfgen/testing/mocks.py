"""Stand-ins for workers, chosen by id, with a record of their calls."""

from __future__ import annotations

import dataclasses
import inspect
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wfgen.codec import ANY, Codec
from wfgen.definitions import MISSING, WorkerDefinition
from wfgen.durations import Duration
from wfgen.errors import SerializationError
from wfgen.job import Job
from wfgen.registry import Registry
from wfgen.retry import NonRetryable
from wfgen.signatures import Signature
from wfgen.testing.clock import TestClock
from wfgen.testing.errors import MockError, WorkerRefusedError

JOB = "job"
"""The parameter by which a stand-in is given its Job."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt that a mock worked."""

    input: Any
    """A copy of what the worker would have been called with; None without input."""
    job: Job[Any]


class Mock:
    """Stands in for one worker; made by `TestEngine.mock`.

    Attributes:
        id: the worker's.
        calls: each attempt, in order.
    """

    def __init__(
        self,
        worker: WorkerDefinition,
        outcomes: Sequence[Any],
        side_effect: Callable[..., Any] | None,
        takes: Duration | None,
        clock: TestClock,
        codec: Codec,
        failed: Callable[[BaseException], None],
        *,
        repeats: bool,
    ) -> None:
        self.id = worker.id
        self.calls: list[Call] = []
        self._worker = worker
        self._outcomes = deque(outcomes)
        self._side_effect = side_effect
        self._takes = takes
        self._clock = clock
        self._codec = codec
        self._failed = failed
        self._repeats = repeats
        """Whether one outcome serves every call; else each serves one."""
        self._checks = worker.validate == "strict"
        for outcome in outcomes:
            if not isinstance(outcome, BaseException):
                self._check(outcome)

        async def work(*arguments: Any, job: Job[Any]) -> Any:
            return await self._work(arguments, job)

        self.definition = dataclasses.replace(worker, function=work)
        # The stand-in's own signature says nothing; the worker's declared types hold.
        vars(self.definition)["signature"] = dataclasses.replace(worker.signature, job_parameter=JOB)

    def __repr__(self) -> str:
        return f"<mock of worker {self.id!r}, called {len(self.calls)} times>"

    @property
    def inputs(self) -> list[Any]:
        """What each attempt was called with, in order."""
        return [call.input for call in self.calls]

    def assert_called(self, times: int | None = None) -> None:
        """Fail unless it was called, so many times if that is said."""
        if not self.calls if times is None else len(self.calls) != times:
            wanted = "at least once" if times is None else f"{times} times"
            raise AssertionError(f"worker {self.id!r} was to be called {wanted}; {self._listed()}")

    def assert_not_called(self) -> None:
        """Fail if it was called."""
        self.assert_called(0)

    def assert_called_once_with(self, data: Any = None) -> None:
        """Fail unless it was called exactly once, with this input."""
        if len(self.calls) != 1 or self.calls[0].input != data:
            raise AssertionError(f"worker {self.id!r} was to be called once with {data!r}; {self._listed()}")

    def _listed(self) -> str:
        if not self.calls:
            return "it was not called."
        shown = "; ".join(f"{c.job.step!r} attempt {c.job.attempt} with {c.input!r:.200}" for c in self.calls[:5])
        return f"it was called {len(self.calls)} times: {shown}{' …' if len(self.calls) > 5 else ''}."

    async def _work(self, arguments: tuple[Any, ...], job: Job[Any]) -> Any:
        self.calls.append(Call(arguments[0] if arguments else None, job))
        if self._takes is not None:
            await self._clock.sleep(self._takes)
        try:
            if self._side_effect is not None:
                result = _call(self._side_effect, arguments, job)
                result = await result if inspect.isawaitable(result) else result
            else:
                result = self._next()
            self._check(result)
        except MockError as error:
            self._failed(error)
            raise NonRetryable(str(error)) from error
        return result

    def _next(self) -> Any:
        if not self._outcomes:
            raise MockError(
                f"the mock of worker {self.id!r} was called {len(self.calls)} times, and has no outcome left.",
                hint="Give more outcomes, or `returns=` for a single one that serves every call.",
            )
        outcome = self._outcomes[0] if self._repeats else self._outcomes.popleft()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _check(self, result: Any) -> None:
        annotation = self._worker.signature.output
        if not self._checks or annotation is ANY:
            return
        try:
            self._codec.record(result, annotation, f"what the mock of worker {self.id!r} returns")
        except SerializationError as error:
            raise MockError(
                error.message, hint=f"Return what the worker itself declares to return ({self._worker.source})."
            ) from None


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], job: Job[Any]) -> Any:
    """Call a side effect with as much of input and job as it takes."""
    parameters = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(function).parameters.values())
    given = (*arguments, job)
    return function(*(given if open_ended else given[: len(parameters)]))


class MockRegistry(Registry):
    """The workflows and workers of a test: a registry with some workers replaced.

    Args:
        base: where all others come from.
        real_workers: whether those run for real; else each is refused.
        failed: told of each worker that was refused.
    """

    def __init__(self, base: Registry, real_workers: bool, failed: Callable[[BaseException], None]) -> None:
        vars(self).update(vars(base))
        self.base = base
        self.mocks: dict[str, Mock] = {}
        self._real = real_workers
        self._failed = failed

    def worker(self, worker_id: str) -> WorkerDefinition:
        mock = self.mocks.get(worker_id)
        if mock is not None:
            return mock.definition
        real = self.base.worker(worker_id)
        return real if self._real else self._refusing(real)

    def worker_of(self, function: Any) -> str | None:
        return self.base.worker_of(function)

    def _refusing(self, real: WorkerDefinition) -> WorkerDefinition:
        async def refuse(*_: Any) -> None:
            error = WorkerRefusedError(
                f"worker {real.id!r} would have run for real.",
                hint=f"Mock it with wf.mock({real.id!r}, …), or allow real workers.",
            )
            self._failed(error)
            raise NonRetryable(str(error)) from error

        definition = dataclasses.replace(real, function=refuse)
        signature: Signature = dataclasses.replace(real.signature, job_parameter=None)
        vars(definition)["signature"] = signature
        return definition


def make_mock(
    worker: WorkerDefinition,
    *,
    returns: Any,
    raises: BaseException | type[BaseException] | None,
    outcomes: Sequence[Any] | None,
    side_effect: Callable[..., Any] | None,
    takes: Duration | None,
    clock: TestClock,
    codec: Codec,
    failed: Callable[[BaseException], None],
) -> Mock:
    """Make a mock of what `TestEngine.mock` was given.

    Raises:
        MockError: it says in two ways what happens, or in none, or the result does not fit the worker's type.
    """
    ways = [returns is not MISSING, raises is not None, outcomes is not None, side_effect is not None]
    if sum(ways) > 1:
        raise MockError(
            f"the mock of worker {worker.id!r} says more than once what happens.",
            hint="Give one of returns=, raises=, outcomes= and side_effect=.",
        )
    if outcomes is None and side_effect is None:
        outcome = raises() if isinstance(raises, type) else raises
        if outcome is None:
            outcome = None if returns is MISSING else returns
        single: Sequence[Any] = [outcome]
    else:
        single = outcomes or []
    try:
        return Mock(worker, single, side_effect, takes, clock, codec, failed, repeats=outcomes is None)
    except MockError as error:
        if any(ways):
            raise
        raise MockError(
            f"the mock of worker {worker.id!r} does not say what it returns.",
            hint=f"Give returns=, raises=, outcomes= or side_effect=. {error.message}",
        ) from None
