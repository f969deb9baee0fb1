"""The workflow handle: what a workflow's code may ask of the engine."""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, Unpack, cast, overload
from uuid import UUID

from wfgen.child_calls import ChildCalls
from wfgen.contexts import Ctx_co
from wfgen.definitions import MISSING
from wfgen.durations import Duration, seconds
from wfgen.errors import HandleError, StepError
from wfgen.ids import RunId
from wfgen.job_ref import JobRef
from wfgen.names import MAX_STEP_NAME, is_step_name, queue_name
from wfgen.operations import ContinueAsNew, wait_for_operation
from wfgen.parallel import Errors, WaitFor, run_branches
from wfgen.references import WorkerRef
from wfgen.retry import ONCE, Retry
from wfgen.step_options import JobOptions, OnError, Validate, check_job, check_options
from wfgen.targets import Target, worker_of
from wfgen.waits import Waits

if TYPE_CHECKING:
    from wfgen.logs import Logger
    from wfgen.metrics import RunMetrics

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class WorkflowBase(Waits, ChildCalls, Generic[Ctx_co]):
    """The handle without `do`, which the generated `Workflow` types for each worker.

    A workflow function receives it from the engine. Every operation takes the step's name first: any printable text
    up to 255 characters. An operation gets its identity when it is called, not when it is awaited.

    All operations raise HandleError when they are called outside the run's own code, or with a bad name.
    """

    @overload
    def parallel(
        self,
        branches: Mapping[str, Awaitable[T]],
        *,
        wait_for: WaitFor = "all",
        errors: Literal["raise"] = "raise",
        limit: int | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, dict[str, T]]: ...

    @overload
    def parallel(
        self,
        branches: Mapping[str, Awaitable[T]],
        *,
        wait_for: WaitFor = "all",
        errors: Literal["collect"],
        limit: int | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, dict[str, T | StepError]]: ...

    def parallel(
        self,
        branches: Mapping[str, Awaitable[T]],
        *,
        wait_for: WaitFor = "all",
        errors: Errors = "raise",
        limit: int | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run named branches at once; those that are no longer needed are cancelled.

        Args:
            branches: name -> operation, or coroutine of a helper.
            wait_for: how many have to succeed: `"all"`, `"any"`, or a number.
            errors: `"raise"`: as soon as too many have failed, the others are cancelled and the first error is raised.
                `"collect"`: nothing is raised; a branch that failed has a StepError in its place, which `errors` of
                the handle holds as well.
            limit: how many branches run at once; None for all.
            description: one line for people.

        Returns:
            Results by name, in the order of the branches; of those alone that have ended.

        Raises:
            HandleError: an argument cannot work.
            Exception: with `errors="raise"` the first error of a branch, when too few can succeed any more.
        """
        self._check("parallel")
        return run_branches(branches, wait_for, errors, limit, self._execution.errors.add)

    def now(self) -> datetime:
        """The time of the last thing that happened to the run, in UTC: the same in every replay."""
        self._check("now")
        return datetime.fromtimestamp(self._code.now, UTC)

    def uuid(self, name: str | None = None) -> UUID:
        """A random-looking UUID that is the same in every replay."""
        return UUID(int=self.random(name or "uuid").getrandbits(128), version=4)

    def random(self, name: str | None = None) -> random.Random:
        """A generator of random numbers that gives the same ones in every replay.

        It derives from the run, the branch and the last completed operation; a name tells several apart.
        """
        self._check("random")
        return random.Random(self._code.seed(name or ""))

    def patched(self, change: str) -> bool:
        """Whether this run takes a changed path: true for runs that get here for the first time with the change.

        Guards new operations in a version that has runs in flight: `if workflow.patched("add fraud check"): …`. A run
        that passed this point before the change existed goes on without it, now and in every replay.

        Args:
            change: names the change, 1 to 255 printable characters; one name has one answer for a run.
        """
        self._check("patched")
        if not isinstance(change, str) or not is_step_name(change):
            raise HandleError(
                f"{change!r:.80} cannot name a change.",
                hint=f"Use printable text of 1 to {MAX_STEP_NAME} characters.",
            )
        return self._code.patched(change)

    def emit(self, event: str, data: Any = MISSING) -> None:
        """Record an event of one's own in the run's history, where people and programs that follow it see it.

        It is recorded once, with the next commit, and not again in a replay.

        Args:
            event: its name, 1 to 255 printable characters.
            data: anything that can be recorded as a result that has no declared type.

        Raises:
            SerializationError: the data cannot be recorded.
        """
        self._check("emit")
        self._code.emit(event, data, self._code.place(sys._getframe(1)))

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the run has come: recorded as `emit` does, and read by `run.progress()`.

        Args:
            done: what is done, in any unit; 0 or more.
            total: of how much, if it is known.
            message: one line for people.
        """
        self._check("progress")
        self._code.progress(done, total, message, self._code.place(sys._getframe(1)))

    @overload
    def compensate(
        self,
        step: str,
        target: WorkerRef[I, Any] | Callable[[I], Any],
        data: I,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        description: str | None = None,
    ) -> None: ...

    @overload
    def compensate(
        self,
        step: str,
        target: WorkerRef[None, Any] | Callable[[], Any],
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        description: str | None = None,
    ) -> None: ...

    @overload
    def compensate(
        self,
        step: str,
        target: str,
        data: Any = MISSING,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        description: str | None = None,
    ) -> None: ...

    def compensate(
        self,
        step: str,
        target: Any,
        data: Any = MISSING,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        description: str | None = None,
    ) -> None:
        """Register a step that undoes something if this run fails, times out or is cancelled; not awaited.

        Those that are registered run one after the other when the code has ended, the last registered first, whichever
        has failed; see also `do(compensate=...)`.

        Args:
            step: the undo step's name; it is recorded as `undo/<name>`.
            target: a worker's id or reference, or any callable.
            data: its input, as it is now.
            retry: policy; default the worker's, then the workflow's, then one attempt.
            timeout: of one attempt; default the worker's.
            description: one line for people.

        Raises:
            UnknownWorkerError: there is no such worker.
            InvalidInputError: data does not fit its input.
        """
        self._check_name(step)
        limit = None if timeout is None else seconds(timeout)
        self._code.compensate(step, target, data, self._code.place(sys._getframe(1)), retry, limit)

    def continue_as_new(self, data: Any = MISSING) -> NoReturn:
        """Start the run again with a new input, and leave its history behind: for runs that live long.

        Id, waiters and messages that nobody has taken yet stay; open hooks are closed, and a timeout of the workflow
        counts anew. Called in the workflow's main branch, it never returns: `finally` blocks run as at its end.

        Args:
            data: the new input; left out for none.

        Raises:
            InvalidInputError: data does not fit the workflow's input.
        """
        self._check("continue_as_new")
        raise ContinueAsNew(self._code.next_input(data))

    @property
    def run_id(self) -> RunId:
        """This run's id."""
        return self._execution.run.run_id

    @property
    def errors(self) -> Sequence[StepError]:
        """Errors from which the run has gone on, in the order in which they came, each once; grows with the run.

        They are those of steps with `on_error="continue"`, and of branches that `parallel(errors="collect")` collected.
        """
        return self._execution.errors

    @property
    def log(self) -> Logger:
        """A logger that carries the run's ids and says nothing during replay."""
        return self._execution.surroundings.log

    @property
    def metrics(self) -> RunMetrics:
        """Numbers for the process's metrics, not counted again during replay."""
        return self._execution.surroundings.metrics

    @property
    def context(self) -> Ctx_co:
        """What the workflow's context factory made, or else the dependencies of the process; never recorded."""
        context: Ctx_co = self._execution.surroundings.context
        return context


class Workflow(WorkflowBase[Ctx_co]):
    """The handle without generated types: any worker id, result `Any`. `Workflow[Shop]` types its context."""

    @overload
    async def do(
        self,
        step: str,
        target: WorkerRef[Any, Any] | str,
        data: Any = ...,
        *,
        await_result: Literal[False],
        **options: Unpack[JobOptions],
    ) -> JobRef: ...

    @overload
    async def do(
        self,
        step: str,
        target: Any,
        data: Any = ...,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        on_error: OnError = "raise",
        validate: Validate | None = None,
        idempotency_key: str | None = None,
        at_most_once: bool | None = None,
        compensate: Target | None = None,
        await_result: bool = True,
        description: str | None = None,
    ) -> Any: ...

    def do(
        self,
        step: str,
        target: Any,
        data: Any = MISSING,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        on_error: OnError = "raise",
        validate: Validate | None = None,
        idempotency_key: str | None = None,
        at_most_once: bool | None = None,
        compensate: Target | None = None,
        await_result: bool = True,
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a step: at least once, and never again once its completion is recorded.

        Args:
            step: the step's name.
            target: a worker's id or reference, or any callable. Plain functions run in a thread.
            data: the input; a callable is called with it if it is given.
            retry: policy; default the worker's, then the workflow's, then one attempt.
            timeout: of one attempt; default the worker's.
            on_error: `"continue"`: a step that fails for good gives its StepError as the result, and `errors` of the
                handle holds it too; nothing is raised.
            validate: what becomes of a result that does not fit its declared type: `"strict"` (the default): the step
                fails, without another attempt. `"warn"`: it goes on as it is, with a warning in the record.
            idempotency_key: what the worker finds as `job.idempotency_key`, to hand on to whatever must not happen
                twice; default one that derives from the run and the step. 1 to 255 printable characters.
            at_most_once: never run it a second time: if its process ends in the middle, it fails with
                StepInterruptedError. Costs a commit before it begins; excludes retries. Default: as the worker says.
            compensate: a worker's id or reference, or a function, that undoes the step if the run does not succeed; it
                is given the step's result.
            await_result: with False, for a step that goes to a queue: its JobRef is given as soon as the job is
                recorded, and the job goes its own way, also when the run has ended.
            description: one line for people.

        Raises:
            StepError: it failed for good.
            StepTimeoutError: its last attempt took too long.
            StepInterruptedError: it runs at most once, and its process ended before its end was recorded.
            InvalidInputError: data does not fit the worker's input, or the idempotency key is none.
            UnknownWorkerError: there is no such worker.
            SerializationError: the input or the result cannot be stored.
        """
        check_options(step, on_error, validate, idempotency_key)
        registry = self._execution.registry
        worker = worker_of(registry, target, f"step {step!r}")
        definition = None if worker is None else registry.worker(worker)
        queued = definition is not None and definition.is_queued(self._execution.definition.execution_mode)
        if not await_result:
            check_job(step, queued=queued, undone=compensate is not None, continues=on_error == "continue")
        if compensate is not None:
            undo = worker_of(registry, compensate, f"the compensation of step {step!r}")
            if undo is not None:
                registry.worker(undo)
        limit = None if timeout is None else seconds(timeout)
        operation = self._reserve(step, "inline" if worker is None else "rpc", worker)
        operation.data = data
        operation.retry = retry or ONCE
        operation.timeout = limit
        operation.on_error = on_error
        operation.validate = validate
        operation.idempotency_key = idempotency_key
        operation.at_most_once = at_most_once
        if queued:
            operation.queue = queue_name(self._execution.run.workflow, step)
            operation.awaited = await_result
            operation.job_id = self._execution.identities.job_id(operation.key)
        if compensate is not None:
            operation.compensate = compensate
            self._execution.course.compensations.wanted = True
        if definition is not None:
            operation.prepare_worker(definition)
        else:
            operation.prepare_function(cast("Callable[..., Any]", target))
        return wait_for_operation(operation)
