"""Tasks around a run: before its code, and after it, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from wfgen.errors import DefinitionError
from wfgen.ids import RunId
from wfgen.references import WorkerRef
from wfgen.targets import Target

EndStatus = Literal["completed", "failed", "cancelled"]
"""How a run's code ended; a timeout of the run is a failure."""

ALWAYS: tuple[EndStatus, ...] = get_args(EndStatus)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run, as its after tasks are told."""

    run_id: RunId
    workflow: str
    """The workflow's name."""
    version: str
    status: EndStatus
    result: Any = None
    """Completed: the result as plain JSON values."""
    error_type: str | None = None
    """Failed: qualified name of the exception, such as `ValueError` or `shop.errors.OutOfStock`."""
    error: str | None = None
    """Failed: its message."""
    code: str | None = None
    """Failed: its stable code, if it is one of wfgen's own."""


@dataclass(frozen=True, slots=True)
class After:
    """An after task that runs for some outcomes alone: `After("billing.alert", on="failed")`."""

    target: Target
    """A worker's id or reference, or a function at module level; gets the Outcome if it takes an input."""
    on: EndStatus | Sequence[EndStatus] = ALWAYS
    """For which outcomes it runs: one, or several."""


@dataclass(frozen=True, slots=True)
class AroundTask:
    """A before or after task, as its definition has it."""

    name: str
    """A worker's id, or the function's name."""
    target: Target
    on: tuple[EndStatus, ...] = ALWAYS
    """After tasks: for which outcomes it runs."""


def tasks(given: Sequence[Target | After], argument: Literal["before", "after"], what: str) -> tuple[AroundTask, ...]:
    """Check the tasks that a workflow is defined with.

    Args:
        given: the argument's value.
        argument: its name.
        what: names the workflow in errors.

    Raises:
        DefinitionError: one of them cannot serve.
    """
    if isinstance(given, str | After | WorkerRef) or callable(given) or not isinstance(given, Sequence):
        raise DefinitionError(f"{argument}={given!r:.80} of {what} is no list.", hint=f"Write `{argument}=[...]`.")
    return tuple(_task(one, argument, what) for one in given)


def _task(given: Any, argument: str, what: str) -> AroundTask:
    on = ALWAYS
    if isinstance(given, After) and argument == "after":
        on = (given.on,) if isinstance(given.on, str) else tuple(given.on)
        unknown = [one for one in on if one not in ALWAYS]
        if unknown or not on:
            when = f"runs on {unknown[0]!r:.40}" if unknown else "never runs"
            raise DefinitionError(
                f"{given!r:.120} of {what} {when}.",
                hint=f"`on` is one or more of {', '.join(map(repr, ALWAYS))}.",
            )
        given = given.target
    if isinstance(given, str):
        return AroundTask(given, given, on)
    if isinstance(given, WorkerRef):
        return AroundTask(str(given.id), given, on)
    name = getattr(given, "__name__", "<")
    if not callable(given) or "<" in name:
        raise DefinitionError(
            f"{given!r:.80} cannot be {'a' if argument == 'before' else 'an'} {argument} task of {what}.",
            hint="Give a worker's id, a reference such as `workers.users.create`, or a function with a name.",
        )
    return AroundTask(name, given, on)
