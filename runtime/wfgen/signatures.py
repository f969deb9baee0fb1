"""What a workflow or a worker takes and gives, by the annotations of its function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from wfgen.errors import DefinitionError
from wfgen.job import Job


@dataclass(frozen=True, slots=True)
class Signature:
    """What goes in and what comes out."""

    takes_input: bool
    input_required: bool
    input: Any
    """The input's type; `Any` without an annotation."""
    output: Any
    job_parameter: str | None
    """Name of the parameter that is annotated with `Job`."""


def signature_of(function: Callable[..., Any], what: str, *, handle: bool) -> Signature:
    """That of a workflow's or a worker's function.

    Args:
        function: the function.
        what: names it in errors.
        handle: whether its first parameter is the workflow's handle.

    Raises:
        DefinitionError: it cannot serve, or its annotations cannot be resolved.
    """
    parameters = [
        p for p in inspect.signature(function).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if handle:
        if not parameters:
            raise DefinitionError(f"{what} takes no workflow handle.", hint="Its first parameter is the handle.")
        parameters = parameters[1:]
    # The handle's own annotation may exist for checkers only, so it is not resolved.
    names = {p.name for p in parameters} | {"return"}
    raw = {name: value for name, value in getattr(function, "__annotations__", {}).items() if name in names}
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        annotations = typing.get_type_hints(SimpleNamespace(__annotations__=raw), globalns=scope, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise DefinitionError(
            f"the annotations of {what} cannot be resolved: {error}.",
            hint="Types in signatures are needed at run time too: import them outside `if TYPE_CHECKING`.",
        ) from None
    job = next((p.name for p in parameters if _is_job(annotations.get(p.name))), None)
    inputs = [p for p in parameters if p.name != job]
    if len(inputs) > 1:
        raise DefinitionError(
            f"{what} takes {len(inputs)} inputs: {', '.join(p.name for p in inputs)}.",
            hint="Take one; a model or dataclass holds several values.",
        )
    given = inputs[0] if inputs else None
    if given is not None and given.kind is given.KEYWORD_ONLY:
        raise DefinitionError(f"{what} takes its input {given.name!r} by keyword only.", hint="Remove the `*`.")
    return Signature(
        takes_input=given is not None,
        input_required=given is not None and given.default is inspect.Parameter.empty,
        input=annotations.get(given.name, Any) if given else None,
        output=annotations.get("return", Any),
        job_parameter=job,
    )


def _is_job(annotation: Any) -> bool:
    return annotation is Job or typing.get_origin(annotation) is Job
