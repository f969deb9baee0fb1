"""Names and expressions to what they stand for, across the modules of the project, as Python would find them.

Flow is not followed: a name means whatever it is bound to in its scope. Where several definitions or imports bind it
(`try: import`, `if sys.version_info`), all of them are meant; where anything unknown binds it too, nothing is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.modules import Module
from wfgen_inspector.program import Program
from wfgen_inspector.scopes import BUILTINS, Bound, Function, Imported, Scope
from wfgen_inspector.symbols import (
    ClassSymbol,
    ExternalSymbol,
    FunctionKind,
    FunctionSymbol,
    InstanceSymbol,
    ModuleSymbol,
    Symbol,
    ValueSymbol,
)
from wfgen_inspector.types import unquoted

Symbols = tuple[Symbol, ...]
"""Alternatives; empty when nothing is known."""

_MAX_DEPTH = 24
"""Steps from a name to what it means: imports of imports, aliases of aliases."""
_PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})
_OPTIONALS = frozenset({"typing.Optional", "typing_extensions.Optional"})
_WRAPPERS = frozenset({"typing.Annotated", "typing.Final", "typing.ClassVar", "typing_extensions.Annotated"})
_KINDS: dict[str, FunctionKind] = {
    "builtins.staticmethod": "static",
    "builtins.classmethod": "class",
    "builtins.property": "property",
    "functools.cached_property": "property",
}


class Resolver:
    """Looks things up in one program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    # Expressions

    def resolve(self, node: ast.expr, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What an expression may stand for.

        Args:
            node: an expression of `module`.
            scope: in which it stands.
            module: the file, on which everything that is looked up makes it depend.
            depth: how many steps led here.
        """
        if depth > _MAX_DEPTH:
            return ()
        match node:
            case ast.Name(id=name):
                return self._name(name, scope, module, depth)
            case ast.Attribute(value=value, attr=name):
                found = self.resolve(value, scope, module, depth + 1)
                return tuple(s for symbol in found for s in self.member(symbol, name, module, depth + 1))
            case ast.Call():
                return self.result(node, scope, module, depth + 1)
            case ast.Lambda():
                return (FunctionSymbol(module, node, scope),)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.resolve(value, scope, module, depth + 1)
            case _:
                return ()

    def result(self, call: ast.Call, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What a call gives: an instance of a class, the function inside a `partial`, what a function's annotation
        says."""
        found: list[Symbol] = []
        for symbol in self.resolve(call.func, scope, module, depth + 1):
            match symbol:
                case ClassSymbol():
                    found.append(InstanceSymbol(symbol))
                case ExternalSymbol(qualified=name) if name in _PARTIALS:
                    found += self.resolve(call.args[0], scope, module, depth + 1) if call.args else ()
                case ExternalSymbol(qualified=name) if name == "builtins.super":
                    found += self._super(scope, module, depth)
                case ExternalSymbol(qualified=name) if name.rpartition(".")[2][:1].isupper():
                    found.append(InstanceSymbol(symbol))
                case FunctionSymbol(node=ast.FunctionDef() | ast.AsyncFunctionDef() as function):
                    found += self.annotated(function.returns, symbol.scope, symbol.module, depth + 1)
                case _:
                    pass
        return tuple(dict.fromkeys(found))

    def annotated(self, annotation: ast.expr | None, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """Instances of what an annotation names; `None` beside it is passed over."""
        plain = unquoted(annotation)
        match plain:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return (*self.annotated(left, scope, module, depth), *self.annotated(right, scope, module, depth))
            case ast.Subscript(value=value, slice=inner):
                outer = self.resolve(value, scope, module, depth + 1)
                names = {symbol.qualified for symbol in outer if isinstance(symbol, ExternalSymbol)}
                if names & (_OPTIONALS | _WRAPPERS):
                    first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
                    return self.annotated(first, scope, module, depth + 1)
                return _instances(outer)
            case ast.Name() | ast.Attribute():
                return _instances(self.resolve(plain, scope, module, depth + 1))
            case _:
                return ()

    # Names

    def _name(self, name: str, scope: Scope, module: Module, depth: int) -> Symbols:
        found = scope.find(name)
        if found is not None:
            return self.bound(name, found, module, depth + 1)
        for star in scope.module.names.stars:
            symbols = self.lookup(f"{star}.{name}", module, depth + 1)
            if symbols and not all(isinstance(s, ExternalSymbol) for s in symbols):
                return symbols
        if name in BUILTINS:
            return (ExternalSymbol(f"builtins.{name}"),)
        unknown = [star for star in scope.module.names.stars if not self.program.exists(star, module)]
        return (ExternalSymbol(f"{unknown[0]}.{name}"),) if len(unknown) == 1 else ()

    def bound(self, name: str, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What a scope binds a name to."""
        symbols: list[Symbol] = []
        for what in scope.names.bound.get(name, ()):
            found = self._bound(name, what, scope, module, depth)
            if not found:
                return ()
            symbols += found
        if not symbols and name in scope.names.annotations:
            symbols += self.annotated(scope.names.annotations[name], scope, module, depth + 1)
        return tuple(dict.fromkeys(symbols))

    def _bound(self, name: str, what: Bound, scope: Scope, module: Module, depth: int) -> Symbols:
        match what:
            case Imported():
                return self.lookup(what.qualified, module, depth + 1)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return (self._function(what, scope, module, depth),)
            case ast.ClassDef():
                return (ClassSymbol(module, what, scope),)
            case ast.arg():
                if scope.receiver is not None and scope.receiver[0] == name:
                    return (scope.receiver[1],)
                return self.annotated(what.annotation, scope, module, depth + 1)
            case ast.withitem():
                return self.resolve(what.context_expr, scope, module, depth + 1)
            case ast.expr():
                if name in scope.names.annotations:
                    stated = self.annotated(scope.names.annotations[name], scope, module, depth + 1)
                    if stated:
                        return stated
                found = self.resolve(what, scope, module, depth + 1)
                return found or (ValueSymbol(module, what, scope, name),)
            case _:
                return ()

    def _function(self, node: Function, scope: Scope, module: Module, depth: int) -> FunctionSymbol:
        kind: FunctionKind = "method" if scope.is_class else "function"
        for decorator in node.decorator_list:
            for symbol in self.resolve(decorator, scope, module, depth + 1):
                if isinstance(symbol, ExternalSymbol) and symbol.qualified in _KINDS:
                    kind = _KINDS[symbol.qualified]
        return FunctionSymbol(module, node, scope, kind)

    # Dotted names

    def lookup(self, qualified: str, asked_by: Module, depth: int = 0) -> Symbols:
        """What an absolute dotted name stands for: of the project, or outside of it."""
        if depth > _MAX_DEPTH:
            return ()
        parts = qualified.split(".")
        if not self.program.exists(parts[0], asked_by):
            return (ExternalSymbol(qualified),)
        symbols: Symbols = (ModuleSymbol(parts[0]),)
        for part in parts[1:]:
            symbols = tuple(s for symbol in symbols for s in self.member(symbol, part, asked_by, depth + 1))
        return symbols

    def member(self, symbol: Symbol, name: str, asked_by: Module, depth: int = 0) -> Symbols:
        """What `.name` of something stands for."""
        if depth > _MAX_DEPTH:
            return ()
        match symbol:
            case ModuleSymbol(name=module_name):
                return self._of_module(module_name, name, asked_by, depth)
            case ClassSymbol():
                return self._of_class(symbol, name, None, depth)
            case InstanceSymbol(of=ClassSymbol() as owner):
                return self._of_class(owner, name, symbol, depth)
            case ExternalSymbol(qualified=qualified) | InstanceSymbol(of=ExternalSymbol(qualified=qualified)):
                return (ExternalSymbol(f"{qualified}.{name}"),)
            case _:
                return ()

    def _of_module(self, module_name: str, name: str, asked_by: Module, depth: int) -> Symbols:
        module = self.program.module(module_name, asked_by)
        if module is not None:
            if module.scope.names.count.get(name):
                return self.bound(name, module.scope, module, depth + 1)
            for star in module.scope.names.stars:
                found = self.lookup(f"{star}.{name}", module, depth + 1)
                if found:
                    return found
        if self.program.exists(f"{module_name}.{name}", asked_by):
            return (ModuleSymbol(f"{module_name}.{name}"),)
        if module is None:
            return (ExternalSymbol(f"{module_name}.{name}"),)
        return ()

    # Classes

    def lineage(self, symbol: ClassSymbol, depth: int = 0) -> Iterator[ClassSymbol | ExternalSymbol]:
        """A class and its bases, nearest first, each once; a base that is not known is left out."""
        seen: set[ClassSymbol | ExternalSymbol] = set()
        left: list[ClassSymbol | ExternalSymbol] = [symbol]
        while left:
            one = left.pop(0)
            if one in seen or len(seen) > _MAX_DEPTH:
                continue
            seen.add(one)
            yield one
            if isinstance(one, ClassSymbol):
                for base in one.node.bases:
                    plain = base.value if isinstance(base, ast.Subscript) else base
                    found = self.resolve(plain, one.scope, one.module, depth + 1)
                    left += [s for s in found if isinstance(s, ClassSymbol | ExternalSymbol)]

    def class_scope(self, symbol: ClassSymbol) -> Scope:
        """The scope of a class's body."""
        return Scope(symbol.module.names_of(symbol.node), symbol.scope, is_class=True)

    def function_scope(self, symbol: FunctionSymbol) -> Scope:
        """A new scope for a function's body; `self` and `cls` are known in it."""
        scope = Scope(symbol.module.names_of(symbol.node), symbol.scope)
        first = next(iter([*symbol.node.args.posonlyargs, *symbol.node.args.args]), None)
        if symbol.owner is not None and first is not None and symbol.kind in ("method", "property"):
            scope.receiver = (first.arg, InstanceSymbol(symbol.owner))
        elif symbol.owner is not None and first is not None and symbol.kind == "class":
            scope.receiver = (first.arg, symbol.owner)
        return scope

    def _of_class(self, owner: ClassSymbol, name: str, instance: InstanceSymbol | None, depth: int) -> Symbols:
        for one in self.lineage(owner, depth + 1):
            if isinstance(one, ExternalSymbol):
                continue
            scope = self.class_scope(one)
            if scope.names.count.get(name) is not None:
                found = self.bound(name, scope, one.module, depth + 1)
                return tuple(_member(symbol, owner, instance) for symbol in found)
            if instance is not None:
                assigned = self._assigned(one, name, depth)
                if assigned:
                    return assigned
        return ()

    def _assigned(self, owner: ClassSymbol, name: str, depth: int) -> Symbols:
        """What `self.name = …` in `__init__` assigns, if it is assigned once."""
        initialiser = owner.module.names_of(owner.node).functions.get("__init__")
        if initialiser is None or not initialiser.args.args:
            return ()
        receiver = initialiser.args.args[0].arg
        values: list[tuple[ast.expr | None, ast.expr | None]] = []
        for node in ast.walk(initialiser):
            for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
                match target:
                    case ast.Attribute(value=ast.Name(id=base), attr=own) if (base, own) == (receiver, name):
                        values.append((getattr(node, "value", None), getattr(node, "annotation", None)))
                    case _:
                        pass
        if len(values) != 1:
            return ()
        value, annotation = values[0]
        symbol = FunctionSymbol(owner.module, initialiser, self.class_scope(owner), "method", owner)
        scope = self.function_scope(symbol)
        stated = self.annotated(annotation, scope, owner.module, depth + 1)
        return stated or (() if value is None else self.resolve(value, scope, owner.module, depth + 1))

    def _super(self, scope: Scope, module: Module, depth: int) -> Symbols:
        """`super()`: the bases of the class around."""
        around: Scope | None = scope
        while around is not None:
            if around.receiver is not None:
                receiver = around.receiver[1]
                owner = receiver.of if isinstance(receiver, InstanceSymbol) else receiver
                if isinstance(owner, ClassSymbol):
                    bases = list(self.lineage(owner, depth + 1))[1:2]
                    return tuple(InstanceSymbol(base) for base in bases)
            around = around.parent
        return ()


def _instances(symbols: Symbols) -> Symbols:
    return tuple(InstanceSymbol(symbol) for symbol in symbols if isinstance(symbol, ClassSymbol | ExternalSymbol))


def _member(symbol: Symbol, owner: ClassSymbol, instance: InstanceSymbol | None) -> Symbol:
    """A member as seen from an instance or from the class itself."""
    if not isinstance(symbol, FunctionSymbol):
        return symbol
    kind = symbol.kind
    if instance is None and kind in ("method", "property"):
        kind = "function"  # called on the class, nothing is bound
    return FunctionSymbol(symbol.module, symbol.node, symbol.scope, kind, owner)
