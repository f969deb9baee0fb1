"""Type expressions of the manifest, made fit for one generated file.

In the manifest every name is fully qualified. In a generated file such a name may be hidden by another of the same
spelling: a hook called `flows`, a worker called `users.list`. The names that a file binds are `taken`; a module or a
builtin of that name is reached through an alias instead.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Callable, Collection
from functools import lru_cache

from wfgen_codegen.errors import RenderError
from wfgen_codegen.quoting import Code

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_ALLOWED = (
    ast.Expression,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Tuple,
    ast.List,
    ast.Constant,
    ast.BinOp,
    ast.BitOr,
    ast.UnaryOp,
    ast.USub,
    ast.Starred,
    ast.Load,
)


class TypeNames:
    """Collects the types of one generated file.

    Args:
        taken: every name that the file binds at module or class level.
        place: what is being rendered, for errors.
    """

    def __init__(self, taken: Collection[str], place: str) -> None:
        self._taken = frozenset(taken)
        self._place = place
        self._modules: set[str] = set()

    def use(self, expression: str | None, imports: Collection[str]) -> Code:
        """The expression as it may stand in the file; None is the type `None`.

        Raises:
            RenderError: the expression is no type expression, or an import is no module name.
        """
        if expression is None:
            return Code("None")
        for module in imports:
            if not is_dotted(module):
                raise RenderError(f"{self._place}: {module!r} is no module name.")
        self._modules.update(imports)
        if is_dotted(expression) and expression.partition(".")[0] not in self._taken:
            return Code(expression)
        tree = _parse(expression)
        if tree is None:
            raise RenderError(
                f"{self._place}: {expression!r} is no type expression.", hint="Use a named type in the signature."
            )
        if self._taken.isdisjoint(_first_names(expression)):
            return Code(ast.unparse(tree))
        return Code(ast.unparse(_Aliased(self._alias).visit(ast.parse(expression, mode="eval"))))

    def again(self) -> TypeNames:
        """An empty collection for a part of the same file."""
        return TypeNames(self._taken, self._place)

    @property
    def imports(self) -> tuple[Code, ...]:
        """Import statements for the types used so far, sorted."""
        lines = []
        for module in sorted(self._modules):
            if module.partition(".")[0] in self._taken:
                lines.append(f"import {module} as {_alias_of(module)}")
            else:
                lines.append(f"import {module}")
        return tuple(Code(line) for line in lines)

    def _alias(self, name: str) -> str | None:
        """The alias for the longest imported module that a dotted name starts with; None to leave it alone."""
        first = name.partition(".")[0]
        if first not in self._taken:
            return None
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            if module in self._modules:
                return ".".join((_alias_of(module), *parts[end:]))
        if hasattr(builtins, first):
            self._modules.add("builtins")
            return f"{_alias_of('builtins') if 'builtins' in self._taken else 'builtins'}.{name}"
        raise RenderError(f"{self._place}: the type {name!r} comes from no imported module.")


class _Aliased(ast.NodeTransformer):
    def __init__(self, alias: Callable[[str], str | None]) -> None:
        self._alias = alias

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._replace(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._replace(node)

    def _replace(self, node: ast.expr) -> ast.AST:
        text = ast.unparse(node)
        if not is_dotted(text):
            return self.generic_visit(node)
        alias = self._alias(text)
        return node if alias is None else ast.parse(alias, mode="eval").body


def is_dotted(text: str) -> bool:
    """Whether the text is one or more identifiers with dots between them, none of them a keyword."""
    return _DOTTED.fullmatch(text) is not None and not any(
        keyword.iskeyword(part) and part not in ("None", "True", "False") for part in text.split(".")
    )


def _alias_of(module: str) -> str:
    return "_wfgen_" + module.replace("_", "__").replace(".", "_")


@lru_cache(maxsize=4096)
def _parse(expression: str) -> ast.Expression | None:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if all(isinstance(node, _ALLOWED) for node in ast.walk(tree)) else None


@lru_cache(maxsize=4096)
def _first_names(expression: str) -> frozenset[str]:
    tree = _parse(expression)
    assert tree is not None
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
