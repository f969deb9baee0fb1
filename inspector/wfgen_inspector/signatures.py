"""Signatures of workflows and workers: what goes in, what comes out."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wfgen.manifest import Span
from wfgen_inspector.facts import Problem
from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Function
from wfgen_inspector.types import UNKNOWN_TYPE, TypeText, base_of, resolve, subscript

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

_JOBS = frozenset({"wfgen.Job", "wfgen.job.Job"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature with its types resolved; without a function, nothing is known of it."""

    handle: str | None = None
    """Name of the parameter that is the workflow handle."""
    input: TypeText | None = UNKNOWN_TYPE
    """None when it takes no input."""
    input_name: str | None = None
    input_required: bool = False
    output: TypeText = UNKNOWN_TYPE
    context: TypeText | None = None
    takes_job: bool = False
    is_async: bool = True

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that the types need."""
        types = (self.input, self.output, self.context)
        return tuple(sorted({module for text in types if text is not None for module in text.imports}))


class Elsewhere:
    """Another module of the project, whose function is made a workflow or a worker in the file that is read.

    Args:
        reading: the file.
        module: the other one; findings stand there.
    """

    def __init__(self, reading: Reading, module: Module) -> None:
        self._reading = reading
        self.module = module
        self.text = module.text
        self.scope = module.scope

    def is_generator(self, node: Function | ast.Lambda) -> bool:
        """Whether a function yields."""
        return self.module.is_generator(node)

    def problem(self, code: str, span: Span, message: str, hint: str | None = None) -> None:
        self._reading.modules[self.module.path] = self.module
        self._reading.problems.append(Problem(code, span, message, hint, file=self.module.path))


def handle_types(generated: str) -> frozenset[str]:
    """Qualified names by which the handle's type may be annotated."""
    return frozenset(
        (
            "wfgen.Workflow",
            "wfgen.WorkflowBase",
            "wfgen.handle.Workflow",
            "wfgen.handle.WorkflowBase",
            f"{generated}.Workflow",
            f"{generated}.workflow.Workflow",
        )
    )


def workflow_signature(reading: Reading | Elsewhere, function: Function, name: str) -> Signature:
    """Signature of a workflow; what the runtime would refuse is reported."""
    if not isinstance(function, ast.AsyncFunctionDef) or reading.is_generator(function):
        what = "a plain `def`" if isinstance(function, ast.FunctionDef) else "a generator"
        reading.problem(
            "WF014",
            _header(reading, function),
            f"workflow {name!r} is {what}.",
            "Make it an `async def` that returns its result.",
        )
    parameters = _parameters(function)
    if not parameters:
        reading.problem(
            "WF014",
            _header(reading, function),
            f"workflow {name!r} takes no workflow handle.",
            "Its first parameter is the handle.",
        )
        return Signature(input=None, output=_output(reading, function))
    (handle, _), *inputs = parameters
    if len(inputs) > 1:
        _too_many(reading, f"workflow {name!r}", inputs)
    _positional(reading, function, f"workflow {name!r}", [parameter for parameter, _ in parameters])
    context = subscript(handle.annotation)
    given = inputs[0] if inputs else None
    return Signature(
        handle=handle.arg,
        input=None if given is None else _input(reading, given[0]),
        input_name=None if given is None else given[0].arg,
        input_required=given is not None and not given[1],
        output=_output(reading, function),
        context=None if context is None else _type(reading, context),
    )


def worker_signature(
    reading: Reading | Elsewhere, function: Function | None, given: ast.expr | Function | None, worker_id: str
) -> Signature:
    """Signature of a worker.

    Args:
        reading: the file.
        function: the worker's function, if it is defined in this file.
        given: what was given to `define_worker`.
        worker_id: for messages.
    """
    if function is None:
        if given is not None and not isinstance(given, Function):
            reading.problem(
                "WF403",
                reading.text.span(given),
                f"the types of worker {worker_id!r} cannot be seen: its function is not defined in this file.",
                "Define an annotated function here that calls it.",
            )
        return Signature()
    parameters = [
        (parameter, has_default, _is_job(reading, parameter)) for parameter, has_default in _parameters(function)
    ]
    inputs = [(parameter, has_default) for parameter, has_default, is_job in parameters if not is_job]
    if len(inputs) > 1:
        _too_many(reading, f"worker {worker_id!r}", inputs)
    _positional(reading, function, f"worker {worker_id!r}", [parameter for parameter, _ in inputs])
    if reading.is_generator(function):
        reading.problem(
            "WF014", _header(reading, function), f"worker {worker_id!r} is a generator.", "Make it return its result."
        )
    first = inputs[0] if inputs else None
    return Signature(
        input=None if first is None else _input(reading, first[0]),
        input_name=None if first is None else first[0].arg,
        input_required=first is not None and not first[1],
        output=_output(reading, function),
        takes_job=any(is_job for _, _, is_job in parameters),
        is_async=isinstance(function, ast.AsyncFunctionDef),
    )


def _parameters(function: Function) -> list[tuple[ast.arg, bool]]:
    """Parameters but for `*args` and `**kwargs`, and whether each has a default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    found = [(parameter, index >= required) for index, parameter in enumerate(positional)]
    found += [(p, default is not None) for p, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return found


def _input(reading: Reading | Elsewhere, parameter: ast.arg) -> TypeText:
    if parameter.annotation is None:
        reading.problem(
            "WF403",
            reading.text.span(parameter),
            f"the input {parameter.arg!r} has no type.",
            "Annotate it: clients and stored data are checked against its type.",
        )
    return _type(reading, parameter.annotation)


def _output(reading: Reading | Elsewhere, function: Function) -> TypeText:
    if function.returns is None:
        reading.problem(
            "WF403",
            _header(reading, function),
            f"{function.name!r} does not say what it returns.",
            "Annotate its result (`-> None` if there is none).",
        )
    return _type(reading, function.returns)


def _type(reading: Reading | Elsewhere, annotation: ast.expr | None) -> TypeText:
    """A type expression; what another module declares is imported from there."""
    found = resolve(annotation, reading.scope)
    return replace(found, local=frozenset()) if isinstance(reading, Elsewhere) else found


def _is_job(reading: Reading | Elsewhere, parameter: ast.arg) -> bool:
    annotation = base_of(parameter.annotation)
    return annotation is not None and reading.scope.qualified(annotation) in _JOBS


def _too_many(reading: Reading | Elsewhere, what: str, inputs: list[tuple[ast.arg, bool]]) -> None:
    names = ", ".join(parameter.arg for parameter, _ in inputs)
    reading.problem(
        "WF014",
        reading.text.stretch(inputs[0][0], inputs[-1][0]),
        f"{what} takes {len(inputs)} inputs: {names}.",
        "Take one; a model or dataclass holds several values.",
    )


def _positional(reading: Reading | Elsewhere, function: Function, what: str, parameters: list[ast.arg]) -> None:
    """Report parameters that the engine, which gives them by position, could not give."""
    for parameter in parameters:
        if parameter in function.args.kwonlyargs:
            reading.problem(
                "WF014",
                reading.text.span(parameter),
                f"{what} takes {parameter.arg!r} by keyword only.",
                "Remove the `*` before it: the engine gives it by position.",
            )


def _header(reading: Reading | Elsewhere, function: Function) -> Span:
    """From `def` to the end of its line."""
    span = reading.text.span(function)
    end = len(reading.text.lines[function.lineno - 1].rstrip()) + 1
    return span.model_copy(update={"end_line": function.lineno, "end_column": end})
