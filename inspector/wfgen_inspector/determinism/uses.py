"""What becomes of the names of one function: whether the order of what they hold can be seen."""

from __future__ import annotations

import ast
from dataclasses import dataclass

GROWING = frozenset({"append", "extend", "insert", "appendleft", "put_nowait", "write"})
"""Methods that add to something that has an order."""


@dataclass(slots=True)
class Use:
    """What becomes of one name."""

    is_read: bool = False
    is_seen: bool = False
    """Whether it is read where the order of what it holds shows."""
    is_given: bool = False
    """Whether the function gives it back."""


def uses(function: ast.AST, free: frozenset[str]) -> dict[str, Use]:
    """What becomes of each name that a function reads.

    Args:
        function: with those inside it.
        free: names of functions that give the same whatever the order.
    """
    harmless: set[int] = set()
    given: set[int] = set()
    ordered: set[str] = set()
    loads: list[ast.Name] = []
    for node in ast.walk(function):
        match node:
            case ast.Name(ctx=ast.Load()):
                loads.append(node)
            case ast.Call(func=ast.Name(id=called), args=arguments) if called in free:
                harmless.update(map(id, arguments))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as receiver, attr=method)):
                if method == "sort":
                    ordered.add(name)
                if method in GROWING or method == "sort":
                    harmless.add(id(receiver))
            case ast.Compare(ops=operators, comparators=values):
                if all(isinstance(operator, ast.In | ast.NotIn) for operator in operators):
                    harmless.update(map(id, values))
            case ast.If(test=test) | ast.While(test=test):
                harmless.add(id(test))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                harmless.add(id(operand))
            case ast.Return(value=ast.Name() as value):
                given.add(id(value))
            case _:
                pass
    found: dict[str, Use] = {}
    for node in loads:
        use = found.setdefault(node.id, Use())
        use.is_read = True
        use.is_given = use.is_given or id(node) in given
        use.is_seen = use.is_seen or (id(node) not in harmless and id(node) not in given)
    for name in ordered:
        found[name] = Use(is_read=True)
    return found
