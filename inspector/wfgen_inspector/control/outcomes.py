"""How a block of statements may end."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Literal

Outcome = Literal["next", "raise", "leave"]
"""It goes on behind the block; it raises; it leaves otherwise: `return`, `break`, `continue`."""
_NEXT: frozenset[Outcome] = frozenset({"next"})
_LEAVE: frozenset[Outcome] = frozenset({"leave"})
_RAISE: frozenset[Outcome] = frozenset({"raise"})
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def always_raises(body: Iterable[ast.stmt]) -> bool:
    """Whether every path through a block ends with a `raise`."""
    return outcomes(body) == _RAISE


def outcomes(body: Iterable[ast.stmt]) -> frozenset[Outcome]:
    """How a block may end, as far as its statements say: that any call may raise is left aside."""
    found: set[Outcome] = set()
    for statement in body:
        ends = _ends(statement)
        found |= ends - _NEXT
        if "next" not in ends:
            return frozenset(found)
    return frozenset(found | _NEXT)


def departures(body: Iterable[ast.stmt], *, in_loop: bool = False) -> Iterator[ast.Return | ast.Break | ast.Continue]:
    """Statements that leave a block: every `return`, and `break` and `continue` of a loop around it.

    Args:
        body: the block.
        in_loop: whether it is the body of a loop, to which its `break` and `continue` belong.
    """
    for statement in body:
        if isinstance(statement, ast.Return):
            yield statement
        elif isinstance(statement, ast.Break | ast.Continue):
            if not in_loop:
                yield statement
        elif not isinstance(statement, _NESTED):
            is_loop = isinstance(statement, ast.While | ast.For | ast.AsyncFor)
            for field, block in blocks(statement):
                yield from departures(block, in_loop=in_loop or (is_loop and field == "body"))


def blocks(statement: ast.stmt) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The blocks of a compound statement; those of all its `elif`, however many there are."""
    while isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        yield "body", statement.body
        statement = statement.orelse[0]
    for field in ("body", "orelse", "finalbody"):
        block = getattr(statement, field, None)
        if block:
            yield field, block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield "body", part.body


def _ends(statement: ast.stmt) -> frozenset[Outcome]:
    match statement:
        case ast.Raise():
            return _RAISE
        case ast.Return() | ast.Break() | ast.Continue():
            return _LEAVE
        case ast.If():
            arms = [outcomes(block) for _, block in blocks(statement)]
            return frozenset[Outcome]().union(*arms) | (frozenset() if _has_else(statement) else _NEXT)
        case ast.With() | ast.AsyncWith():
            return outcomes(statement.body)
        case ast.While() | ast.For() | ast.AsyncFor():
            inner = outcomes(statement.body)
            returns = any(isinstance(way, ast.Return) for way in departures(statement.body, in_loop=True))
            return (inner - _LEAVE) | _NEXT | (_LEAVE if returns else frozenset())
        case ast.Match(cases=cases):
            found = frozenset[Outcome]().union(*(outcomes(case.body) for case in cases))
            fits = any(
                case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
                for case in cases
            )
            return found if fits else found | _NEXT
        case ast.Try() | ast.TryStar():
            return _try(statement)
        case _:
            return _NEXT


def _has_else(statement: ast.If) -> bool:
    while len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        statement = statement.orelse[0]
    return bool(statement.orelse)


def _try(statement: ast.Try | ast.TryStar) -> frozenset[Outcome]:
    body = outcomes(statement.body)
    if "next" in body:
        body = (body - _NEXT) | outcomes(statement.orelse)
    handled = frozenset[Outcome]().union(*(outcomes(handler.body) for handler in statement.handlers))
    if statement.handlers:
        body -= _RAISE  # a handler may take it; what is raised in one is in `handled`
    final = outcomes(statement.finalbody)
    found = body | handled
    return found | (final - _NEXT) if "next" in final else final
