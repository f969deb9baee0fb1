"""Attributes of instances: what the methods of a class assign to `self`."""

from __future__ import annotations

import ast

from wfgen_inspector.scopes import Function
from wfgen_inspector.symbols import ClassSymbol

Assignments = dict[str, list[tuple[Function, ast.expr | None, ast.expr | None]]]
"""Attribute -> where it is assigned: the method, the value (None if it is no plain one), the annotation."""


def assignments(owner: ClassSymbol) -> Assignments:
    """All assignments to attributes of `self` in the methods of a class."""
    found: Assignments = {}
    for method in owner.module.names_of(owner.node).functions.values():
        first = next(iter([*method.args.posonlyargs, *method.args.args]), None)
        if first is None:
            continue
        for node in ast.walk(method):
            value: ast.expr | None = getattr(node, "value", None)
            annotation: ast.expr | None = None
            targets: list[ast.expr]
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets, annotation = [node.target], node.annotation
            elif isinstance(node, ast.AugAssign):
                targets, value = [node.target], None
            else:
                continue
            for target in targets:
                match target:
                    case ast.Attribute(value=ast.Name(id=base), attr=attr) if base == first.arg:
                        found.setdefault(attr, []).append((method, value, annotation))
                    case _:
                        pass
    return found
