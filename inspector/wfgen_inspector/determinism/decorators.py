"""Decorators of the project: what they put around a function."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from wfgen_inspector.determinism.meaning import Meaning
from wfgen_inspector.symbols import ClassSymbol, FunctionSymbol, InstanceSymbol, Symbol


def wrappers(function: FunctionSymbol, meaning: Meaning) -> Iterator[tuple[FunctionSymbol, str]]:
    """Functions that run whenever a decorated one is called, each with the decorator's name."""
    if isinstance(function.node, ast.Lambda):
        return
    for decorator in function.node.decorator_list:
        outer, levels = (decorator.func, 2) if isinstance(decorator, ast.Call) else (decorator, 1)
        for symbol in meaning.of(outer, function.scope, function.module):
            for wrapper in _given(symbol, levels, meaning):
                yield wrapper, ast.unparse(outer)


def _given(symbol: Symbol, levels: int, meaning: Meaning) -> list[FunctionSymbol]:
    """Functions that a decorator gives in place of the decorated one."""
    if isinstance(symbol, ClassSymbol) and levels == 1:
        members = meaning.resolver.member(InstanceSymbol(symbol), "__call__", symbol.module)
        return [member for member in members if isinstance(member, FunctionSymbol)]
    if not isinstance(symbol, FunctionSymbol) or isinstance(symbol.node, ast.Lambda):
        return []
    scope = meaning.resolver.function_scope(symbol)
    inner: list[FunctionSymbol] = []
    for statement in _statements(symbol.node.body):
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name | ast.Lambda):
            for found in meaning.of(statement.value, scope, symbol.module):
                if isinstance(found, FunctionSymbol) and found.scope is scope:
                    inner.append(found)
    if levels == 1:
        return inner
    return [deeper for one in inner for deeper in _given(one, levels - 1, meaning)]


def _statements(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements of a body and of the blocks in it, but not of functions and classes."""
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            left.extend(ast.iter_child_nodes(node))
