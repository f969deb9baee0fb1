"""Loops that can never end (WF302)."""

from __future__ import annotations

import ast

from wfgen_inspector.constants import UNKNOWN, evaluate
from wfgen_inspector.control.code import Body, inside, waits
from wfgen_inspector.control.outcomes import blocks

_ENDLESS = frozenset({"itertools.count", "itertools.cycle"})
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def examine(found: list[Body]) -> None:
    """Report the endless loops of a file's workflow code."""
    for body in found:
        for loop in body.all(ast.While):
            if _is_always_true(body, loop.test):
                _loop(body, loop, loop.test, f"while {body.module.text.source(loop.test)}", found)
        for turn in body.all(ast.For):
            if _is_endless(body, turn.iter):
                _loop(body, turn, turn.iter, f"for … in {body.module.text.source(turn.iter)}", found)


def _loop(body: Body, loop: ast.While | ast.For, last: ast.expr, shown: str, found: list[Body]) -> None:
    if not waits(loop.body) or _can_end(loop.body) or _is_guarded(body, loop):
        return
    if _starts_again(body, loop, found) or _runs_beside(body, found):
        return
    body.problem(
        "WF302",
        body.module.text.stretch(loop, last),
        f"`{shown}` never ends, and every turn makes the history of the run longer.",
        "After some turns, start anew with `workflow.continue_as_new(data)`, or let the loop end.",
    )


def _is_always_true(body: Body, test: ast.expr) -> bool:
    known = evaluate(test, body.scope)
    return known is not UNKNOWN and bool(known)


def _is_endless(body: Body, iterated: ast.expr) -> bool:
    if not isinstance(iterated, ast.Call):
        return False
    called = body.resolved(iterated.func)
    return called in _ENDLESS or (called == "itertools.repeat" and len(iterated.args) + len(iterated.keywords) == 1)


def _can_end(block: list[ast.stmt], *, nested: bool = False) -> bool:
    """Whether something in a loop leaves it: `break` of its own, `return`, `raise`."""
    for statement in block:
        if isinstance(statement, ast.Return | ast.Raise | ast.Assert):
            return True
        if isinstance(statement, ast.Break) and not nested:
            return True
        if isinstance(statement, _NESTED):
            continue
        is_loop = isinstance(statement, ast.While | ast.For | ast.AsyncFor)
        for field, inner in blocks(statement):
            if _can_end(inner, nested=nested or (is_loop and field == "body")):
                return True
    return False


def _is_guarded(body: Body, loop: ast.stmt) -> bool:
    """Whether an error ends it, which is caught around it: a hook that times out, a step that fails."""
    return any(loop in inside(block.body) for block in body.tries if block.handlers) or any(
        loop in inside(block.body)
        for block in body.withs
        if any(
            isinstance(item.context_expr, ast.Call) and body.resolved(item.context_expr.func) == "contextlib.suppress"
            for item in block.items
        )
    )


def _starts_again(body: Body, loop: ast.stmt, found: list[Body]) -> bool:
    """Whether `continue_as_new` may be called in a loop, by itself or in a helper."""
    helpers: dict[ast.AST, Body] = {one.function: one for one in found}
    left = [(body, call) for call in _calls(loop)]
    seen: set[ast.AST] = set()
    while left:
        owner, call = left.pop()
        operation = owner.reading.operations.get(call)
        if operation is not None:
            if operation[0] == "continue_as_new":
                return True
            continue
        for function in _called(owner, call):
            if function in helpers and function not in seen:
                seen.add(function)
                left += [(helpers[function], inner) for inner in helpers[function].calls]
    return False


def _calls(node: ast.AST) -> list[ast.Call]:
    return [part for part in inside([node]) if isinstance(part, ast.Call)]


def _called(body: Body, call: ast.Call) -> list[ast.AST]:
    symbols = body.reading.resolver.resolve(call.func, body.scope, body.module)
    return [node for symbol in symbols if (node := getattr(symbol, "node", None)) is not None]


def _runs_beside(body: Body, found: list[Body]) -> bool:
    """Whether a helper is started as a task, which somebody else may cancel."""
    for other in found:
        awaited = {node.value for node in other.all(ast.Await)}
        for call in other.calls:
            if call not in awaited and body.function in _called(other, call):
                return True
    return False
