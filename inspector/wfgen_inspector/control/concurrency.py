"""Results in the order in which they come (WF308), and what cannot be started in a fixed order (WF310)."""

from __future__ import annotations

import ast

from wfgen_inspector.constants import UNKNOWN, evaluate
from wfgen_inspector.control.code import Body
from wfgen_inspector.symbols import FunctionSymbol

_AS_COMPLETED = "asyncio.as_completed"
_WAIT = "asyncio.wait"
_FIRST = frozenset({"asyncio.FIRST_COMPLETED", "asyncio.tasks.FIRST_COMPLETED"})


def examine(body: Body) -> None:
    """Report where one function depends on which operation ends first."""
    for call in body.calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name == "as_completed" and body.resolved(call.func) == _AS_COMPLETED:
            coroutine = _coroutine(body, call)
            if coroutine is None:
                _report(body, call, "`asyncio.as_completed` gives results in the order in which they come")
            else:
                body.problem(
                    "WF310",
                    coroutine,
                    f"`asyncio.as_completed` starts `{body.module.text.source(coroutine)}` in an order that differs "
                    "from process to process, which is refused at run time.",
                    "Make tasks first: `[asyncio.create_task(c) for c in coroutines]`.",
                )
        elif name == "wait" and body.resolved(call.func) == _WAIT and _is_first(body, call):
            _report(body, call, "`asyncio.wait` goes on with whatever completes first")
    for operation in body.operations:
        if operation.method == "parallel" and "wait_for" in operation.given:
            wanted = evaluate(operation.given["wait_for"], body.scope)
            if wanted is not UNKNOWN and wanted != "all":
                _report(body, operation.call, "`workflow.parallel` goes on with the branches that complete first")


def _report(body: Body, call: ast.Call, what: str) -> None:
    body.problem(
        "WF308",
        call,
        f"{what}: every run may take another path, though its replay takes the same.",
        "Use `asyncio.gather` where all results are needed: it gives them in the order of the calls.",
    )


def _is_first(body: Body, call: ast.Call) -> bool:
    wanted = next((keyword.value for keyword in call.keywords if keyword.arg == "return_when"), None)
    if wanted is None:
        return False
    return body.resolved(wanted) in _FIRST or evaluate(wanted, body.scope) == "FIRST_COMPLETED"


def _coroutine(body: Body, call: ast.Call) -> ast.expr | None:
    """An element that is certainly a plain coroutine: the call of an `async def` of the project."""
    if not call.args:
        return None
    first = call.args[0]
    if isinstance(first, ast.Name):
        found = body.scope.find(first.id)
        first = (None if found is None else found.names.constant(first.id)) or first
    match first:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            pass
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
            elements = [element]
        case _:
            return None
    for element in elements:
        if isinstance(element, ast.Call) and element not in body.reading.operations:
            symbols = body.reading.resolver.resolve(element.func, body.scope, body.module)
            if symbols and all(
                isinstance(symbol, FunctionSymbol)
                and isinstance(symbol.node, ast.AsyncFunctionDef)
                and not symbol.node.decorator_list
                for symbol in symbols
            ):
                return element
    return None
