"""What expressions stand for, where the resolver alone has no answer: attributes and results of known types."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from wfgen_inspector.determinism.sharing import rebound_names
from wfgen_inspector.determinism.table import Table
from wfgen_inspector.modules import Module
from wfgen_inspector.resolution import Resolver, Symbols
from wfgen_inspector.scopes import Scope, parameters
from wfgen_inspector.symbols import (
    ClassSymbol,
    ExternalSymbol,
    FunctionSymbol,
    InstanceSymbol,
    Symbol,
    ValueSymbol,
)

_MAX_DEPTH = 12
_PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})
_PATHS = frozenset({"pathlib.Path", "anyio.Path"})


@dataclass
class Names:
    """What names of modules and builtins were found to mean, by module and dotted name."""

    known: dict[tuple[str, str], Symbols] = field(default_factory=dict)
    rebound: dict[str, frozenset[str]] = field(default_factory=dict)
    """By module, names that its functions rebind."""
    called: dict[ast.AST, frozenset[str]] = field(default_factory=dict)
    """By function, parameters that it calls."""


class Meaning:
    """Expressions to symbols.

    Args:
        resolver: of the program.
        table: for the types of results and attributes.
        own: the file that is being examined.
        shared: what is known of names of all other modules.
    """

    def __init__(self, resolver: Resolver, table: Table, own: Module, shared: Names) -> None:
        self.resolver = resolver
        self.table = table
        self._own = own
        self._names = Names()
        self._shared = shared
        self._local: dict[tuple[Scope, str], Symbols] = {}
        self._values: dict[tuple[ast.expr, ast.ClassDef | None], Symbols | None] = {}
        """What values of names were found to mean; None while that is being found."""

    def of(self, node: ast.expr, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What an expression may stand for."""
        if depth > _MAX_DEPTH:
            return ()
        match node:
            case ast.Name(id=name):
                found = scope.find(name)
                if found is None or found.parent is None:
                    return self._named(node, name, scope, module)
                local = self._local.get((found, name))
                if local is None:
                    local = self._local[found, name] = self.resolver.resolve(node, scope, module)
                return local
            case ast.Attribute(value=value, attr=name):
                return tuple(
                    member
                    for symbol in self.of(value, scope, module, depth + 1)
                    for member in self._member(symbol, name, module, depth)
                )
            case ast.Call():
                return self._result(node, scope, module, depth)
            case ast.Lambda():
                return (FunctionSymbol(module, node, scope),)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.of(value, scope, module, depth + 1)
            case ast.BinOp(left=left, op=ast.Div()):
                found_left = self.of(left, scope, module, depth + 1)
                return tuple(
                    InstanceSymbol(s) for s in map(_instance, found_left) if s is not None and s.qualified in _PATHS
                )
            case _:
                return ()

    def externals(self, node: ast.expr, scope: Scope, module: Module) -> list[str]:
        """Qualified names of what an expression stands for outside the project."""
        return [s.qualified for s in self.of(node, scope, module) if isinstance(s, ExternalSymbol)]

    def rebound(self, module: Module) -> frozenset[str]:
        """Names of a module that one of its functions rebinds by `global`."""
        names = self._names_of(module)
        found = names.rebound.get(module.name)
        if found is None:
            found = rebound_names(module.tree) if "global " in module.text.text else frozenset()
            names.rebound[module.name] = found
        return found

    def called_parameters(self, symbol: FunctionSymbol) -> frozenset[str]:
        """Parameters that a function of the project calls in its own body, not in functions inside it."""
        called = self._names_of(symbol.module).called
        known = called.get(symbol.node)
        if known is None:
            names = {parameter.arg for parameter in parameters(symbol.node.args)}
            left: list[ast.AST] = [symbol.node.body] if isinstance(symbol.node, ast.Lambda) else [*symbol.node.body]
            found: set[str] = set()
            while left:
                node = left.pop()
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    found.add(node.func.id)
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                    left.extend(ast.iter_child_nodes(node))
            known = called[symbol.node] = frozenset(found)
        return known

    def _names_of(self, module: Module) -> Names:
        return self._names if module is self._own else self._shared

    def _named(self, node: ast.Name, name: str, scope: Scope, module: Module) -> Symbols:
        known = self._names_of(module).known
        found = known.get((module.name, name))
        if found is None:
            found = known[module.name, name] = self.resolver.resolve(node, scope.module, module)
        return found

    def _member(self, symbol: Symbol, name: str, module: Module, depth: int) -> Symbols:
        if isinstance(symbol, ValueSymbol):
            inner = self._value(symbol, depth)
            return tuple(member for one in inner for member in self._member(one, name, module, depth + 1))
        if isinstance(symbol, ExternalSymbol) or (
            isinstance(symbol, InstanceSymbol) and isinstance(symbol.of, ExternalSymbol)
        ):
            base = symbol if isinstance(symbol, ExternalSymbol) else symbol.of
            assert isinstance(base, ExternalSymbol)
            qualified = f"{base.qualified}.{name}"
            if isinstance(symbol, InstanceSymbol) and qualified in self.table.types:
                return (InstanceSymbol(ExternalSymbol(self.table.types[qualified])), ExternalSymbol(qualified))
            return (ExternalSymbol(qualified),)
        found = self.resolver.member(symbol, name, module)
        if found or not isinstance(symbol, InstanceSymbol) or not isinstance(symbol.of, ClassSymbol):
            return found
        bases = [base for base in self.resolver.lineage(symbol.of) if isinstance(base, ExternalSymbol)]
        return tuple(ExternalSymbol(f"{base.qualified}.{name}") for base in bases)

    def _value(self, symbol: ValueSymbol, depth: int) -> Symbols:
        """What a name stands for that is bound to an expression of which the resolver knows nothing."""
        if depth >= _MAX_DEPTH or isinstance(symbol.node, ast.Name):
            return ()
        receiver = None if symbol.scope.receiver is None else symbol.scope.receiver[1]
        owner = receiver.of if isinstance(receiver, InstanceSymbol) else receiver
        key = (symbol.node, owner.node if isinstance(owner, ClassSymbol) else None)
        if key not in self._values:
            self._values[key] = None
            found = self.of(symbol.node, symbol.scope, symbol.module, depth + 1)
            self._values[key] = tuple(s for s in found if not isinstance(s, ValueSymbol))
        return self._values[key] or ()

    def _result(self, call: ast.Call, scope: Scope, module: Module, depth: int) -> Symbols:
        found: list[Symbol] = []
        for symbol in self.of(call.func, scope, module, depth + 1):
            match symbol:
                case ClassSymbol():
                    found.append(InstanceSymbol(symbol))
                case ExternalSymbol(qualified=name) if name in self.table.types:
                    found.append(InstanceSymbol(ExternalSymbol(self.table.types[name])))
                case ExternalSymbol(qualified=name) if name in _PARTIALS:
                    found += self.of(call.args[0], scope, module, depth + 1) if call.args else ()
                case ExternalSymbol(qualified="builtins.super"):
                    found += self.resolver.result(call, scope, module)
                case ExternalSymbol(qualified=name) if name.rpartition(".")[2][:1].isupper():
                    found.append(InstanceSymbol(symbol))
                case FunctionSymbol(node=ast.FunctionDef() | ast.AsyncFunctionDef() as function):
                    found += self.resolver.annotated(function.returns, symbol.scope, symbol.module)
                case _:
                    pass
        return tuple(dict.fromkeys(found))


def _instance(symbol: Symbol) -> ExternalSymbol | None:
    if isinstance(symbol, InstanceSymbol) and isinstance(symbol.of, ExternalSymbol):
        return symbol.of
    return None
