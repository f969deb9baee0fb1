"""What a name or an expression may stand for, as far as that can be told without running anything."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import Literal

from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Function, Scope

FunctionKind = Literal["function", "method", "class", "static", "property"]


@dataclass(frozen=True, slots=True)
class FunctionSymbol:
    """A function of the project: of a module, nested, a lambda, or of a class."""

    module: Module
    node: Function | ast.Lambda
    scope: Scope
    """In which it is defined, not its own."""
    kind: FunctionKind = "function"
    """`method` and `class`: the first parameter is bound already. `property`: reading it calls it."""
    owner: ClassSymbol | None = None
    """The class as whose member it was found."""
    partial: ast.Call | None = None
    """The `functools.partial(...)` through which it was found: it has some of its arguments already."""

    @property
    def name(self) -> str:
        """For messages: `area`, `Square.area`, `<lambda>`."""
        own = "<lambda>" if isinstance(self.node, ast.Lambda) else self.node.name
        return own if self.owner is None else f"{self.owner.node.name}.{own}"


@dataclass(frozen=True, slots=True)
class ClassSymbol:
    """A class of the project."""

    module: Module
    node: ast.ClassDef
    scope: Scope
    """In which it is defined."""


@dataclass(frozen=True, slots=True)
class ModuleSymbol:
    """A module or package of the project."""

    name: str


@dataclass(frozen=True, slots=True)
class ExternalSymbol:
    """Something outside the project: `builtins.len`, `datetime.datetime.now`, `wfgen.define_workflow`."""

    qualified: str


@dataclass(frozen=True, slots=True)
class InstanceSymbol:
    """An object of a class of the project, or of one outside of it."""

    of: ClassSymbol | ExternalSymbol


@dataclass(frozen=True, slots=True)
class ValueSymbol:
    """A value of which no class is known, such as a list at module level: where it is bound."""

    module: Module
    node: ast.expr
    scope: Scope
    name: str
    """Under which it is bound."""


Symbol = FunctionSymbol | ClassSymbol | ModuleSymbol | ExternalSymbol | InstanceSymbol | ValueSymbol


def seen_from(symbol: Symbol, owner: ClassSymbol, instance: InstanceSymbol | None) -> Symbol:
    """A member as seen from an instance or from the class itself."""
    if not isinstance(symbol, FunctionSymbol):
        return symbol
    kind = symbol.kind
    if instance is None and kind in ("method", "property"):
        kind = "function"  # called on the class, nothing is bound
    elif instance is not None and kind == "function" and symbol.partial is None:
        kind = "method"  # `run = helpers.run` in the class
    return replace(symbol, kind=kind, owner=owner)


def joined(inner: ast.Call | None, outer: ast.Call) -> ast.Call:
    """A `partial` of a `partial`: what both bind."""
    if inner is None:
        return outer
    given = {keyword.arg for keyword in outer.keywords}
    keywords = [keyword for keyword in inner.keywords if keyword.arg not in given]
    whole = ast.Call(outer.func, [*outer.args[:1], *inner.args[1:], *outer.args[1:]], [*keywords, *outer.keywords])
    return ast.copy_location(whole, outer)
