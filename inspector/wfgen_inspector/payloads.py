"""What the project's own types look like in JSON: fields of models, values of enumerations, what aliases stand for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from wfgen.manifest import FieldShape, TypeShape
from wfgen_inspector.modules import Module
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import BUILTINS, Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, ValueSymbol
from wfgen_inspector.types import resolve

_NAME = re.compile(r"[^\W\d][\w.]*")
_MAX = 200
"""Types of one payload that are looked at."""
_ENUMS = frozenset({"enum.Enum", "enum.StrEnum", "enum.IntEnum", "enum.Flag", "enum.IntFlag"})
_FIELDS = frozenset({"pydantic.Field", "pydantic.fields.Field", "dataclasses.field", "pydantic.dataclasses.Field"})
_TYPED_DICTS = frozenset({"typing.TypedDict", "typing_extensions.TypedDict"})
_NO_FIELD = ("typing.ClassVar", "dataclasses.InitVar")
_OPTIONAL = ("typing.NotRequired[", "typing_extensions.NotRequired[")


class Payloads:
    """Finds the types that a type expression is made of.

    Args:
        module: the file in which the expressions stand.
        resolver: finds what other modules declare.
    """

    def __init__(self, module: Module, resolver: Resolver) -> None:
        self._module = module
        self._resolver = resolver
        self._known: dict[str, TypeShape | None] = {}

    def shapes(self, texts: Iterable[str | None]) -> tuple[TypeShape, ...]:
        """The project's own types among these type expressions and all that they are made of, sorted by name."""
        found: dict[str, TypeShape] = {}
        left = [name for text in texts if text is not None for name in names_in(text)]
        seen: set[str] = set()
        while left and len(seen) < _MAX:
            name = left.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self._known:
                self._known[name] = self._shape(name)
            shape = self._known[name]
            if shape is not None:
                found[name] = shape
                inner = [shape.alias or "", *(field.type for field in shape.fields or ())]
                left += [name for text in inner for name in names_in(text)]
        return tuple(found[name] for name in sorted(found))

    def _shape(self, name: str) -> TypeShape | None:
        own = f"{self._module.scope.prefix}."
        if name.startswith(own):
            symbols = self._resolver.bound(name.removeprefix(own), self._module.scope, self._module)
        else:
            symbols = self._resolver.lookup(name, self._module)
        for symbol in symbols:
            if isinstance(symbol, ClassSymbol):
                return self._class(name, symbol)
            if isinstance(symbol, ValueSymbol):
                return TypeShape(name=name, alias=_stands_for(symbol.node, symbol.scope))
        return None

    def _class(self, name: str, symbol: ClassSymbol) -> TypeShape:
        lineage = list(self._resolver.lineage(symbol))
        bases = {one.qualified for one in lineage if isinstance(one, ExternalSymbol)}
        own = [one for one in lineage if isinstance(one, ClassSymbol)]
        if bases & _ENUMS:
            return TypeShape(name=name, values=tuple(sorted(_values(own[-1:] + own[:-1]))))
        fields: dict[str, FieldShape] = {}
        for one in reversed(own):
            total = not (bases & _TYPED_DICTS) or not any(
                k.arg == "total" and isinstance(k.value, ast.Constant) and k.value.value is False
                for k in one.node.keywords
            )
            for field in _fields(one, total):
                fields[field.name] = field
        closed = any(_forbids(one.node) for one in own)
        return TypeShape(name=name, fields=tuple(fields.values()), closed=closed)


def names_in(text: str) -> Iterator[str]:
    """Dotted names in a type expression; words of literals may be among them."""
    return (found[0] for found in _NAME.finditer(text) if found[0] not in BUILTINS)


def _fields(symbol: ClassSymbol, total: bool) -> Iterator[FieldShape]:
    for statement in symbol.node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                kind = resolve(annotation, symbol.scope).text
                if name.startswith("_") or name == "model_config" or kind.startswith(_NO_FIELD):
                    continue
                required = total and not kind.startswith(_OPTIONAL) and not _has_default(value, symbol.scope)
                yield FieldShape(name=name, type=kind, required=required)
            case _:
                pass


def _has_default(value: ast.expr | None, scope: Scope) -> bool:
    if not isinstance(value, ast.Call) or scope.qualified(value.func) not in _FIELDS:
        return value is not None
    given = [*value.args[:1], *(k.value for k in value.keywords if k.arg in ("default", "default_factory"))]
    return any(not (isinstance(one, ast.Constant) and one.value is ...) for one in given)


def _values(classes: Iterable[ClassSymbol]) -> Iterator[str]:
    for symbol in classes:
        for statement in symbol.node.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function)):
                    called = symbol.scope.qualified(function)
                    yield f"auto({name})" if called == "enum.auto" else ast.unparse(statement.value)
                case ast.Assign(targets=[ast.Name()], value=value):
                    yield ast.unparse(value)
                case _:
                    pass


def _forbids(node: ast.ClassDef) -> bool:
    """Whether a model has `extra="forbid"`."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "model_config" for target in statement.targets
        ):
            text = ast.unparse(statement.value).replace(" ", "")
            return "extra='forbid'" in text or "'extra':'forbid'" in text
    return any(
        k.arg == "extra" and isinstance(k.value, ast.Constant) and k.value.value == "forbid" for k in node.keywords
    )


def _stands_for(node: ast.expr, scope: Scope) -> str:
    """The type behind `X = dict[str, int]` and `X = NewType("X", int)`."""
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return resolve(node.args[1], scope).text
    return resolve(node, scope).text
