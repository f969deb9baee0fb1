"""`define_workflow` and `define_worker`: what a function is to the engine.

Both leave the function as it is, so that it can be called and tested plainly. The definition is kept in the module in
which it was made, where the registry finds it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Unpack, get_args, overload

from wfgen.around import After, AroundTask, tasks
from wfgen.contexts import ContextFactory
from wfgen.durations import Duration, seconds
from wfgen.errors import DefinitionError, InvalidInputError
from wfgen.lifecycle import NO_HANDLERS, Handler, LifecycleHandlers
from wfgen.middleware import Middleware, check
from wfgen.names import is_name, is_tag
from wfgen.retry import Retry
from wfgen.signatures import Signature, signature_of
from wfgen.step_options import Validate, check_once
from wfgen.targets import Target
from wfgen.workflow_options import ExecutionMode, WorkflowOptions

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound=Callable[..., Coroutine[Any, Any, Any]])

NAMESPACE = "__wfgen_definitions__"
"""Module attribute that holds the definitions made in it, by kind, id and version."""
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
"""Stands for an input that was not given, since None is one."""

Dispatch = Literal["inline", "queue", "webhook"]
"""Where a worker's steps go: into the run's process, or onto a queue. `webhook` is refused: it comes later."""


@dataclass(frozen=True)
class WorkflowDefinition:
    """A workflow as its module defined it."""

    name: str
    version: str
    function: Callable[..., Any]
    description: str | None
    tags: tuple[str, ...]
    timeout: float | None
    """Seconds from the start of a run, or None."""
    hook_timeout: float | None
    """Seconds that its hooks wait by default, or None for 7 days."""
    execution_mode: ExecutionMode
    middleware: tuple[Middleware, ...]
    context: ContextFactory | None
    retry: Retry | None
    """The default of its steps."""
    source: str
    """`file:line` of the function."""
    before: tuple[AroundTask, ...] = ()
    after: tuple[AroundTask, ...] = ()
    handlers: LifecycleHandlers = NO_HANDLERS

    @functools.cached_property
    def signature(self) -> Signature:
        """Input and output types, resolved on first use: annotations may name what is defined later."""
        return signature_of(self.function, f"workflow {self.name!r} ({self.source})", handle=True)

    def sorted_tags(self, more: Collection[str] = ()) -> tuple[str, ...]:
        """The tags of a run: these and those given at its start, sorted, each once.

        Raises:
            InvalidInputError: one of them cannot be a tag.
        """
        if isinstance(more, str):
            raise InvalidInputError(f"tags={more!r:.80} is no list of tags.", hint=f"Write tags=[{more!r:.80}].")
        for tag in more:
            if not is_tag(tag):
                raise InvalidInputError(
                    f"{tag!r:.80} cannot be a tag of a run.", hint="Use printable text of 1 to 100 characters."
                )
        return tuple(sorted({*self.tags, *more}))

    def encode_input(self, data: Any, validate: Callable[[Any, Any, str], bytes]) -> bytes | None:
        """Check and encode an input; `MISSING` for none.

        Args:
            data: the input.
            validate: `Codec.validate`, or `Codec.validate_json` for JSON text.

        Raises:
            InvalidInputError: it does not fit, is missing, or is given and the workflow takes none.
        """
        what = f"the input of workflow {self.name!r}"
        if data is MISSING:
            if self.signature.input_required:
                raise InvalidInputError(f"{what} is missing.")
            return None
        if not self.signature.takes_input:
            raise InvalidInputError(f"{what} is given, but it takes none.", hint="Leave the input out.")
        return validate(data, self.signature.input, what)


@dataclass(frozen=True)
class WorkerDefinition:
    """A worker as its module defined it."""

    id: str
    function: Callable[..., Any]
    description: str | None
    tags: tuple[str, ...]
    timeout: float | None
    """Seconds of one attempt, or None."""
    retry: Retry | None
    dispatch: Dispatch | None
    """None: as the workflow's `execution_mode` says."""
    validate: Validate
    """What becomes of a result that does not fit its type."""
    at_most_once: bool
    source: str
    """`file:line` of the function."""
    expires: float | None = None
    """Seconds that its jobs wait on a queue before they are given up, or None."""

    @functools.cached_property
    def signature(self) -> Signature:
        """Input and output types, resolved on first use."""
        return signature_of(self.function, f"worker {self.id!r} ({self.source})", handle=False)

    def is_queued(self, mode: ExecutionMode) -> bool:
        """Whether a step of a workflow of this execution mode is put on a queue for it."""
        return (self.dispatch or ("queue" if mode == "remote" else "inline")) == "queue"


