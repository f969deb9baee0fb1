"""State that all runs of a process share: names and objects of modules and classes that functions change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wfgen_inspector.scopes import Imported, Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, InstanceSymbol, ModuleSymbol, Symbol, ValueSymbol

if TYPE_CHECKING:
    from wfgen_inspector.determinism.expressions import Expressions

_CHANGES = frozenset(
    [
        "append",
        "appendleft",
        "extend",
        "extendleft",
        "insert",
        "remove",
        "pop",
        "popleft",
        "popitem",
        "clear",
        "sort",
        "reverse",
        "rotate",
        "add",
        "discard",
        "update",
        "setdefault",
        "subtract",
        "intersection_update",
        "difference_update",
        "symmetric_difference_update",
        "move_to_end",
    ]
)
"""Methods of the built-in containers that change them."""
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


class Sharing:
    """Finds changes of shared state in one function, and uses of names that others rebind."""

    def __init__(self, walk: Expressions) -> None:
        self._walk = walk
        self._containers = walk.table.groups["containers"]
        self.declared: set[str] = set()
        """Names that this function declares `global`."""
        self._filled: set[str] = set()
        """What is only filled in where it is missing, as a cache is."""

    @contextmanager
    def guarded(self, test: ast.expr) -> Iterator[None]:
        """Inside `if value is None:` or `if key not in cache:`, what is missing is filled in: the same each time."""
        with self._filling(set(lazily(test))):
            yield

    @contextmanager
    def missing(self, caught: ast.expr | None, tried: list[ast.stmt]) -> Iterator[None]:
        """Inside `except KeyError:`, what was not found is filled in."""
        names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught is not None else set()
        found: set[str] = set()
        if names & {"KeyError", "LookupError"}:
            inside = (part for statement in tried for part in ast.walk(statement))
            found = {ast.unparse(part.value) for part in inside if isinstance(part, ast.Subscript)}
        with self._filling(found):
            yield

    @contextmanager
    def _filling(self, names: set[str]) -> Iterator[None]:
        before, self._filled = self._filled, self._filled | names
        try:
            yield
        finally:
            self._filled = before

    def stored(self, target: ast.expr) -> None:
        """A target of an assignment or of `del`."""
        if isinstance(target, ast.Name):
            if target.id in self.declared and target.id not in self._filled:
                self._found(target.id, f"rebinds the global `{target.id}`", target)
        elif isinstance(target, ast.Attribute):
            if self._is_shared(target.value, (ClassSymbol, ModuleSymbol, InstanceSymbol)):
                self._changed(target.value, target)
        elif isinstance(target, ast.Subscript) and self._is_shared(target.value, (ValueSymbol, InstanceSymbol)):
            self._changed(target.value, target)

    def call(self, call: ast.Call) -> None:
        """A call of a method that changes its object, or `next` of an iterator that all runs share."""
        function = call.func
        if isinstance(function, ast.Name) and function.id == "next" and call.args:
            self._advanced(function, call.args[0], call)
        if not isinstance(function, ast.Attribute) or function.attr not in _CHANGES:
            return
        if self._is_shared(function.value, (ValueSymbol,)) or self._is_container(function.value):
            self._changed(function.value, call)

    def _advanced(self, function: ast.Name, given: ast.expr, call: ast.Call) -> None:
        if not isinstance(given, ast.Name) or ExternalSymbol("builtins.next") not in self._walk.of(function):
            return
        found = self._walk.scope.find(given.id)
        if found is None or (found.parent is not None and given.id not in found.names.imports):
            return
        if any(isinstance(symbol, ValueSymbol | InstanceSymbol) for symbol in self._walk.of(given)):
            self._found(given.id, f"advances `{given.id}`, which all runs share", call)

    def loaded(self, node: ast.Name, found: Scope) -> None:
        """A name of a module is read."""
        name = node.id
        if found.names.imports.get(name) is None:
            if name not in self.declared and name in self._walk.meaning.rebound(self._walk.module):
                self._found(name, f"reads the global `{name}`, which a function rebinds", node)
            return
        for symbol in self._walk.of(node):
            if isinstance(symbol, ValueSymbol) and symbol.name in self._walk.meaning.rebound(symbol.module):
                self._found(symbol.name, f"reads the global `{symbol.name}`, which a function rebinds", node)

    def attribute(self, node: ast.Attribute) -> None:
        """An attribute is read: perhaps a name of another module."""
        for symbol in self._walk.of(node.value):
            if isinstance(symbol, ModuleSymbol):
                module = self._walk.meaning.resolver.program.module(symbol.name, self._walk.module)
                if module is not None and node.attr in self._walk.meaning.rebound(module):
                    self._found(f"{symbol.name}.{node.attr}", f"reads `{node.attr}`, which a function rebinds", node)

    def _is_shared(self, node: ast.expr, kinds: tuple[type[Symbol], ...]) -> bool:
        """Whether an expression is an object of a module or a class, of one of some kinds."""
        if isinstance(node, ast.Attribute):
            bases = self._walk.of(node.value)
            if any(isinstance(base, ModuleSymbol | ClassSymbol) for base in bases):
                return any(self._fits(symbol, kinds) for symbol in self._walk.of(node))
            return self._is_shared(node.value, (InstanceSymbol,))
        if isinstance(node, ast.Subscript):
            return self._is_shared(node.value, (ValueSymbol, InstanceSymbol))
        if not isinstance(node, ast.Name):
            return False
        found = self._walk.scope.find(node.id)
        if found is None:
            return False
        if found.parent is not None and not any(
            isinstance(what, Imported) for what in found.names.bound.get(node.id, ())
        ):
            return False
        return any(self._fits(symbol, kinds) for symbol in self._walk.of(node))

    def _fits(self, symbol: Symbol, kinds: tuple[type[Symbol], ...]) -> bool:
        if not isinstance(symbol, kinds):
            return False
        match symbol:
            case ValueSymbol(node=value, scope=scope):
                if scope.parent is not None and not scope.is_class:
                    return False
                return isinstance(value, _DISPLAYS) or (
                    isinstance(value, ast.Call)
                    and any(
                        name in self._containers
                        for name in self._walk.meaning.externals(value.func, scope, symbol.module)
                    )
                )
            case InstanceSymbol(of=ExternalSymbol(qualified=qualified)):
                return qualified in self._containers
            case _:
                return True

    def _is_container(self, node: ast.expr) -> bool:
        """Whether an expression is a shared object of one of the containers by its annotation or its class."""
        return self._is_shared(node, (InstanceSymbol,)) and any(
            isinstance(symbol, InstanceSymbol)
            and isinstance(symbol.of, ExternalSymbol)
            and symbol.of.qualified in self._containers
            for symbol in self._walk.of(node)
        )

    def _changed(self, base: ast.expr, node: ast.expr) -> None:
        shown = ast.unparse(base)
        if shown in self._filled:
            return
        self._found(shown, f"changes `{shown}`, which all runs share", node)

    def _found(self, subject: str, act: str, node: ast.expr) -> None:
        self._walk.effect("WF210", subject, act, node)


def lazily(test: ast.expr) -> Iterator[str]:
    """What a condition finds missing: `x is None`, `not x`, `key not in x`."""
    match test:
        case ast.BoolOp(values=values):
            for value in values:
                yield from lazily(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield ast.unparse(operand)
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            yield ast.unparse(left)
        case ast.Compare(ops=[ast.NotIn()], comparators=[container]):
            yield ast.unparse(container)
        case _:
            pass


def rebound_names(module: ast.Module) -> frozenset[str]:
    """Names of a module that its functions rebind by `global`, other than to fill in what is missing."""
    found: set[str] = set()
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        parts = list(ast.walk(function))
        declared = {name for part in parts if isinstance(part, ast.Global) for name in part.names}
        if not declared:
            continue
        filled: set[int] = set()
        for part in parts:
            if isinstance(part, ast.If):
                names = set(lazily(part.test))
                inside = (inner for statement in part.body for inner in ast.walk(statement))
                filled.update(id(inner) for inner in inside if isinstance(inner, ast.Name) and inner.id in names)
        found.update(
            part.id
            for part in parts
            if isinstance(part, ast.Name)
            and part.id in declared
            and not isinstance(part.ctx, ast.Load)
            and id(part) not in filled
        )
    return frozenset(found)
