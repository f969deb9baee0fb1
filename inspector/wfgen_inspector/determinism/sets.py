"""Expressions whose elements come in the order of a set, as far as annotations and assignments show it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from wfgen_inspector.scopes import Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, InstanceSymbol, ValueSymbol
from wfgen_inspector.types import unquoted

if TYPE_CHECKING:
    from wfgen_inspector.determinism.expressions import Expressions

_MAX_DEPTH = 8
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
"""Methods of sets that give another set."""


class Sets:
    """Knows the sets of one function.

    Args:
        walk: through the function.
        gives_unordered: whether what a function of the project gives has the order of a set.
    """

    def __init__(self, walk: Expressions, gives_unordered: Callable[[FunctionSymbol], bool]) -> None:
        self._walk = walk
        self._gives_unordered = gives_unordered
        groups = walk.table.groups
        self._sets, self._numbers = groups["sets"], groups["numbers"]
        self._keeping = groups["passing"] | groups["arranging"] - {"builtins.next"}
        self.waited: set[str] = set()
        """Names that hold what `asyncio.wait` gave."""
        self._known: dict[tuple[Scope, str], bool] = {}
        """Answers for names; a name that is bound to something made of itself is no set for that."""

    def is_unordered(self, node: ast.expr, scope: Scope | None = None, depth: int = 0) -> bool:
        """Whether iterating over an expression follows the order of a set of something else than numbers."""
        scope = scope or self._walk.scope
        if depth > _MAX_DEPTH:
            return False
        match node:
            case ast.Set(elts=elements):
                is_single = len(elements) < 2 and not any(isinstance(element, ast.Starred) for element in elements)
                return not is_single and any(not _is_number(element) for element in elements)
            case ast.SetComp(elt=element):
                return not _is_number(element)
            case ast.Call():
                return self._is_unordered_call(node, scope, depth)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.BitXor(), right=right):
                return self.is_unordered(left, scope, depth + 1) or self.is_unordered(right, scope, depth + 1)
            case ast.BinOp(left=left, op=ast.Sub()):
                return self.is_unordered(left, scope, depth + 1)
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_unordered(body, scope, depth + 1) or self.is_unordered(orelse, scope, depth + 1)
            case ast.BoolOp(values=values):
                return any(self.is_unordered(value, scope, depth + 1) for value in values)
            case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators):
                return any(self.is_unordered(g.iter, scope, depth + 1) for g in generators)
            case ast.Name(id=name):
                return self._is_unordered_name(name, scope, depth)
            case ast.Attribute(value=value, attr=name):
                return self._is_unordered_field(node, value, name, scope)
            case ast.Await(value=value):
                return self.is_unordered(value, scope, depth + 1)
            case _:
                return False

    def _is_unordered_call(self, node: ast.Call, scope: Scope, depth: int) -> bool:
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if method in _METHODS and self.is_unordered(receiver(node), scope, depth + 1):
            return True
        for symbol in self._walk.meaning.of(node.func, scope, self._walk.module):
            if isinstance(symbol, FunctionSymbol):
                returns = getattr(symbol.node, "returns", None)
                if self._says_unordered(returns, symbol.scope, symbol) or self._gives_unordered(symbol):
                    return True
            if not isinstance(symbol, ExternalSymbol):
                continue
            if symbol.qualified in ("builtins.set", "builtins.frozenset"):
                return not node.args or not self._holds_numbers(node.args[0], scope)
            if symbol.qualified in self._keeping:
                return any(self.is_unordered(value, scope, depth + 1) for value in node.args)
        return False

    def _is_unordered_name(self, name: str, scope: Scope, depth: int) -> bool:
        found = scope.find(name)
        if found is None:
            return False
        if name in self.waited and found is self._walk.own:
            return True
        if (found, name) not in self._known:
            self._known[found, name] = False
            self._known[found, name] = self._is_bound_to_unordered(name, found, scope, depth)
        return self._known[found, name]

    def _is_bound_to_unordered(self, name: str, found: Scope, scope: Scope, depth: int) -> bool:
        annotation = found.names.annotations.get(name)
        if annotation is not None:
            return self._says_unordered(annotation, found, None)
        bound = found.names.bound.get(name, ())
        if not bound or any(what is None for what in bound):
            return False
        for what in bound:
            if isinstance(what, ast.arg):
                is_star = found.parent is not None and what.annotation is None
                if is_star or not self._says_unordered(what.annotation, found, None):
                    return False
            elif isinstance(what, ast.expr):
                if isinstance(what, ast.Name) and what.id == name:
                    return False
                if not self.is_unordered(what, found, depth + 1):
                    return False
            else:
                return any(
                    isinstance(symbol, ValueSymbol) and self.is_unordered(symbol.node, symbol.scope, depth + 1)
                    for symbol in self._walk.meaning.of(ast.Name(name, ast.Load()), scope, self._walk.module)
                    if symbol.__class__ is ValueSymbol
                )
        return True

    def _is_unordered_field(self, node: ast.Attribute, value: ast.expr, name: str, scope: Scope) -> bool:
        meaning = self._walk.meaning
        for symbol in meaning.of(value, scope, self._walk.module):
            owner = symbol.of if isinstance(symbol, InstanceSymbol) else symbol
            if isinstance(owner, ClassSymbol):
                for one in meaning.resolver.lineage(owner):
                    if isinstance(one, ClassSymbol):
                        annotation = one.module.names_of(one.node).annotations.get(name)
                        if annotation is not None:
                            return self._says_unordered(annotation, one.scope, one)
        return any(
            isinstance(symbol, ValueSymbol) and isinstance(symbol.node, ast.Set | ast.SetComp)
            for symbol in meaning.of(node, scope, self._walk.module)
        )

    def _says_unordered(
        self, annotation: ast.expr | None, scope: Scope, where: FunctionSymbol | ClassSymbol | None
    ) -> bool:
        """Whether an annotation names a set of something else than numbers."""
        plain = unquoted(annotation)
        if plain is None:
            return False
        module = self._walk.module if where is None else where.module
        externals = self._walk.meaning.externals
        if isinstance(plain, ast.Subscript):
            inner = plain.slice
            if isinstance(inner, ast.Name | ast.Attribute) and any(
                name in self._numbers for name in externals(inner, scope, module)
            ):
                return False
            plain = plain.value
        return isinstance(plain, ast.Name | ast.Attribute) and any(
            name in self._sets for name in externals(plain, scope, module)
        )

    def _holds_numbers(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return all(map(_is_number, node.elts))
        return isinstance(node, ast.Call) and "builtins.range" in self._walk.meaning.externals(
            node.func, scope, self._walk.module
        )


def receiver(call: ast.Call) -> ast.expr:
    """What a method is called on."""
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value is not None
