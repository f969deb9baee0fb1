"""What a step may name as its target: a worker, by its id or its reference, or any function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wfgen.errors import HandleError
from wfgen.references import WorkerRef

if TYPE_CHECKING:
    from wfgen.registry import Registry

Target = WorkerRef[Any, Any] | str | Callable[..., Any]


def worker_of(registry: Registry, target: Any, what: str) -> str | None:
    """The id of the worker that a target is; None for a function that is none.

    Args:
        registry: knows which functions are workers.
        target: what the code has given.
        what: names the step in the error.

    Raises:
        HandleError: it is neither a worker nor a function.
    """
    if isinstance(target, WorkerRef):
        return str(target.id)
    if isinstance(target, str):
        return target
    if callable(target):
        return registry.worker_of(target)
    raise HandleError(
        f"{what}: {target!r:.80} is neither a worker nor callable.",
        hint="Give a worker's id, a reference such as `workers.users.create`, or a function.",
    )


def takes_input(registry: Registry, target: Any, worker: str | None) -> bool:
    """Whether a target takes an input. Raises UnknownWorkerError."""
    if worker is not None:
        return registry.worker(worker).signature.takes_input
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # a callable written in C may not say
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)
