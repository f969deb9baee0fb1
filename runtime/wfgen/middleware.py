"""Middleware: code around the attempts of steps and around workflows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wfgen.errors import DefinitionError
from wfgen.runinfo import RunInfo

if TYPE_CHECKING:
    from wfgen.handle import Workflow

Proceed = Callable[[], Awaitable[Any]]
"""Goes on to the next middleware, and to the step or workflow itself after the last; gives its result."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """One attempt of a step."""

    run: RunInfo
    step: str
    """The step's name."""
    key: str
    """Its identity within the run."""
    attempt: int
    """From 1."""
    worker: str | None
    """The worker's id; None for a function that is no worker."""
    input: Any
    """A copy of what the step is called with; None without input."""
    context: Any
    """The run's context."""


@dataclass(frozen=True, slots=True)
class WorkflowCall:
    """The code of a run, from its start to its end."""

    run: RunInfo
    workflow: Workflow[Any]
    """The run's handle."""
    input: Any
    """What the workflow is called with; None without input."""


class Middleware:
    """The base of middleware: override one method, or both, and await `proceed()` for what is inside, once.

    The first in a list is the outermost; those of the process stand outside those of the workflow.
    """

    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        """Around each attempt of a step, on the engine's loop, within the attempt's timeout.

        It may do input and output. What it returns is the step's result and is checked and recorded as such; what it
        raises is the attempt's failure. It does not run for a step that is recorded as completed.
        """
        return await proceed()

    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        """Around a workflow's function, as a part of its code.

        It runs anew in each replay and has to keep to what holds for workflow code: no input and output, no clock, no
        randomness but the handle's. What it returns is the run's result.
        """
        return await proceed()


def check(middleware: Sequence[Middleware], what: str) -> tuple[Middleware, ...]:
    """Refuse what is no middleware; `what` names the workflow or process that it is given to.

    Raises:
        DefinitionError: there is some.
    """
    for one in middleware:
        if not isinstance(one, Middleware):
            raise DefinitionError(
                f"middleware {one!r:.80} of {what} is no Middleware.",
                hint="Give instances of classes derived from wfgen.Middleware.",
            )
    return tuple(middleware)


def of_steps(middleware: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """Those that have something to do around steps."""
    return tuple(one for one in middleware if type(one).step is not Middleware.step)


def of_workflows(middleware: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """Those that have something to do around workflows."""
    return tuple(one for one in middleware if type(one).workflow is not Middleware.workflow)


def around_step(middleware: Sequence[Middleware], call: StepCall, inner: Proceed) -> Awaitable[Any]:
    """Call a step through middleware, outermost first."""
    if not middleware:
        return inner()
    return middleware[0].step(call, lambda: around_step(middleware[1:], call, inner))


async def around_workflow(middleware: Sequence[Middleware], call: WorkflowCall, inner: Proceed) -> Any:
    """Call a workflow's function through middleware, outermost first."""
    if not middleware:
        return await inner()
    return await middleware[0].workflow(call, lambda: around_workflow(middleware[1:], call, inner))
