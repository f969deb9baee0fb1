"""Names and expressions to what they stand for, across the modules of the project, as Python would find them.

Flow is not followed: a name means whatever it is bound to in its scope. Where several definitions or imports bind it
(`try: import`, `if sys.version_info`), all of them are meant; where anything unknown binds it too, nothing is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from wfgen_inspector.attributes import Assignments, assignments
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
    joined,
    seen_from,
)
from wfgen_inspector.types import unquoted

Symbols = tuple[Symbol, ...]
"""Alternatives; empty when nothing is known."""

_MAX_DEPTH = 24
"""Steps from a name to what it means: imports of imports, aliases of aliases."""
_MAX_STEPS = 500
"""Steps that one question may take all in all: names with several meanings, each made of such names, have no end."""
_MAX_BASES = 50
"""Classes in a lineage."""
_OVERLOADS = frozenset({"typing.overload", "typing_extensions.overload"})
_SETTERS = frozenset({"setter", "deleter"})
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
        self._steps = 0
        """Taken for the question that is being answered."""
        self._is_annotation = False
        """Whether an annotation is looked at: imports below `if TYPE_CHECKING` count there alone."""
        self._assignments: dict[ast.ClassDef, Assignments] = {}

    # Expressions

    def resolve(self, node: ast.expr, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What an expression may stand for.

        Args:
            node: an expression of `module`.
            scope: in which it stands.
            module: the file, on which everything that is looked up makes it depend.
            depth: how many steps led here.
        """
        if self._is_too_long(depth):
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
            case ast.IfExp(body=one, orelse=other) | ast.BoolOp(op=ast.Or(), values=[one, other]):
                first = self.resolve(one, scope, module, depth + 1)
                second = self.resolve(other, scope, module, depth + 1)
                return tuple(dict.fromkeys((*first, *second))) if first and second else ()
            case _:
                return ()

    def _is_too_long(self, depth: int) -> bool:
        """Count a step of the way to an answer, and tell whether to give up."""
        self._steps = self._steps + 1 if depth else 0
        return depth > _MAX_DEPTH or self._steps > _MAX_STEPS

    def result(self, call: ast.Call, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What a call gives: an instance of a class, the function inside a `partial`, what a function's annotation
        says."""
        if self._is_too_long(depth):
            return ()
        found: list[Symbol] = []
        for symbol in self.resolve(call.func, scope, module, depth + 1):
            match symbol:
                case ClassSymbol():
                    found.append(InstanceSymbol(symbol))
                case ExternalSymbol(qualified=name) if name in _PARTIALS:
                    inside = self.resolve(call.args[0], scope, module, depth + 1) if call.args else ()
                    found += [
                        replace(s, partial=joined(s.partial, call)) if isinstance(s, FunctionSymbol) else s
                        for s in inside
                    ]
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
        before, self._is_annotation = self._is_annotation, True
        try:
            return self._annotated(annotation, scope, module, depth)
        finally:
            self._is_annotation = before

    def _annotated(self, annotation: ast.expr | None, scope: Scope, module: Module, depth: int) -> Symbols:
        if self._is_too_long(depth):
            return ()
        plain = unquoted(annotation)
        match plain:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                first = self._annotated(left, scope, module, depth + 1)
                return (*first, *self._annotated(right, scope, module, depth + 1))
            case ast.Subscript(value=value, slice=inner):
                outer = self.resolve(value, scope, module, depth + 1)
                names = {symbol.qualified for symbol in outer if isinstance(symbol, ExternalSymbol)}
                if names & (_OPTIONALS | _WRAPPERS):
                    first_of = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
                    return self._annotated(first_of, scope, module, depth + 1)
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
        stars = scope.module.names.stars
        symbols = self._starred(name, stars, module, depth) if stars else ()
        if symbols:
            return symbols
        if name in BUILTINS:
            return (ExternalSymbol(f"builtins.{name}"),)
        return self._unknown_star(name, stars, module)

    def _starred(self, name: str, stars: list[str], module: Module, depth: int) -> Symbols:
        """What a name means that `from m import *` of a module of the project binds; the last one counts."""
        if self._is_too_long(depth):
            return ()
        for star in reversed(stars):
            other = self.program.module(star, module)
            if other is None:
                continue
            public = other.public
            if name in public if public is not None else not name.startswith("_"):
                found = self._of_module(star, name, module, depth + 1)
                if found and not all(isinstance(symbol, ExternalSymbol) for symbol in found):
                    return found
                if found and other.scope.names.count.get(name):
                    return found  # what that module itself imported from elsewhere
        return ()

    def _unknown_star(self, name: str, stars: list[str], module: Module) -> Symbols:
        """What nothing binds comes from the one star import of which nothing is known, if it can."""
        unknown = [star for star in stars if not self.program.exists(star, module)]
        return (ExternalSymbol(f"{unknown[0]}.{name}"),) if len(unknown) == 1 and not name.startswith("_") else ()

    def bound(self, name: str, scope: Scope, module: Module, depth: int = 0) -> Symbols:
        """What a scope binds a name to."""
        if self._is_too_long(depth):
            return ()
        symbols: list[Symbol] = []
        for what in self._meant(name, scope, module, depth):
            found = self._bound(name, what, scope, module, depth)
            if not found:
                return ()
            symbols += found
        if not symbols and name in scope.names.annotations:
            symbols += self.annotated(scope.names.annotations[name], scope, module, depth + 1)
        return tuple(dict.fromkeys(symbols))

    def _meant(self, name: str, scope: Scope, module: Module, depth: int) -> list[Bound]:
        """What binds a name, as far as it counts: an import for checkers has no value at run time, and gives the type
        where there is one; setters and overloads stand beside the function that they belong to."""
        every = scope.names.bound.get(name, [])
        if any(isinstance(what, Imported) and what.checking for what in every):
            wanted = self._is_annotation
            return [what for what in every if (isinstance(what, Imported) and what.checking) is wanted]
        if len(every) > 1:
            return [what for what in every if not self._is_beside(name, what, scope, module, depth)]
        return every

    def _is_beside(self, name: str, what: Bound, scope: Scope, module: Module, depth: int) -> bool:
        """Whether a definition is `@x.setter def x` or an overload."""
        if not isinstance(what, Function):
            return False
        for decorator in what.decorator_list:
            match decorator:
                case ast.Attribute(value=ast.Name(id=owner), attr=attr) if owner == name and attr in _SETTERS:
                    return True
                case ast.Name(id=own) | ast.Attribute(attr=own) if own == "overload":
                    found = self.resolve(decorator, scope, module, depth + 1)
                    return any(isinstance(s, ExternalSymbol) and s.qualified in _OVERLOADS for s in found)
                case _:
                    pass
        return False

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
            case ast.Name(id=same) if same == name:  # `run = run` in a class: what it means around it
                if scope.parent is not None:
                    return self._name(name, scope.parent, module, depth + 1)
                return (ExternalSymbol(f"builtins.{name}"),) if name in BUILTINS else ()
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
        if self._is_too_long(depth):
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
        if self._is_too_long(depth):
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
            stars = module.scope.names.stars
            found = self._starred(name, stars, module, depth + 1) if stars else ()
            if found:
                return found
        if self.program.exists(f"{module_name}.{name}", asked_by):
            return (ModuleSymbol(f"{module_name}.{name}"),)
        if module is None:
            return (ExternalSymbol(f"{module_name}.{name}"),)
        return self._unknown_star(name, module.scope.names.stars, module)

    # Classes

    def lineage(self, symbol: ClassSymbol, depth: int = 0) -> Iterator[ClassSymbol | ExternalSymbol]:
        """A class and its bases, each once and before its own bases, in the order in which Python looks into them; a
        base that is not known is left out."""
        if self._is_too_long(depth):
            return iter(())
        seen: set[ClassSymbol | ExternalSymbol] = {symbol}
        after: list[ClassSymbol | ExternalSymbol] = []  # farthest first
        left: list[tuple[ClassSymbol | ExternalSymbol, Iterator[ClassSymbol | ExternalSymbol]]]
        left = [(symbol, self._bases(symbol, depth))]
        while left:
            one, bases = left[-1]
            base = next((base for base in bases if base not in seen), None)
            if base is None or len(seen) > _MAX_BASES:
                after.append(one)
                left.pop()
                continue
            seen.add(base)
            left.append((base, self._bases(base, depth)))
        return reversed(after)

    def _bases(self, symbol: ClassSymbol | ExternalSymbol, depth: int) -> Iterator[ClassSymbol | ExternalSymbol]:
        """Bases as far as they are known, last first."""
        if isinstance(symbol, ClassSymbol):
            for base in reversed(symbol.node.bases):
                plain = base.value if isinstance(base, ast.Subscript) else base
                for found in self.resolve(plain, symbol.scope, symbol.module, depth + 1):
                    if isinstance(found, ClassSymbol | ExternalSymbol):
                        yield found

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
            if instance is not None:
                assigned = self._assigned(one, name, depth)
                if assigned:
                    return assigned
            scope = self.class_scope(one)
            if scope.names.count.get(name) is not None:
                found = self.bound(name, scope, one.module, depth + 1)
                return tuple(seen_from(symbol, owner, instance) for symbol in found)
        return ()

    def _assigned(self, owner: ClassSymbol, name: str, depth: int) -> Symbols:
        """What `self.name = …` assigns in a method, if it is assigned once in the class."""
        table = self._assignments.get(owner.node)
        if table is None:
            table = self._assignments[owner.node] = assignments(owner)
        places = table.get(name, ())
        if len(places) != 1:
            return ()
        method, value, annotation = places[0]
        symbol = FunctionSymbol(owner.module, method, self.class_scope(owner), "method", owner)
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
