"""Type expressions: annotations with every name fully qualified, and the modules that they need."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from wfgen_inspector.scopes import BUILTINS, Imported, Scope

ANY = "typing.Any"
LITERAL = frozenset({"typing.Literal", "typing_extensions.Literal"})
_ANNOTATED = frozenset({"typing.Annotated", "typing_extensions.Annotated"})


@dataclass(frozen=True, slots=True)
class TypeText:
    """A type expression as text."""

    text: str
    imports: frozenset[str] = frozenset()
    """Modules that it needs imported."""
    local: frozenset[str] = frozenset()
    """Names at module level of the file itself that it uses."""


UNKNOWN_TYPE = TypeText(ANY, frozenset({"typing"}))


class _UnknownType(Exception):
    """Part of an annotation means nothing outside its function, or nothing at all."""


def resolve(annotation: ast.expr | None, scope: Scope) -> TypeText:
    """The type expression of an annotation; `typing.Any` for one that is missing or means nothing."""
    if annotation is None:
        return UNKNOWN_TYPE
    printer = _Printer(scope)
    try:
        text = printer.show(annotation)
    except _UnknownType:
        return UNKNOWN_TYPE
    return TypeText(text, frozenset(printer.imports), frozenset(printer.local))


def subscript(annotation: ast.expr | None) -> ast.expr | None:
    """`Ctx` of `Workflow[Ctx]`, also within quotes."""
    match unquoted(annotation):
        case ast.Subscript(slice=inner):
            return inner
        case _:
            return None


def base_of(annotation: ast.expr | None) -> ast.expr | None:
    """`Workflow` of `Workflow[Ctx]` and of `"Workflow"`."""
    plain = unquoted(annotation)
    return plain.value if isinstance(plain, ast.Subscript) else plain


def unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation without the quotes of a forward reference; None if they hold no expression."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return annotation


class _Printer:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.imports: set[str] = set()
        self.local: set[str] = set()

    def show(self, node: ast.expr) -> str:
        match node:
            case ast.Name():
                return self.name(node.id)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript():
                return self.subscript(node)
            case ast.Constant(value=str()):
                inner = unquoted(node)
                if inner is None:
                    raise _UnknownType
                return self.show(inner)
            case ast.Constant(value=value):
                return "..." if value is ... else repr(value)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return f"{self.show(left)} | {self.show(right)}"
            case ast.Tuple(elts=elements):
                return ", ".join(map(self.show, elements)) or "()"
            case ast.List(elts=elements):
                return f"[{', '.join(map(self.show, elements))}]"
            case ast.Starred(value=value):
                return f"*{self.show(value)}"
            case _:
                raise _UnknownType

    def name(self, name: str) -> str:
        found = self.scope.find(name)
        if found is None:
            if name in BUILTINS:
                return name
            stars = self.scope.module.names.stars
            if len(stars) != 1:
                raise _UnknownType
            self.imports.add(stars[0])
            return f"{stars[0]}.{name}"
        imported = found.names.imports.get(name)
        if imported is not None:
            self.imports.add(imported.module)
            return imported.qualified
        if found.parent is not None:
            raise _UnknownType
        self.local.add(name)
        self.imports.add(found.prefix)
        return f"{found.prefix}.{name}"

    def attribute(self, node: ast.Attribute) -> str:
        parts: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            parts.append(base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            raise _UnknownType
        parts.reverse()
        imported = self.scope.imported(base.id)
        if imported is None:
            return ".".join((self.name(base.id), *parts))
        dotted = ".".join((imported.qualified, *parts))
        self.imports.add(module_of(imported, dotted, self.scope.module.names.modules))
        return dotted

    def subscript(self, node: ast.Subscript) -> str:
        base = self.show(node.value)
        if base in LITERAL:
            elements = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return f"{base}[{', '.join(self.literal(element) for element in elements)}]"
        if base in _ANNOTATED and isinstance(node.slice, ast.Tuple):
            # What else it carries is for validation, which happens where the type is declared.
            return self.show(node.slice.elts[0])
        return f"{base}[{self.show(node.slice)}]"

    def literal(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return repr(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
                return repr(-value)
            case _:
                return self.show(node)


def module_of(imported: Imported, dotted: str, modules: set[str]) -> str:
    """The module to import for a dotted name whose first part was imported.

    `from flows import models` does not say whether `models` is a module or a class; by convention a class starts
    with a capital letter.
    """
    if imported.qualified == imported.module:
        longest = [m for m in modules if dotted.startswith(f"{m}.") and m.startswith(imported.module)]
        return max(longest, key=len, default=imported.module)
    last = imported.qualified.rpartition(".")[2]
    return imported.module if last[:1].isupper() else imported.qualified
