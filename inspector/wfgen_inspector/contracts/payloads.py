"""Inputs, results and hook payloads that cannot be stored (WF407), or of which nothing is known (WF408)."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wfgen_inspector.contracts.kinds import Kinds, Lineage, members
from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol
from wfgen_inspector.types import unquoted

_UNTYPED = frozenset(
    {
        "typing.Any", "typing_extensions.Any", "builtins.object", "builtins.dict", "builtins.list", "builtins.tuple",
        "builtins.set", "builtins.frozenset", "typing.Dict", "typing.List", "typing.Tuple", "typing.Set",
        "typing.FrozenSet", "typing.Mapping", "typing.Sequence", "collections.abc.Mapping", "collections.abc.Sequence",
    }
)  # fmt: skip
_WRAPS = frozenset(
    {
        "builtins.list", "builtins.dict", "builtins.tuple", "builtins.set", "builtins.frozenset", "typing.List",
        "typing.Dict", "typing.Tuple", "typing.Set", "typing.FrozenSet", "typing.Optional", "typing.Union",
        "typing.Sequence", "typing.Mapping", "collections.abc.Sequence", "collections.abc.Mapping",
        "collections.deque", "typing.Required", "typing.NotRequired",
    }
)  # fmt: skip
"""Generic types whose arguments are stored as well."""
_PLAIN_BASES = frozenset(
    {
        "builtins.object", "builtins.str", "builtins.bytes", "builtins.int", "builtins.float", "builtins.list",
        "builtins.dict", "builtins.set", "builtins.tuple", "builtins.BaseException", "builtins.Exception",
        "builtins.ValueError", "builtins.RuntimeError", "builtins.LookupError", "builtins.KeyError",
        "builtins.TypeError", "abc.ABC", "typing.Protocol", "typing.Generic",
    }
)  # fmt: skip
"""Bases outside of the project that teach pydantic nothing about a class."""
_FIELDS = frozenset({"typing.NamedTuple", "typing.TypedDict", "typing_extensions.TypedDict"})
_DATACLASS = "dataclasses.dataclass"
_SCHEMAS = frozenset({"__get_pydantic_core_schema__", "__get_validators__"})
_DEPTH = 6


@cache
def refused() -> frozenset[str]:
    """Classes outside of the project that pydantic refuses, or cannot write as JSON."""
    text = (files("wfgen_inspector.contracts") / "refused.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["names"].split())


@dataclass(frozen=True, slots=True)
class Refusal:
    """A type that cannot be stored."""

    node: ast.expr
    """Where it stands in the annotation."""
    shown: str
    """The type: "`threading.Lock`", "`Basket` (its field `lock` is a `threading.Lock`)"."""


class Payloads:
    """Judges annotations."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def untyped(self, annotation: ast.expr, scope: Scope, module: Module) -> str | None:
        """The part of an annotation that says nothing, as written; None if it says something."""
        plain = unquoted(annotation)
        match plain:
            case ast.BinOp(op=ast.BitOr()):
                found = [self.untyped(part, scope, module) for part in members(plain)]
                return next((name for name in reversed(found) if name is not None), None)
            case ast.Name() | ast.Attribute():
                names = self._external(plain, scope, module)
                return ast.unparse(plain) if names and names <= _UNTYPED else None
            case _:
                return None

    def refusal(self, annotation: ast.expr, scope: Scope, module: Module, depth: int = 0) -> Refusal | None:
        """The first part of an annotation that certainly cannot be stored."""
        plain = unquoted(annotation)
        if depth > _DEPTH or plain is None:
            return None
        place = plain if plain is annotation else annotation
        match plain:
            case ast.BinOp(op=ast.BitOr()):
                parts = [*reversed(members(plain))]
            case ast.Subscript(value=value, slice=inner):
                names = self._external(value, scope, module)
                if names & refused():
                    return Refusal(place, f"`{module.text.normal(plain)}`")
                if not names or not names <= _WRAPS:
                    return None
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            case ast.Name() | ast.Attribute():
                shown = self._refused(plain, scope, module, depth)
                return None if shown is None else Refusal(place, shown)
            case _:
                return None
        for part in parts:
            found = self.refusal(part, scope, module, depth + 1)
            if found is not None:
                return found if place is plain else Refusal(place, found.shown)
        return None

    def _refused(self, node: ast.expr, scope: Scope, module: Module, depth: int) -> str | None:
        found = self._kinds.symbols(node, scope, module)
        if len(found) != 1:
            return None
        match found[0]:
            case ExternalSymbol(qualified=name):
                return f"`{ast.unparse(node)}`" if name in refused() else None
            case ClassSymbol() as symbol:
                return self._class(symbol, depth)
            case _:
                return None

    def _class(self, symbol: ClassSymbol, depth: int) -> str | None:
        name = symbol.node.name
        lineage = self._kinds.lineage(symbol)
        if not lineage.is_complete or any(one.node.keywords for one in lineage.own):
            return None
        decorated = [decorator for one in lineage.own for decorator in one.node.decorator_list]
        if self._is_plain(lineage, bool(decorated)):
            return f"`{name}` (a plain class)"
        is_dataclass = bool(decorated) and not lineage.external - {"builtins.object"} and self._are_dataclasses(lineage)
        if is_dataclass or (lineage.external and lineage.external <= _FIELDS and not decorated):
            for field, refusal in self._fields(lineage, depth):
                return f"`{name}` (its field `{field}` is {refusal.shown})"
        return None

    def _is_plain(self, lineage: Lineage, is_decorated: bool) -> bool:
        if is_decorated or not lineage.external <= _PLAIN_BASES:
            return False
        return not any(_SCHEMAS & set(one.module.names_of(one.node).functions) for one in lineage.own)

    def _are_dataclasses(self, lineage: Lineage) -> bool:
        return all(
            _DATACLASS
            in self._external(decorator.func if isinstance(decorator, ast.Call) else decorator, one.scope, one.module)
            for one in lineage.own
            for decorator in one.node.decorator_list
        )

    def _fields(self, lineage: Lineage, depth: int) -> Iterator[tuple[str, Refusal]]:
        for one in lineage.own:
            for statement in one.node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    found = self.refusal(statement.annotation, one.scope, one.module, depth + 1)
                    if found is not None:
                        yield statement.target.id, found

    def _external(self, node: ast.expr, scope: Scope, module: Module) -> frozenset[str]:
        """Names outside of the project that an expression stands for; empty if it may stand for anything else."""
        found = self._kinds.symbols(node, scope, module)
        names = frozenset(symbol.qualified for symbol in found if isinstance(symbol, ExternalSymbol))
        return names if len(names) == len(found) else frozenset()