@overload
def define_workflow(function: W, /, **options: Unpack[WorkflowOptions]) -> W: ...
@overload
def define_workflow(**options: Unpack[WorkflowOptions]) -> Callable[[W], W]: ...
def define_workflow(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    version: str = "1",
    description: str | None = None,
    tags: Sequence[str] = (),
    timeout: Duration | None = None,
    hook_timeout: Duration | None = None,
    execution_mode: ExecutionMode = "inline",
    middleware: Sequence[Middleware] = (),
    context: ContextFactory | None = None,
    retry: Retry | None = None,
    before: Sequence[Target] = (),
    after: Sequence[Target | After] = (),
    on_start: Handler | None = None,
    on_sleep: Handler | None = None,
    on_resume: Handler | None = None,
    on_complete: Handler | None = None,
    on_error: Handler | None = None,
    on_cancel: Handler | None = None,
) -> Any:
    """Define a workflow: `@define_workflow`, `@define_workflow(name=...)` or `define_workflow(function, name=...)`.

    Args:
        function: an `async def` that takes the handle and at most one input.
        name: letters, digits, `_`, `-` and `.`, up to 128; default: the function's name.
        version: the same characters. A run stays on the version that it started with.
        description: one line for people; the docstring serves otherwise.
        tags: for finding it.
        timeout: of a whole run, from its start.
        hook_timeout: of its hooks that have none of their own; default 7 days.
        execution_mode: where steps go whose worker does not say: `"inline"`: they run in the run's process,
            `"remote"`: each is put on a queue, `<workflow>.<step>`, for any process that takes jobs.
        middleware: around its steps and its runs, outermost first, within the process's own.
        context: called with the process's dependencies and a RunStart, which has the run's input, gives
            `workflow.context` and `job.context`. It is called again whenever a process takes a run up, and its value is
            not recorded: it must be quick, and what the workflow's code decides by it must not change within a run.
        retry: policy of its steps that have none of their own.
        before: tasks that run before its code, in order, each as a step: workers, by id or reference, or functions.
            Each gets the run's input, if it takes one. If one fails, the run fails and its code does not run.
        after: tasks that run after its code, in order, each as a step, whatever became of it; `After(...)` for some
            outcomes alone. Each gets the Outcome, if it takes an input. One that fails changes nothing of the outcome.
        on_start: called when a run's code is about to run for the first time. This and the other handlers are called
            with a RunUpdate, in the process that recorded the fact, once it is durable, at their best effort.
        on_sleep: called when a run waits for timers, hooks, children and jobs alone.
        on_resume: called when a run goes on: after that, after it was paused or taken back, or in another process.
        on_complete: called when a run has ended with a result.
        on_error: called when a run has failed.
        on_cancel: called when a run was cancelled.

    Raises:
        DefinitionError: name, version, function or a task cannot serve.
    """
    module = sys._getframe(1).f_globals

    def define(function: F) -> F:
        place = _place(function)
        chosen = name if name is not None else function.__name__
        for text in (chosen, version):
            if not is_name(text):
                raise DefinitionError(
                    f"{text!r} ({place}) cannot name a workflow or its version.",
                    hint="Use letters, digits, '_', '-' and '.', up to 128 characters.",
                )
        if not inspect.iscoroutinefunction(function):
            raise DefinitionError(f"workflow {chosen!r} ({place}) is not an `async def` function.")
        if inspect.iscoroutinefunction(context):
            raise DefinitionError(
                f"the context factory of workflow {chosen!r} ({place}) is an `async def`.",
                hint="Make it a plain function; what takes time belongs in the WorkerProcess's context factory.",
            )
        if execution_mode not in get_args(ExecutionMode):
            raise DefinitionError(
                f"workflow {chosen!r} ({place}): execution_mode={execution_mode!r:.80} is unknown.",
                hint='It is "inline" or "remote".',
            )
        definition = WorkflowDefinition(
            name=chosen,
            version=version,
            function=function,
            description=description,
            tags=tuple(tags),
            timeout=None if timeout is None else seconds(timeout),
            hook_timeout=None if hook_timeout is None else seconds(hook_timeout),
            execution_mode=execution_mode,
            middleware=check(middleware, f"workflow {chosen!r} ({place})"),
            context=context,
            retry=retry,
            source=place,
            before=tasks(before, "before", f"workflow {chosen!r} ({place})"),
            after=tasks(after, "after", f"workflow {chosen!r} ({place})"),
            handlers=LifecycleHandlers(
                on_start=on_start,
                on_sleep=on_sleep,
                on_resume=on_resume,
                on_complete=on_complete,
                on_error=on_error,
                on_cancel=on_cancel,
            ),
        )
        _keep(module, ("workflow", chosen, version), definition, place)
        return function

    return define if function is None else define(function)


