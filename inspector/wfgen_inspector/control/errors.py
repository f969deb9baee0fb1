"""Handlers that take what they should not: cancelling (WF303), everything in silence (WF309), `return` in `finally`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from wfgen_inspector.control.code import Body, inside, waits
from wfgen_inspector.control.outcomes import always_raises, departures
from wfgen_inspector.facts import Replace

_BASE = "builtins.BaseException"
_CANCELLED = frozenset({"asyncio.CancelledError", "asyncio.exceptions.CancelledError"})
_TAKES_CANCEL = _CANCELLED | {_BASE}
_SUPPRESS = "contextlib.suppress"
_GATHERS = frozenset({"asyncio.gather", "asyncio.wait"})
_DEPTH = 4


def examine(body: Body) -> None:
    """Report the handlers of one function."""
    departed: set[ast.stmt] = set()
    for statement in body.tries:
        if statement.handlers:
            _handlers(body, statement)
        departed.update(departures(statement.finalbody))
    _departures(body, departed)
    for block in body.withs:
        _suppressed(body, block)


# Cancelling


def _handlers(body: Body, statement: ast.Try | ast.TryStar) -> None:
    is_around_wait: bool | None = None
    names: list[str | None] = []
    for handler in statement.handlers:
        caught = [(_BASE, None)] if handler.type is None else list(_caught(body, handler.type))
        taken = next((found for found in caught if found[0] in _TAKES_CANCEL), None)
        names += [name for name, _ in caught]
        if taken is None:
            _silent(body, statement, handler, [name for name, _ in caught])
            continue
        if is_around_wait is None:
            is_around_wait = waits(statement.body)
        if is_around_wait and not always_raises(handler.body) and not _awaits_cancelled(body, statement.body):
            star = "*" if isinstance(statement, ast.TryStar) else ""
            has_other = "builtins.Exception" in names
            _swallowed(body, handler, f"except{star}", taken, has_other=has_other)
        break  # what comes later gets no cancelling any more


def _swallowed(
    body: Body, handler: ast.ExceptHandler, word: str, taken: tuple[str | None, ast.expr | None], *, has_other: bool
) -> None:
    name, node = taken
    span = body.span(handler)
    start = span.model_copy(update={"end_line": span.line, "end_column": span.column + len("except")})
    rewrite: Replace | None = None
    if name == _BASE and not has_other and body.scope.find("Exception") is None:
        if node is None:
            place, text = start.model_copy(update={"column": start.end_column}), " Exception"
        else:
            place, text = body.span(node), "Exception"
        rewrite = Replace(place, text, "catch `Exception`, which lets cancelling through")
    shown = f"{word}:" if handler.type is None else f"{word} {body.module.text.source(handler.type)}"
    header = start if handler.type is None else body.module.text.stretch(handler, handler.type)
    hint = "Catch `Exception`, or end the handler with `raise`." if name == _BASE else "End the handler with `raise`."
    body.problem(
        "WF303",
        header,
        f"`{shown}` swallows cancelling: a run that is cancelled while it waits here goes on.",
        hint,
        rewrite,
    )


def _suppressed(body: Body, block: ast.With | ast.AsyncWith) -> None:
    for item in block.items:
        call = item.context_expr
        if not isinstance(call, ast.Call) or body.resolved(call.func) != _SUPPRESS:
            continue
        caught = [found for argument in call.args for found in _caught(body, argument)]
        taken = next(((name, node) for name, node in caught if name in _TAKES_CANCEL), None)
        if taken is None or not waits(block.body) or _awaits_cancelled(body, block.body):
            continue
        name, node = taken
        rewrite: Replace | None = None
        if name == _BASE and node is not None and body.scope.find("Exception") is None:
            rewrite = Replace(body.span(node), "Exception", "suppress `Exception`, which lets cancelling through")
        body.problem(
            "WF303",
            call,
            f"`{body.module.text.source(call)}` swallows cancelling: a run that is cancelled in this block goes on.",
            "Suppress `Exception`." if name == _BASE else "Catch it, and end the handler with `raise`.",
            rewrite,
        )


def _caught(body: Body, node: ast.expr, depth: int = 0) -> Iterator[tuple[str | None, ast.expr]]:
    """What a handler takes: qualified names, and where each is written."""
    if isinstance(node, ast.Tuple):
        for element in node.elts:
            yield from _caught(body, element, depth + 1)
        return
    if isinstance(node, ast.Name) and depth < _DEPTH:
        found = body.scope.find(node.id)
        value = None if found is None else found.names.constant(node.id)
        if isinstance(value, ast.Tuple):
            for name, _ in _caught(body, value, depth + 1):
                yield (None if name == _BASE else name), node  # what is written elsewhere is not mended here
                if name == _BASE:
                    yield "asyncio.CancelledError", node
            return
    yield body.resolved(node), node


def _awaits_cancelled(body: Body, block: list[ast.stmt]) -> bool:
    """Whether all that a block waits for are tasks, and the function cancels one itself: waiting for its end is how one
    does that."""
    for node in inside(block):
        if isinstance(node, ast.AsyncFor | ast.AsyncWith):
            return False
        if isinstance(node, ast.Await):
            value = node.value
            is_gathering = isinstance(value, ast.Call) and body.resolved(value.func) in _GATHERS
            if not is_gathering and not isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
                return False
        if isinstance(node, ast.Call) and node in body.reading.operations:
            return False
    return any(isinstance(call.func, ast.Attribute) and call.func.attr == "cancel" for call in body.calls)


# Silence


def _silent(body: Body, statement: ast.Try | ast.TryStar, handler: ast.ExceptHandler, caught: list[str | None]) -> None:
    if caught != ["builtins.Exception"] or not all(map(_says_nothing, handler.body)):
        return
    lines = body.module.text.lines
    first, last = handler.body[0].lineno, handler.body[-1].end_lineno or handler.body[-1].lineno
    if any("#" in line for line in lines[handler.lineno : last]) and first > handler.lineno:
        return  # somebody says why
    operations = body.reading.operations
    if handler.type is None or not any(node in operations for node in inside(statement.body)):
        return
    body.problem(
        "WF309",
        body.module.text.stretch(handler, handler.type),
        "a step that fails here for good is passed over in silence.",
        "Catch the error that is expected, log it with `workflow.log`, or say in a comment why it does not matter.",
    )


def _says_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


# Finally


def _departures(body: Body, found: Iterable[ast.stmt]) -> None:
    for departure in found:
        word = type(departure).__name__.lower()
        body.problem(
            "WF305",
            departure,
            f"`{word}` in `finally` drops whatever ended the block: errors, and the cancelling of the run.",
            f"Move the `{word}` behind the `try` statement.",
        )
