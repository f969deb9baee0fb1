"""Whether what was written with one type can be read with another, as pydantic reads JSON."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from wfgen.manifest import TypeShape

Types = Mapping[str, TypeShape]

_ANY = frozenset({"typing.Any", "object"})
_LISTS = {"list": 0, "tuple": 0, "set": 1, "frozenset": 1, "collections.abc.Sequence": 0, "typing.Sequence": 0}
_WIDER = {
    "int": frozenset({"float", "decimal.Decimal"}),
    "bool": frozenset({"int", "float"}),
    "datetime.date": frozenset({"str"}),
    "datetime.datetime": frozenset({"str"}),
    "uuid.UUID": frozenset({"str"}),
    "enum": frozenset({"str"}),
}
"""Type -> others that read what it writes."""
_NOT_REQUIRED = ("typing.NotRequired[", "typing_extensions.NotRequired[")
_WRAPPERS = frozenset({"typing.NotRequired", "typing_extensions.NotRequired", "typing.Required"})
_ANNOTATED = frozenset({"typing.Annotated", "typing_extensions.Annotated"})
_OPTIONAL = frozenset({"typing.Optional"})
_UNION = frozenset({"typing.Union"})
_LITERAL = frozenset({"typing.Literal", "typing_extensions.Literal"})


def unreadable(
    written: str | None, old: Types, read: str | None, new: Types, *, by_callers: bool = False
) -> str | None:
    """Why a value that was written with one type cannot be read with the other one; None if it can.

    Args:
        written: the type expression that it was written with.
        old: the types that it is made of.
        read: the type expression to read with.
        new: the types that that is made of.
        by_callers: whether callers wrote it, who leave out what has a default; what is recorded has all fields.
    """
    if written is None or read is None:
        return None
    return _Reader(old, new, by_callers=by_callers).problem(_parsed(written), _parsed(read), "")


class _Reader:
    def __init__(self, old: Types, new: Types, *, backwards: bool = False, by_callers: bool = False) -> None:
        self._by_callers = by_callers
        self._backwards = backwards
        """Whether what is read is older than what is written."""
        self._old = old
        self._new = new
        self._open: set[tuple[str, str]] = set()

    def problem(self, written: ast.expr, read: ast.expr, where: str) -> str | None:
        one, other = ast.unparse(written), ast.unparse(read)
        if other in _ANY or one in _ANY:
            return None
        left, right = self._members(written, self._old), self._members(read, self._new)
        for member in left:
            if not any(self._one(member, candidate, where) is None for candidate in right):
                if len(right) == 1 or len(left) == 1:
                    return self._one(member, next((c for c in right if ast.unparse(c) != "None"), right[0]), where)
                return self._changed(where, one, other)
        return None

    def _changed(self, where: str, written: str, read: str) -> str:
        before, after = (read, written) if self._backwards else (written, read)
        return f"{where or 'it'} was {before} and is {after} now"

    def _members(self, node: ast.expr, types: Types) -> list[ast.expr]:
        """The alternatives of a union, wrappers and aliases taken off."""
        match node:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return [*self._members(left, types), *self._members(right, types)]
            case ast.Subscript(value=outer, slice=inner):
                name = ast.unparse(outer)
                elements = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                if name in _ANNOTATED:
                    return self._members(elements[0], types)
                if name in _WRAPPERS:
                    return self._members(inner, types)
                if name in _OPTIONAL:
                    return [*self._members(inner, types), ast.Constant(None)]
                if name in _UNION:
                    return [member for element in elements for member in self._members(element, types)]
                if name in _LITERAL:
                    return [ast.Subscript(outer, element) for element in elements]
            case _:
                pass
        shape = types.get(ast.unparse(node))
        if shape is not None and shape.alias is not None and shape.alias != shape.name:
            return self._members(_parsed(shape.alias), types)
        return [node]

    def _one(self, written: ast.expr, read: ast.expr, where: str) -> str | None:
        one, other = ast.unparse(written), ast.unparse(read)
        if other in _ANY or one in _ANY:
            return None
        old, new = self._old.get(one), self._new.get(other)
        if old is not None and new is not None:
            return self._shapes(old, new, where)
        if (one == other and not isinstance(read, ast.Subscript)) or other in _WIDER.get(
            "enum" if old is not None and old.values is not None else one, ()
        ):
            return None
        changed = self._changed(where, one, other)
        if _literal_of(written) is not None and _literal_of(read) is None:
            return None if other == type(_literal_of(written)).__name__ else changed
        match written, read:
            case ast.Subscript(value=a, slice=x), ast.Subscript(value=b, slice=y):
                outer, wider = ast.unparse(a), ast.unparse(b)
                if outer != wider and _LISTS.get(outer, 2) < _LISTS.get(wider, -1):
                    return changed
                if outer != wider and (outer not in _LISTS or wider not in _LISTS):
                    return changed
                left = x.elts if isinstance(x, ast.Tuple) else [x]
                right = y.elts if isinstance(y, ast.Tuple) else [y]
                if len(left) != len(right):
                    return changed
                inside = f"{where or 'it'}[…]"
                problems = (self.problem(one_, other_, inside) for one_, other_ in zip(left, right, strict=True))
                return next((problem for problem in problems if problem), None)
            case ast.Subscript(value=a), ast.Name() | ast.Attribute() if ast.unparse(a) == other:
                return None
            case _:
                return changed

    def _shapes(self, old: TypeShape, new: TypeShape, where: str) -> str | None:
        if (old.name, new.name) in self._open:
            return None
        self._open.add((old.name, new.name))
        try:
            return self._fields(old, new, where)
        finally:
            self._open.discard((old.name, new.name))

    def _fields(self, old: TypeShape, new: TypeShape, where: str) -> str | None:
        title = new.name.rpartition(".")[2]
        if old.values is not None and new.values is not None:
            gone = [] if self._backwards else sorted(set(old.values) - set(new.values))
            return f"{title} has no {', '.join(gone)} any more" if gone else None
        if (old.fields is None) != (new.fields is None):
            return self._changed(where, old.name, new.name)
        before = {field.name: field for field in old.fields or ()}
        after = {field.name: field for field in new.fields or ()}
        for name, field in after.items():
            known = before.get(name)
            if known is None:
                if self._backwards:
                    return f"{title}.{name} is gone"
                if field.required:
                    return f"{title}.{name} is new and required"
                continue
            if field.required and not known.required and (self._by_callers or known.type.startswith(_NOT_REQUIRED)):
                return f"{title}.{name} is required now"
            problem = self.problem(_parsed(known.type), _parsed(field.type), f"{title}.{name}")
            if problem is not None:
                return problem
        gone = [] if self._backwards else [name for name in before if name not in after]
        return f"{title}.{gone[0]} is gone, and {title} refuses what it does not know" if gone and new.closed else None


def missed(old: str, old_types: Types, new: str, new_types: Types) -> str | None:
    """What callers that know the old type do not find in values of the new one; None if they find all."""
    return _Reader(new_types, old_types, backwards=True).problem(_parsed(new), _parsed(old), "")


def _literal_of(node: ast.expr) -> object:
    match node:
        case ast.Subscript(value=outer, slice=ast.Constant(value=value)) if ast.unparse(outer) in _LITERAL:
            return value
        case _:
            return None


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Name("typing.Any")
