"""Values that are known without running the program."""

from __future__ import annotations

import ast
from collections.abc import Callable

from wfgen_inspector.modules import Module
from wfgen_inspector.program import Program
from wfgen_inspector.scopes import Scope

UNKNOWN = object()
"""Stands for a value that is known at run time only."""
_MAX_DEPTH = 20
_MAX_LENGTH = 10_000
_TEXT_ENUMS = frozenset({"enum.StrEnum"})
_ENUMS = frozenset({"enum.Enum", "enum.StrEnum", "enum.IntEnum"})


def evaluate(node: ast.expr | None, scope: Scope, depth: int = 0) -> object:
    """The value of an expression, or UNKNOWN.

    Known are literals, names assigned exactly once, members of enums and attributes of classes, in the same file or
    imported from the project, concatenation, and f-strings of all these.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if node is None or depth > _MAX_DEPTH:
        return UNKNOWN
    value: object = UNKNOWN
    match node:
        case ast.Name(id=name):
            value = _name(name, scope, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = evaluate(left, scope, depth + 1), evaluate(right, scope, depth + 1)
            if isinstance(one, str) and isinstance(other, str):
                value = one + other
        case ast.JoinedStr(values=parts):
            value = _joined(parts, scope, depth)
        case ast.Attribute():
            value = _attribute(node, scope, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = evaluate(operand, scope, depth + 1)
            if isinstance(number, int | float):
                value = -number
    return UNKNOWN if isinstance(value, str) and len(value) > _MAX_LENGTH else value


def text(node: ast.expr | None, scope: Scope) -> str | None:
    """The text that an expression is known to be, or None."""
    value = evaluate(node, scope)
    return value if isinstance(value, str) else None


def _name(name: str, scope: Scope, depth: int) -> object:
    found = scope.find(name)
    if found is None:
        return UNKNOWN
    if name in found.constants:
        return found.constants[name] if found.names.count.get(name) == 1 else UNKNOWN
    if name in found.names.imports and found.names.count.get(name) == 1:
        return _imported(found.names.imports[name].qualified, scope)
    return evaluate(found.names.constant(name), found, depth + 1)


def _imported(qualified: str, scope: Scope) -> object:
    """A constant of another module of the project."""
    outside = scope.module.outside
    return UNKNOWN if outside is None else outside(qualified)


def outside_of(module: Module, program: Program) -> Callable[[str], object]:
    """How the constants that a module imports are looked up.

    Args:
        module: what is looked up makes it depend on where it is found.
        program: the project's modules.
    """

    def look_up(qualified: str) -> object:
        parts = qualified.split(".")
        for count in range(len(parts) - 1, 0, -1):
            home = program.module(".".join(parts[:count]), module)
            if home is None:
                continue
            if qualified not in program.constants:
                program.constants[qualified] = UNKNOWN  # a constant that is made of itself
                if home.scope.outside is None:
                    home.scope.outside = outside_of(home, program)
                rest: ast.expr = ast.Name(parts[count])
                for part in parts[count + 1 :]:
                    rest = ast.Attribute(rest, part)
                program.constants[qualified] = evaluate(rest, home.scope)
            return program.constants[qualified]
        return UNKNOWN

    return look_up


def _joined(parts: list[ast.expr], scope: Scope, depth: int) -> object:
    texts: list[str] = []
    for part in parts:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion not in (-1, 115):  # 115: `!s`, which changes nothing
                return UNKNOWN
            part = part.value
        value = evaluate(part, scope, depth + 1)
        if not isinstance(value, str | int):
            return UNKNOWN
        texts.append(str(value))
    return "".join(texts)


def _attribute(node: ast.Attribute, scope: Scope, depth: int) -> object:
    """`Steps.CREATE`, `Steps.CREATE.value`, `Names.create` of a class in this file."""
    base: ast.expr = node
    while isinstance(base, ast.Attribute):
        base = base.value
    if isinstance(base, ast.Name) and (found := scope.find(base.id)) is not None and base.id in found.names.imports:
        qualified = scope.qualified(node) if found.names.count.get(base.id) == 1 else None
        return UNKNOWN if qualified is None else _imported(qualified, scope)
    wants_value = node.attr == "value" and isinstance(node.value, ast.Attribute)
    member = node.value if wants_value else node
    if not isinstance(member, ast.Attribute) or not isinstance(member.value, ast.Name):
        return UNKNOWN
    found = scope.find(member.value.id)
    definition = None if found is None else found.names.classes.get(member.value.id)
    if found is None or definition is None or found.names.count[definition.name] != 1:
        return UNKNOWN
    bases = {found.qualified(base) for base in definition.bases}
    is_enum = bool(bases & _ENUMS)
    if wants_value and not is_enum:
        return UNKNOWN
    if is_enum and not wants_value and not bases & _TEXT_ENUMS and "builtins.str" not in bases:
        return UNKNOWN  # a plain enum's member is no text at run time either
    return _class_attribute(definition, member.attr, found, depth)


def _class_attribute(definition: ast.ClassDef, name: str, scope: Scope, depth: int) -> object:
    values: list[ast.expr] = []
    for statement in definition.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                values.append(value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                values.append(value)
    if len(values) != 1:
        return UNKNOWN
    match values[0]:
        case ast.Call(func=function) if scope.qualified(function) == "enum.auto":
            bases = {scope.qualified(base) for base in definition.bases}
            return name.lower() if bases & _TEXT_ENUMS else UNKNOWN
        case value:
            return evaluate(value, scope, depth + 1)
