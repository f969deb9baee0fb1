"""The workflow handle: what a workflow's code may ask of the engine."""

from __future__ import annotations

import random
import sys
from asyncio import events as asyncio_events
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, cast, overload
from uuid import UUID

from wfgen.children import Child, OnParentEnd
from wfgen.definitions import MISSING
from wfgen.durations import Duration, seconds
from wfgen.errors import HandleError, StepError
from wfgen.ids import HookToken, RunId
from wfgen.names import MAX_STEP_NAME, is_step_name
from wfgen.operations import CHILD_FORMS, HOOK_FORMS, ContinueAsNew, Operation, wait_for_operation
from wfgen.parallel import Errors, WaitFor, run_branches
from wfgen.references import WorkerRef, WorkflowRef
from wfgen.retry import Retry

if TYPE_CHECKING:
    from wfgen.execution import Execution
    from wfgen.runlog import RunLogger

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

HOOK_TIMEOUT = 7 * 86400.0
"""Seconds that a hook waits by default."""


class WorkflowBase:
    """The handle without `do`, which the generated `Workflow` types for each worker.

    A workflow function receives it from the engine. Every operation takes the step's name first: any printable text
    up to 255 characters. An operation gets its identity when it is called, not when it is awaited.

    All operations raise HandleError when they are called outside the run's own code, or with a bad name.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def sleep(self, step: str, duration: Duration, *, description: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait durably: the time that is left is kept across restarts."""
        due = self._execution.now + seconds(duration)
        return wait_for_operation(self._reserve(step, "sleep", due=due))

    def sleep_until(self, step: str, when: datetime, *, description: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait durably until a time with a time zone."""
        if when.tzinfo is None:
            raise HandleError(f"sleep_until {step!r}: {when} has no time zone.", hint="Use datetime.now(UTC) and kin.")
        return wait_for_operation(self._reserve(step, "sleep_until", due=when.timestamp()))

    def hook(
        self, step: str, model: type[T], *, timeout: Duration | None = None, description: str | None = None
    ) -> Coroutine[Any, Any, T]:
        """Wait for a payload from outside.

        Args:
            step: the hook's name; `run.hooks.<name>` resumes it.
            model: the payload's type.
            timeout: default 7 days.
            description: one line for people.

        Raises:
            HookTimeoutError: nobody resumed it in time.
        """
        return wait_for_operation(self._reserve_hook(step, "hook", model, timeout))

    def create_hook(
        self, step: str, model: type[T], *, timeout: Duration | None = None, description: str | None = None
    ) -> Hook[T]:
        """Open a hook now and await it later: for when its token must be sent first."""
        operation = self._reserve_hook(step, "create_hook", model, timeout)
        operation.ask()
        return Hook(operation)

    @overload
    def call(
        self,
        step: str,
        target: WorkflowRef[I, O],
        data: I,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, O]: ...

    @overload
    def call(
        self,
        step: str,
        target: WorkflowRef[None, O],
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, O]: ...

    @overload
    def call(
        self,
        step: str,
        target: str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]: ...

    def call(
        self,
        step: str,
        target: WorkflowRef[Any, Any] | str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "cancel",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run another workflow as a child, and wait for its result.

        The child is a run of its own, started once, in the latest version; any process may work it.

        Args:
            step: the operation's name.
            target: a workflow's name or reference.
            data: the child's input.
            on_parent_end: what becomes of the child when this run ends first, or no longer waits for it: `"cancel"`
                or `"abandon"` (it goes on).
            description: one line for people.

        Raises:
            RunFailedError: the child failed; carries the recorded error.
            RunCancelledError: somebody cancelled it.
            UnknownWorkflowError, InvalidInputError: it cannot be started.
        """
        return wait_for_operation(self._reserve_child(step, "call", target, data, on_parent_end))

    @overload
    async def start(
        self,
        step: str,
        target: WorkflowRef[I, O],
        data: I,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[O]: ...

    @overload
    async def start(
        self,
        step: str,
        target: WorkflowRef[None, O],
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[O]: ...

    @overload
    async def start(
        self,
        step: str,
        target: str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Child[Any]: ...

    def start(
        self,
        step: str,
        target: WorkflowRef[Any, Any] | str,
        data: Any = MISSING,
        *,
        on_parent_end: OnParentEnd = "abandon",
        description: str | None = None,
    ) -> Coroutine[Any, Any, Child[Any]]:
        """Start another workflow as a child and go on; await what this gives for the child's result.

        Arguments and errors as for `call`, but a child that is started goes on alone when this run ends.
        """
        operation = self._reserve_child(step, "start", target, data, on_parent_end)

        async def started() -> Child[Any]:
            operation.ask()
            return Child(operation)

        return started()

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
                `"collect"`: nothing is raised; a branch that failed has a StepError in its place.
            limit: how many branches run at once; None for all.
            description: one line for people.

        Returns:
            Results by name, in the order of the branches; of those alone that have ended.

        Raises:
            HandleError: an argument cannot work.
        """
        self._check("parallel")
        return run_branches(branches, wait_for, errors, limit)

    def now(self) -> datetime:
        """The time of the last thing that happened to the run, in UTC: the same in every replay."""
        self._check("now")
        return datetime.fromtimestamp(self._execution.now, UTC)

    def uuid(self, name: str | None = None) -> UUID:
        """A random-looking UUID that is the same in every replay."""
        return UUID(int=self.random(name or "uuid").getrandbits(128), version=4)

    def random(self, name: str | None = None) -> random.Random:
        """A generator of random numbers that gives the same ones in every replay.

        It derives from the run, the branch and the last completed operation; a name tells several apart.
        """
        self._check("random")
        return random.Random(self._execution.seed(name or ""))

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
        return self._execution.patched(change)

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
        raise ContinueAsNew(self._execution.next_input(data))

    @property
    def run_id(self) -> RunId:
        """This run's id."""
        return self._execution.run.run_id

    @property
    def log(self) -> RunLogger:
        """A logger that carries the run's id and says nothing during replay."""
        return self._execution.log

    def _reserve_hook(self, step: str, form: str, model: Any, timeout: Duration | None) -> Operation:
        wait = HOOK_TIMEOUT if timeout is None else seconds(timeout)
        return self._reserve(step, form, due=self._execution.now + wait, annotation=model)

    def _reserve_child(self, step: str, form: str, target: Any, data: Any, on_parent_end: OnParentEnd) -> Operation:
        if on_parent_end not in ("cancel", "abandon"):
            raise HandleError(
                f"{form} {step!r}: on_parent_end={on_parent_end!r:.80} is unknown.", hint='It is "cancel" or "abandon".'
            )
        name = target.id if isinstance(target, WorkflowRef) else target
        if not isinstance(name, str):
            raise HandleError(
                f"{form} {step!r}: {target!r:.80} is no workflow.", hint="Give its name or `workflows.<name>`."
            )
        operation = self._reserve(step, form, target=name)
        self._execution.prepare_child(operation, data, on_parent_end)
        return operation

    def _reserve(self, step: str, form: str, **details: Any) -> Operation:
        self._check(step)
        if not isinstance(step, str) or not is_step_name(step):
            raise HandleError(
                f"{step!r:.80} cannot name a step.",
                hint=f"Use printable text of 1 to {MAX_STEP_NAME} characters.",
            )
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


class Workflow(WorkflowBase):
    """The handle without generated types: any worker id, result `Any`."""

    def do(
        self,
        step: str,
        target: Any,
        data: Any = MISSING,
        *,
        retry: Retry | None = None,
        timeout: Duration | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a step: at least once, and never again once its completion is recorded.

        Args:
            step: the step's name.
            target: a worker's id or reference, or any callable. Plain functions run in a thread.
            data: the input; a callable is called with it if it is given.
            retry: policy; default the worker's, then the workflow's, then one attempt.
            timeout: of one attempt; default the worker's.
            description: one line for people.

        Raises:
            StepError: it failed for good.
            StepTimeoutError: its last attempt took too long.
            InvalidInputError: data does not fit the worker's input.
        """
        if isinstance(target, WorkerRef):
            worker: str | None = target.id
        elif isinstance(target, str):
            worker = target
        elif callable(target):
            worker = self._execution.registry.worker_of(target)
        else:
            raise HandleError(
                f"step {step!r}: {target!r:.80} is neither a worker nor callable.",
                hint="Give a worker's id, a reference such as `workers.users.create`, or a function.",
            )
        limit = None if timeout is None else seconds(timeout)
        if worker is not None:
            definition = self._execution.registry.worker(worker)
            operation = self._reserve(step, "rpc", target=worker, data=data, retry=retry, timeout=limit)
            operation.prepare_worker(definition)
        else:
            operation = self._reserve(step, "inline", data=data, retry=retry, timeout=limit)
            operation.prepare_function(cast("Callable[..., Any]", target))
        return wait_for_operation(operation)


class Hook(Generic[T]):
    """An open hook: send its token, then await it."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    @property
    def token(self) -> HookToken:
        """What resumes it; whoever holds it may resume."""
        assert self._operation.token is not None
        return self._operation.token

    def __await__(self) -> Generator[Any, Any, T]:
        return wait_for_operation(self._operation).__await__()
