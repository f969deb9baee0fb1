"""Assignments and definitions: what names stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen.manifest import Node
from wfgen_inspector.body.expressions import Expressions
from wfgen_inspector.body.flow import HANDLE, Mark
from wfgen_inspector.scopes import Scope, bindings, bound_by

_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)


class Assignments(Expressions):
    """Walks statements that bind names."""

    def expression(self, node: ast.Expr, out: list[Node]) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expr(node.value, out, "statement")

    def assign(self, node: ast.Assign, out: list[Node]) -> None:
        if len(node.targets) == 1:
            self.assign_one(node.targets[0], node.value, out)
            return
        meaning = self.meaning(node.value)
        if meaning is not None and all(isinstance(target, ast.Name) for target in node.targets):
            for target in node.targets:
                self.assign_one(target, node.value, out)
            return
        self.expr(node.value, out, "container")
        for target in node.targets:
            self.bind(target, out)

    def annotated(self, node: ast.AnnAssign, out: list[Node]) -> None:
        if node.value is not None:
            self.assign_one(node.target, node.value, out)

    def assign_one(self, target: ast.expr, value: ast.expr, out: list[Node]) -> None:
        pairs = _paired(target, value)
        meanings = [self.meaning(given) if isinstance(to, ast.Name) else None for to, given in pairs]
        for (to, given), meaning in zip(pairs, meanings, strict=True):
            if meaning is None:
                self.value(to, given, out)
        for (to, given), meaning in zip(pairs, meanings, strict=True):
            if meaning is None or not isinstance(to, ast.Name):
                continue
            self.follow(to, given, meaning, out)

    def follow(self, target: ast.Name, value: ast.expr, meaning: Mark, out: list[Node]) -> None:
        """The name stands for the handle, one of its methods, or a function."""
        if meaning is HANDLE:
            self.alias(target, value, out)
        elif meaning.kind in ("partial", "holder"):
            self.follow_object(target, value, meaning, out)
        elif meaning.kind == "function":
            if isinstance(value, ast.Lambda):
                self.defaults(value, out)
                self.frame.defined.append((value, self.scope))
            self.set_mark(target.id, meaning)
        elif self.set_mark(target.id, meaning):
            if isinstance(value, ast.Attribute):
                self.alias_of_method(value, out)
        else:
            self.escape(value, out, f"the handle's method {meaning.method!r} is stored in a global name")

    def follow_object(self, target: ast.Name, value: ast.expr, meaning: Mark, out: list[Node]) -> None:
        """The name stands for a `partial` with the handle, or for an object that keeps it."""
        if isinstance(value, ast.Call) and meaning.kind == "partial":
            self.bind_partial(value, out)
        elif isinstance(value, ast.Call):
            self.keep(value, meaning, out)
        if not self.set_mark(target.id, meaning):
            self.escape(target, out, f"the handle is kept under the global name {target.id!r}")

    def value(self, target: ast.expr, value: ast.expr, out: list[Node]) -> None:
        """Assign anything else; operations that wait to be awaited are shown where they are awaited."""
        if not isinstance(target, ast.Name):
            self.expr(value, out, "container")
            self.bind(target, out)
            return
        before, count = self.assigned, self.unawaited
        self.assigned = target.id
        nodes: list[Node] = []
        self.expr(value, nodes, "value")
        self.assigned = before
        self.set_mark(target.id, None)
        if nodes and self.unawaited > count and self.is_taken(target.id):
            pending = Mark("pending", nodes=tuple(nodes))
            self.waiting.append(pending)
            self.set_mark(target.id, pending)
        else:
            out.extend(nodes)

    def is_taken(self, name: str) -> bool:
        """Whether the next statement of the block that reads a name is a simple one or a `with`."""
        for statement in self.rest:
            if any(
                isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
                for part in ast.walk(statement)
            ):
                return isinstance(statement, _SIMPLE) and self.owner(name) is self.scope
        return False

    def bind(self, target: ast.expr, out: list[Node]) -> None:
        """A target is given some other value; what stands in an attribute or a subscript is walked."""
        for name in bound_by(target):
            self.set_mark(name, None)
        for part in _places(target):
            self.expr(part, out, "operand")

    def augmented(self, node: ast.AugAssign, out: list[Node]) -> None:
        if isinstance(node.target, ast.Name):
            if self.is_handle(node.target):
                self.escape(node.target, out, "the handle is used as a value")
            self.expr(node.value, out, "operand")
            self.set_mark(node.target.id, None)
        else:
            self.expr(node.target, out, "operand")
            self.expr(node.value, out, "operand")

    def delete(self, node: ast.Delete, out: list[Node]) -> None:
        for target in node.targets:
            self.bind(target, out)

    def imported(self, node: ast.Import | ast.ImportFrom, out: list[Node]) -> None:
        for alias in node.names:
            self.set_mark((alias.asname or alias.name).partition(".")[0], None)

    # Definitions

    def function_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef, out: list[Node]) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator, out, "operand")
        self.defaults(node, out)
        self.frame.defined.append((node, self.scope))
        self.set_mark(node.name, Mark("function", function=node, scope=self.scope))

    def class_definition(self, node: ast.ClassDef, out: list[Node]) -> None:
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.expr(part, out, "argument")
        self.set_mark(node.name, None)
        if self.mentions_marks(node):
            names = bindings(node.body, package="")
            with self.inside(Scope(names, self.scope, is_class=True)):
                self.block(node.body, out)


def _paired(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """`a, b = x, y` element by element, everything else as it is."""
    both = (target, value)
    if all(isinstance(side, ast.Tuple | ast.List) for side in both):
        left, right = (side.elts for side in both if isinstance(side, ast.Tuple | ast.List))
        if len(left) == len(right) and not any(isinstance(element, ast.Starred) for element in (*left, *right)):
            return [pair for one, other in zip(left, right, strict=True) for pair in _paired(one, other)]
    return [both]


def _places(target: ast.expr) -> Iterator[ast.expr]:
    """Attributes and subscripts in a target."""
    if isinstance(target, ast.Attribute | ast.Subscript):
        yield target
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _places(element)
    elif isinstance(target, ast.Starred):
        yield from _places(target.value)
