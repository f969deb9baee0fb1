"""What a function binds its local names to, and where its loops are left early."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from wfgen_inspector.scopes import Function, bound_by, bound_by_pattern

_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True, slots=True)
class Binding:
    """One place that gives a local name a value."""

    line: int
    kind: str
    value: ast.AST | None
    loop: tuple[int, int] | None
    """First and last line of the outermost loop around."""


class Bindings:
    """What a function's local names are bound to, in source order."""

    def __init__(self, function: Function | ast.Lambda, *, walrus: bool) -> None:
        self.table: dict[str, list[Binding]] = {}
        self._loop: tuple[int, int] | None = None
        self._walrus = walrus
        if isinstance(function, ast.Lambda):
            self._named(function)
        else:
            self._block(function.body)

    def _add(self, names: Iterable[str], line: int, kind: str, value: ast.AST | None) -> None:
        for index, name in enumerate(names):
            self.table.setdefault(name, []).append(Binding(line, f"{kind}{index or ''}", value, self._loop))

    def _named(self, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.NamedExpr):
                self._add([part.target.id], part.lineno, "is", part.value)

    def _block(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            outer = self._loop
            if outer is None and isinstance(statement, _LOOPS):
                self._loop = (statement.lineno, statement.end_lineno or statement.lineno)
            self._statement(statement)
            self._loop = outer

    def _statement(self, node: ast.stmt) -> None:
        line = node.lineno
        match node:
            case ast.Expr() | ast.Return():
                pass
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._add(bound_by(target), line, "is" if isinstance(target, ast.Name) else "part", value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._add(bound_by(target), line, "is", value)
            case ast.AugAssign(target=target, op=op, value=value):
                self._add(bound_by(target), line, type(op).__name__, value)
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._add(bound_by(target), line, "each", value)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    if item.optional_vars is not None:
                        self._add(bound_by(item.optional_vars), line, "with", item.context_expr)
            case ast.Match(subject=value, cases=cases):
                for case in cases:
                    self._add(bound_by_pattern(case.pattern), case.pattern.lineno, "match", value)
                    self._block(case.body)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._add([node.name], line, "def", ast.Module(node.body, []))
                return
            case ast.ClassDef():
                return
            case _:
                pass
        if self._walrus:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._named(child)
        for handler in getattr(node, "handlers", ()):
            if handler.name:
                self._add([handler.name], handler.lineno, "error", None)
            self._block(handler.body)
        for part in ("body", "orelse", "finalbody"):
            inner = getattr(node, part, None)
            if isinstance(inner, list):
                self._block(inner)


def leaves(body: Iterable[ast.stmt]) -> list[ast.AST]:
    """The `break` and `continue` of a loop's body, each after the conditions that lead to it."""
    found: list[ast.AST] = []
    for statement in body:
        match statement:
            case ast.Break() | ast.Continue():
                found.append(statement)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass
            case ast.For() | ast.AsyncFor() | ast.While():
                found += leaves(statement.orelse)
            case ast.If(test=test):
                for inner in (leaves(statement.body), leaves(statement.orelse)):
                    found += [test, *inner] if inner else []
            case ast.Match(cases=cases):
                for case in cases:
                    inner = leaves(case.body)
                    guards = [] if case.guard is None else [case.guard]
                    found += [case.pattern, *guards, *inner] if inner else []
            case _:
                for name in ("body", "handlers", "orelse", "finalbody"):
                    for part in getattr(statement, name, ()):
                        found += leaves(part.body if isinstance(part, ast.ExceptHandler) else [part])
    return found