@overload
def define_worker(
    id: str,
    function: F,
    /,
    *,
    description: str | None = None,
    tags: Sequence[str] = (),
    timeout: Duration | None = None,
    retry: Retry | None = None,
    dispatch: Dispatch | None = None,
    expires: Duration | None = None,
    validate: Validate = "strict",
    at_most_once: bool = False,
) -> F: ...
@overload
def define_worker(
    id: str,
    /,
    *,
    description: str | None = None,
    tags: Sequence[str] = (),
    timeout: Duration | None = None,
    retry: Retry | None = None,
    dispatch: Dispatch | None = None,
    expires: Duration | None = None,
    validate: Validate = "strict",
    at_most_once: bool = False,
) -> Callable[[F], F]: ...
def define_worker(
    id: str,
    function: Any = None,
    /,
    *,
    description: str | None = None,
    tags: Sequence[str] = (),
    timeout: Duration | None = None,
    retry: Retry | None = None,
    dispatch: Dispatch | None = None,
    expires: Duration | None = None,
    validate: Validate = "strict",
    at_most_once: bool = False,
) -> Any:
    """Define a worker: `@define_worker("users.create")` or `define_worker("users.create", function)`.

    Args:
        id: letters, digits, `_`, `-` and `.`, up to 128.
        function: takes at most one input, and its `Job` if it asks for it by annotation. A plain `def` runs in a
            thread, an `async def` on the engine's loop.
        description: one line for people; the docstring serves otherwise.
        tags: for finding it.
        timeout: of one attempt. A plain `def` cannot be stopped: its thread goes on while the attempt counts as
            failed, and what it still returns is refused. See `Retry.overlap` for the next attempt.
        retry: its policy, unless the step has its own.
        dispatch: `"inline"`: its steps run in the run's process. `"queue"`: they go to any process that takes jobs.
            Default: as the workflow's `execution_mode` says.
        expires: how long a job of it may wait on its queue; then the step fails with JobExpiredError. Default: for
            ever.
        validate: what becomes of a result that does not fit the declared type: `"strict"`: the step fails, without
            another attempt. `"warn"`: it goes on as it is, with a warning in the record.
        at_most_once: never run it a second time for one step: if the process ends in the middle, the step fails with
            StepInterruptedError. Costs a commit before it begins; excludes retries.

    Raises:
        DefinitionError: the id or the function cannot serve.
    """
    module = sys._getframe(1).f_globals

    def define(function: F) -> F:
        place = _place(function)
        if not is_name(id):
            raise DefinitionError(
                f"{id!r} ({place}) cannot be a worker's id.",
                hint="Use letters, digits, '_', '-' and '.', up to 128 characters.",
            )
        if validate not in ("strict", "warn"):
            raise DefinitionError(
                f"worker {id!r} ({place}): validate={validate!r:.80} is unknown.", hint='It is "strict" or "warn".'
            )
        _check_dispatch(dispatch, f"worker {id!r} ({place})")
        if at_most_once and retry is not None:
            check_once(f"worker {id!r} ({place})", retry, DefinitionError)
        definition = WorkerDefinition(
            id=id,
            function=function,
            description=description,
            tags=tuple(tags),
            timeout=None if timeout is None else seconds(timeout),
            retry=retry,
            dispatch=dispatch,
            validate=validate,
            at_most_once=at_most_once,
            source=place,
            expires=None if expires is None else seconds(expires),
        )
        _keep(module, ("worker", id, ""), definition, place)
        return function

    return define if function is None else define(function)


Definitions = dict[tuple[str, str, str], WorkflowDefinition | WorkerDefinition]


def _keep(
    module: dict[str, Any], key: tuple[str, str, str], definition: WorkflowDefinition | WorkerDefinition, place: str
) -> None:
    definitions: Definitions = module.setdefault(NAMESPACE, {})
    earlier = definitions.get(key)
    if earlier is not None:
        kind, name, version = key
        raise DefinitionError(
            f"{kind} {name!r}{f' version {version!r}' if version else ''} is defined twice: "
            f"{earlier.source} and {place}."
        )
    definitions[key] = definition


def _check_dispatch(dispatch: Any, what: str) -> None:
    if dispatch == "webhook":
        raise DefinitionError(
            f'{what}: dispatch="webhook" comes later.', hint='Call the address in the worker, with dispatch="queue".'
        )
    if dispatch not in (None, "inline", "queue"):
        raise DefinitionError(f"{what}: dispatch={dispatch!r:.80} is unknown.", hint='It is "inline" or "queue".')


def _place(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
