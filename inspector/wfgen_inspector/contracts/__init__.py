"""What functions and steps promise each other: types of inputs, results and payloads, and hooks that are awaited."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from wfgen.manifest import WorkerEntry, WorkflowEntry
from wfgen_inspector.constants import text
from wfgen_inspector.contracts import hooks
from wfgen_inspector.contracts.effects import effects
from wfgen_inspector.contracts.kinds import Kinds, Values
from wfgen_inspector.contracts.payloads import Payloads
from wfgen_inspector.control.code import Body, Operation
from wfgen_inspector.facts import CallFact, Contracts, EffectFact, ResultFact, SignatureFact
from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Function, Scope, parameters

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

__all__ = ["Entry", "examine"]

Entry = WorkflowEntry | WorkerEntry
Report = Callable[[str, ast.expr, str, str], None]


def examine(reading: Reading, bodies: Iterable[Body], entries: Iterable[Entry]) -> Contracts:
    """Report payloads that cannot be stored and hooks that nobody awaits, and gather what other files are judged by.

    Args:
        reading: the file, after its definitions were read.
        bodies: its workflow code.
        entries: its workflows and workers.
    """
    kinds = Kinds(reading.resolver)
    payloads = Payloads(kinds)
    signatures: dict[str, SignatureFact] = {}
    found: list[EffectFact] = []

    def report(code: str, node: ast.expr, message: str, hint: str) -> None:
        reading.problem(code, reading.text.span(node), message, hint)

    for entry in entries:
        function = reading.scope.names.functions.get(entry.function)
        if function is None or entry.function in signatures:
            continue
        signatures[entry.function] = _signature(reading, entry, function, kinds, payloads, report)
        if isinstance(entry, WorkerEntry) and not entry.takes_job:
            found += effects(function, entry.function, reading.module, reading.resolver)
    calls: list[CallFact] = []
    results: list[ResultFact] = []
    for body in bodies:
        hooks.examine(body)
        values = Values(body, kinds)
        for operation in body.operations:
            if operation.method in ("hook", "create_hook"):
                _payload(body, payloads, operation)
            elif operation.method in ("do", "call", "start", "compensate"):
                calls += _call(body, values, operation)
        results += _results(body, values, kinds)
    return Contracts(tuple(signatures.values()), tuple(calls), tuple(results), tuple(found))


def _signature(
    reading: Reading, entry: Entry, function: Function, kinds: Kinds, payloads: Payloads, report: Report
) -> SignatureFact:
    what = f"worker {entry.id!r}" if isinstance(entry, WorkerEntry) else f"workflow {entry.name!r}"
    taken = next((p.annotation for p in parameters(function.args) if p.arg == entry.input_name), None)
    for annotation, role in ((taken, "input"), (function.returns, "result")):
        if annotation is not None:
            _judge(payloads, annotation, reading.scope, reading.module, f"the {role} of {what}", report)
    return SignatureFact(
        entry.function,
        kinds.annotated(taken, reading.scope, reading.module),
        kinds.annotated(function.returns, reading.scope, reading.module),
    )


def _payload(body: Body, payloads: Payloads, operation: Operation) -> None:
    model = operation.given.get("model")
    if model is None:
        return
    name = text(operation.given.get("step"), body.scope)
    what = "the payload of a hook" if name is None else f"the payload of hook {name!r:.80}"

    def report(code: str, node: ast.expr, message: str, hint: str) -> None:
        body.problem(code, node, message, hint)

    _judge(payloads, model, body.scope, body.module, what, report)


def _judge(payloads: Payloads, annotation: ast.expr, scope: Scope, module: Module, what: str, report: Report) -> None:
    refusal = payloads.refusal(annotation, scope, module)
    if refusal is not None:
        report(
            "WF407",
            refusal.node,
            f"{what} cannot be stored: it is, or holds, {refusal.shown}, which is no data.",
            "Use a model, a dataclass, or plain values.",
        )
        return
    untyped = payloads.untyped(annotation, scope, module)
    if untyped is not None:
        report(
            "WF408",
            annotation,
            f"{what} is `{untyped}`, which says nothing about what is in it.",
            "Say what it holds: a model, a dataclass, or a parametrised type such as `dict[str, int]`.",
        )


def _call(body: Body, values: Values, operation: Operation) -> Iterator[CallFact]:
    """What a step gives to its target; nothing if arguments are hidden behind `*` or `**`."""
    call, arguments = operation.call, operation.given
    target, data = arguments.get("target"), arguments.get("data")
    hidden = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
    if target is None or hidden or isinstance(target, ast.Lambda):
        return
    name = text(arguments.get("step"), body.scope)
    yield CallFact(
        step="this step" if name is None else f"step {name!r:.80}",
        file=body.module.path,
        span=body.span(call),
        target=values.place(target),
        data=None if data is None else values.of(data),
        data_span=body.span(call if data is None else data),
        is_none=isinstance(data, ast.Constant) and data.value is None,
    )


def _results(body: Body, values: Values, kinds: Kinds) -> Iterator[ResultFact]:
    """Declared types of what steps give: of the name that takes it, and of the function that returns it."""
    for assignment in body.all(ast.AnnAssign):
        if isinstance(assignment.target, ast.Name) and _is_step(body, assignment.value):
            yield from _result(
                body, values, kinds, assignment.value, assignment.annotation, f"{assignment.target.id!r} is declared as"
            )
    if isinstance(body.function, ast.AsyncFunctionDef):
        for returned in body.all(ast.Return):
            if _is_step(body, returned.value):
                yield from _result(
                    body, values, kinds, returned.value, body.function.returns, f"{body.function.name!r} returns"
                )


def _is_step(body: Body, node: ast.expr | None) -> bool:
    return isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and node.value in body.reading.operations


def _result(
    body: Body, values: Values, kinds: Kinds, value: ast.expr | None, annotation: ast.expr | None, place: str
) -> Iterator[ResultFact]:
    declared = kinds.annotated(annotation, body.scope, body.module)
    if value is not None and declared:
        known = values.of(value)
        if known.classes or known.result_of:
            yield ResultFact(body.module.path, body.span(value), place, known, declared)
