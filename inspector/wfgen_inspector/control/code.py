"""The workflow code of a file, looked through once: what the passes judge, sorted by kind."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from wfgen.manifest import Span
from wfgen_inspector.body.handle import given_to
from wfgen_inspector.facts import Problem, Rewrite
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Located
from wfgen_inspector.scopes import Function, Scope, bound_by

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

N = TypeVar("N", bound=ast.AST)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_KEPT = frozenset(
    {
        ast.AnnAssign, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.Call, ast.For, ast.Return, ast.Try, ast.TryStar,
        ast.While, ast.With,
    }
)  # fmt: skip
_LEAVES = frozenset({ast.Name, ast.Constant, ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal})
_PASSED = frozenset({"ctx", "op", "ops", "annotation", "type_comment", "arg", "attr", "id", "name", "level", "lineno"})
"""Fields in which there is nothing to look at."""
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}
"""By kind of node: the others."""
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a method of the handle that makes a durable operation."""

    call: ast.Call
    method: str
    given: dict[str, ast.expr]
    """Arguments by parameter; those behind `*` and `**` are not known."""


class Body:
    """One function that is workflow code.

    Args:
        reading: the file from which it was entered.
        module: where it stands.
        function: the workflow, or a helper that receives its handle.
        scope: its own.
    """

    def __init__(self, reading: Reading, module: Module, function: Function | ast.Lambda, scope: Scope) -> None:
        self.reading = reading
        self.module = module
        self.function = function
        self.scope = scope
        self.nested: list[Function | ast.Lambda] = []
        """Functions and lambdas that are written directly inside, whatever becomes of them."""
        self.hidden: set[str] = set()
        """Names that a comprehension binds somewhere inside: there they mean something else than elsewhere."""
        self._kept: dict[type[ast.AST], list[ast.AST]] = {}
        self._anchors: dict[ast.AST, ast.JoinedStr] = {}
        self._look()

    def all(self, kind: type[N]) -> list[N]:
        """Every syntax node of one kind, in no order; nested functions have their own."""
        return self._kept.get(kind, [])  # type: ignore[return-value]

    @property
    def calls(self) -> list[ast.Call]:
        return self.all(ast.Call)

    @property
    def tries(self) -> list[ast.Try | ast.TryStar]:
        return [*self.all(ast.Try), *self.all(ast.TryStar)]

    @property
    def withs(self) -> list[ast.With | ast.AsyncWith]:
        return [*self.all(ast.With), *self.all(ast.AsyncWith)]

    @cached_property
    def operations(self) -> list[Operation]:
        """Calls of the handle's methods, in no order."""
        known = self.reading.operations
        return [Operation(call, known[call][0], given_to(known[call][0], call)) for call in self.calls if call in known]

    def resolved(self, node: ast.expr) -> str | None:
        """Qualified name of a dotted expression of this function, also behind names that are assigned once."""
        for _ in range(4):
            if not isinstance(node, ast.Name):
                break
            found = self.scope.find(node.id)
            value = None if found is None else found.names.constant(node.id)
            if not isinstance(value, ast.Name | ast.Attribute):
                break
            node = value
        return self.scope.qualified(node)

    def span(self, node: Located) -> Span:
        """Where something stands; inside an f-string, that of the f-string, because nothing in it has a position of its
        own before Python 3.12."""
        return self.module.text.span(self._anchors.get(node, node))

    def problem(
        self,
        code: str,
        node: Located | Span,
        message: str,
        hint: str,
        rewrite: Rewrite | None = None,
    ) -> None:
        """Report something in this function."""
        span = node if isinstance(node, Span) else self.span(node)
        file = None if self.module is self.reading.module else self.module.path
        self.reading.problems.append(Problem(code, span, message, hint, rewrite, file=file))

    def _look(self) -> None:
        function, kept = self.function, self._kept
        left: list[ast.AST] = [function.body] if isinstance(function, ast.Lambda) else [*function.body]
        while left:
            node = left.pop()
            kind = type(node)
            if kind in _LEAVES:
                continue
            if kind in _KEPT:
                kept.setdefault(kind, []).append(node)
            elif isinstance(node, _FUNCTIONS):
                self.nested.append(node)
                left += [default for default in (*node.args.defaults, *node.args.kw_defaults) if default is not None]
                continue
            elif kind is ast.ClassDef:
                continue
            elif kind is ast.JoinedStr:
                for part in ast.walk(node):
                    self._anchors.setdefault(part, node)  # type: ignore[arg-type]
            elif isinstance(node, ast.comprehension):
                self.hidden.update(bound_by(node.target))
            left += children(node)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below one, but for operators, annotations and the like."""
    kind = type(node)
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(name for name in node._fields if name not in _PASSED)
    found: list[ast.AST] = []
    for name in fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def inside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Nodes and all that is below them, but for the bodies of functions and classes."""
    left = list(nodes)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            left += children(node)


def waits(nodes: Iterable[ast.AST]) -> bool:
    """Whether code waits for something."""
    return any(
        isinstance(node, _WAITS) or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in inside(nodes)
    )


def bodies(reading: Reading) -> list[Body]:
    """Every function that is workflow code, nested ones and methods included: of the file, and of modules it uses."""
    if not reading.entered:
        return []
    found: list[Body] = []
    for module in (reading.module, *reading.modules.values()):
        left: list[tuple[ast.AST, Scope]] = [(block, module.scope) for block in module.scope.names.blocks]
        while left:
            node, outer = left.pop()
            if isinstance(node, ast.ClassDef):
                inner = Scope(module.names_of(node), outer, is_class=True)
                left += [(block, inner) for block in inner.names.blocks]
            elif isinstance(node, _FUNCTIONS) and node in reading.entered:
                body = Body(reading, module, node, Scope(module.names_of(node), outer))
                found.append(body)
                left += [(nested, body.scope) for nested in body.nested]
    return found
