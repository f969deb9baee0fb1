"""The course of a run: before tasks, its own code, undoing what it did if it does not succeed, after tasks.

All of it runs in the run's main branch. From the end of the code on the run is closing: a request to cancel it or its
timeout is recorded, but is not delivered any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from wfgen.around import Outcome
from wfgen.compensations import BRANCH, Compensation, Compensations, failure
from wfgen.definitions import MISSING
from wfgen.errors import StepError, WfgenError, error_name, error_text
from wfgen.events import Event
from wfgen.operations import ContinueAsNew, Operation, wait_for_operation
from wfgen.retry import ONCE, Retry
from wfgen.targets import Target, takes_input, worker_of

if TYPE_CHECKING:
    from wfgen.execution import Execution

Result = tuple[bytes, str | None]
"""A run's result, encoded, and its class as `module:qualname` if its workflow declares none."""


class Course:
    """Takes one run from its start to its end.

    Args:
        execution: the run.
        is_first: whether this is where the run began, not a continuation with a new input: then before tasks run.
        rounds: how often compensations are tried that fail.
    """

    def __init__(self, execution: Execution, *, is_first: bool, rounds: int) -> None:
        self.compensations = Compensations(rounds)
        self.closing = False
        """Whether the run's code has ended."""
        self._execution = execution
        self._definition = execution.definition
        self._is_first = is_first
        self._gate: asyncio.Future[None] | None = None

    async def run(self, body: Callable[[], Coroutine[Any, Any, Any]], data: Any = MISSING) -> Result:
        """The coroutine of the run's main branch.

        Args:
            body: calls the workflow's function.
            data: the run's input, if it has one.
        """
        try:
            if self._definition.before and self._is_first:
                await self._before(data)
            result = self._encode(await body())
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if self._execution.closed or not (self.compensations.wanted or self._definition.after):
                raise
            reason = error
            if isinstance(error, ContinueAsNew):
                if not self._execution.ending.is_cancelled_between_parts():
                    raise
                reason = asyncio.CancelledError()
            ended = await self._not_succeeded(reason)
            if ended is error:
                raise
            raise ended from error
        if self._definition.after:
            await self._close_branches()
            await self._after(self._outcome(None, result))
        return result

    # Compensations.

    @property
    def waits(self) -> bool:
        """Whether it waits to compensate until no step is at work any more."""
        return self._gate is not None and not self._gate.done()

    def compensation_started(self) -> dict[str, Any]:
        """What is recorded when compensation begins."""
        registered = self.compensations.above()
        return {
            "steps": [compensation.name for compensation in registered],
            "back_to": min((compensation.back_to for compensation in registered), default=0),
        }

    def compensate(self) -> bool:
        """The beginning was delivered; False if the code has not come to its end."""
        if self._gate is None or self._gate.done():
            return False
        self._gate.set_result(None)
        return True

    def register(
        self, name: str, target: Target, data: Any, place: str, *, retry: Retry | None, timeout: float | None, seq: int
    ) -> None:
        """Register an undo step whose input is known.

        Raises:
            HandleError, UnknownWorkerError, InvalidInputError, SerializationError: it could never run.
        """
        execution = self._execution
        worker = worker_of(execution.registry, target, f"compensation {name!r}")
        # Not one of the run's: it checks the input, and keeps it as it is now.
        form = "inline" if worker is None else "rpc"
        draft = Operation(execution, f"{BRANCH}/{name}", name, form, place, worker)
        draft.data = data
        _take_target(draft, target, worker)

        def load() -> Any:
            return MISSING if draft.data is MISSING else draft.input_copy()

        def prepare() -> Operation:
            return self._prepare(BRANCH, name, target, load, place, retry, timeout)

        self.compensations.register(Compensation(name, prepare, seq, seq))

    def step_completed(self, operation: Operation, event: Event) -> None:
        """A step that is to be undone with its result has completed, whether or not the code still waits for it."""
        target = operation.compensate
        assert target is not None

        def prepare() -> Operation:
            return self._prepare(BRANCH, operation.name, target, lambda: operation.result_of(event), operation.place)

        self.compensations.register(Compensation(operation.name, prepare, event.seq, event.seq - 1))

    # Its parts.

    async def _before(self, data: Any) -> None:
        for task in self._definition.before:
            operation = self._prepare("before", task.name, task.target, lambda: data, self._execution.source)
            await wait_for_operation(operation)

    async def _not_succeeded(self, error: BaseException) -> BaseException:
        """Compensate and tell the after tasks; gives the error with which the run ends."""
        self.closing = True
        outcome = self._outcome(error, None)
        await self._close_branches()
        if self.compensations.wanted:
            # What was begun and given up may still complete: then it is undone as well.
            self._gate = self._execution.loop.create_future()
            await self._gate
            if failed := await self.compensations.run():
                ending = ": ".join(filter(None, (outcome.error_type, outcome.error))) or "a request to cancel it"
                error = failure(f"the run ended with {ending}", failed)
                outcome = self._outcome(error, None)
        await self._after(outcome)
        return error

    async def _close_branches(self) -> None:
        """End what the code has left running beside its main branch."""
        self.closing = True
        root = asyncio.current_task()
        while branches := [task for task in self._execution.loop.alive() if task is not root]:
            for task in branches:
                task.cancel()
            await asyncio.wait(branches)

    async def _after(self, outcome: Outcome) -> None:
        for task in self._definition.after:
            if outcome.status not in task.on:
                continue
            operation = self._prepare("after", task.name, task.target, lambda: outcome, self._execution.source)
            try:
                await wait_for_operation(operation)
            except StepError as error:  # recorded; what became of the run stays as it is
                self._execution.surroundings.log.error("an after task failed: %s", error)

    def _encode(self, result: Any) -> Result:
        what = f"the result of workflow {self._definition.name!r}"
        encoded, _, recorded = self._execution.codec.record(result, self._definition.signature.output, what)
        return encoded, recorded

    def _outcome(self, error: BaseException | None, result: Result | None) -> Outcome:
        execution = self._execution
        run = execution.run
        if result is not None:
            value = execution.codec.decode(result[0], Any, "the run's result")
            return Outcome(run.run_id, run.workflow, run.version, "completed", result=value)
        assert error is not None
        if isinstance(error, asyncio.CancelledError):
            ended = execution.ending.why_cancelled()
            if ended is None:
                return Outcome(run.run_id, run.workflow, run.version, "cancelled")
            error = ended
        code = error.code if isinstance(error, WfgenError) else None
        return Outcome(
            run.run_id,
            run.workflow,
            run.version,
            "failed",
            error_type=error_name(error),
            error=error_text(error),
            code=code,
        )

    def _prepare(
        self,
        branch: str,
        name: str,
        target: Target,
        load: Callable[[], Any],
        place: str,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> Operation:
        """A step that the code has not asked for itself. If it cannot be called as it is, it fails as a step."""
        execution = self._execution
        worker, unknown = None, None
        try:
            worker = worker_of(execution.registry, target, f"step {name!r}")
        except WfgenError as error:
            unknown = error
        form = "inline" if worker is None else "rpc"
        operation = execution.code.reserve(name, form, place, worker, branch=branch)
        operation.retry = retry or ONCE
        operation.timeout = timeout
        try:
            if unknown is not None:
                raise unknown
            if takes_input(execution.registry, target, worker):
                operation.data = load()
            _take_target(operation, target, worker)
        except WfgenError as error:
            operation.data = MISSING
            operation.retry = Retry(attempts=1)
            operation.prepare_function(_failing(error))
        return operation


def _take_target(operation: Operation, target: Any, worker: str | None) -> None:
    if worker is not None:
        operation.prepare_worker(operation.execution.registry.worker(worker))
    else:
        operation.prepare_function(target)


def _failing(error: WfgenError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail
