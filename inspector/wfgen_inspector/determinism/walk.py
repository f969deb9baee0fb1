"""What one function does by itself, and what it calls: a walk through everything that running it evaluates.

Functions and lambdas that are only passed on are not looked at, so what a step does stays out by itself. They are when
they are called here, or handed to something that is known to call them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from wfgen_inspector.determinism.decorators import wrappers
from wfgen_inspector.determinism.effects import Body
from wfgen_inspector.determinism.expressions import Expressions
from wfgen_inspector.scopes import Function

_TASKS = frozenset({"create_task", "ensure_future"})


class Walk(Expressions):
    """Walks statements."""

    def run(self) -> Body:
        """Walk it."""
        node = self.function.node
        if isinstance(node, ast.Lambda):
            self.order.returned(node.body)
            self.expr(node.body)
        else:
            for wrapper, name in wrappers(self.function, self.meaning):
                self.call_of(wrapper, f"is wrapped by `{name}`, which calls `{wrapper.name}`", node)
            self.block(node.body)
        return self.body

    def block(self, body: Iterable[ast.stmt]) -> None:
        """Walk statements."""
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                self.parts(statement)
            else:
                handler(self, statement)

    def parts(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expr(child)
            elif isinstance(child, ast.stmt):
                self.block((child,))
            else:
                self.parts(child)

    def _expression(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._task(node.value, None)
        self.expr(node.value)

    def _assign(self, node: ast.Assign) -> None:
        if len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Call):
                self._task(node.value, target.id)
            self.order.assigned(target, node.value)
        self.expr(node.value)
        for target in node.targets:
            self._store(target)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.order.assigned(node.target, node.value)
            self.expr(node.value)
            self._store(node.target)

    def _augmented(self, node: ast.AugAssign) -> None:
        self.expr(node.value)
        self._store(node.target)

    def _store(self, target: ast.expr) -> None:
        """What is evaluated on the way to a target; whether it is state that others see."""
        if isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._store(element)
            return
        if isinstance(target, ast.Starred):
            self._store(target.value)
            return
        self.sharing.stored(target)
        if isinstance(target, ast.Attribute | ast.Subscript):
            self.expr(target.value)
            if isinstance(target, ast.Subscript):
                self.expr(target.slice)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._store(target)

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.order.returned(node.value)
            self.expr(node.value)

    def _if(self, node: ast.If) -> None:
        if not is_type_checking(node.test):
            self.expr(node.test)
            with self.sharing.guarded(node.test):
                self.block(node.body)
        self.block(node.orelse)

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        self.block(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                self.expr(handler.type)
            with self.sharing.missing(handler.type, node.body):
                self.block(handler.body)
        self.block(node.orelse)
        self.block(node.finalbody)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self.order.loop(node)
        self.iterated(node.iter)
        self.expr(node.iter)
        self._store(node.target)
        self.block(node.body)
        self.block(node.orelse)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        names = ("__enter__", "__exit__") if isinstance(node, ast.With) else ("__aenter__", "__aexit__")
        for item in node.items:
            self.special(item.context_expr, names, "enters")
            self.expr(item.context_expr)
            if item.optional_vars is not None:
                self._store(item.optional_vars)
        self.block(node.body)

    def _definition(self, node: Function) -> None:
        """A nested function: only what its definition evaluates."""
        for part in (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            self.expr(part)

    def _class(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases):
            self.expr(part)

    def _nothing(self, node: ast.stmt) -> None:
        """Nothing is evaluated, or nothing that counts."""

    def _global(self, node: ast.Global) -> None:
        self.sharing.declared.update(node.names)

    # Tasks

    def _task(self, call: ast.Call, name: str | None) -> None:
        """A task that is made in a statement of its own, or for a name that nobody reads."""
        function = call.func
        spelled = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if spelled not in _TASKS and isinstance(function, ast.Attribute):
            return
        if not any(
            found in self.table.groups["task_makers"]
            for found in self.meaning.externals(function, self.scope, self.module)
        ):
            return
        if name is None or (name not in self.scope.names.outer and not self.order.is_loaded(name)):
            self.effect("WF209", spelled or "create_task", "starts a task that nobody waits for", call)


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition holds for type checkers alone."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


_STATEMENTS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Expr: Walk._expression,
    ast.Assign: Walk._assign,
    ast.AnnAssign: Walk._annotated,
    ast.AugAssign: Walk._augmented,
    ast.Delete: Walk._delete,
    ast.Return: Walk._return,
    ast.Raise: Walk.for_people,
    ast.If: Walk._if,
    ast.Try: Walk._try,
    ast.TryStar: Walk._try,
    ast.For: Walk._for,
    ast.AsyncFor: Walk._for,
    ast.With: Walk._with,
    ast.AsyncWith: Walk._with,
    ast.FunctionDef: Walk._definition,
    ast.AsyncFunctionDef: Walk._definition,
    ast.ClassDef: Walk._class,
    ast.Global: Walk._global,
    ast.Nonlocal: Walk._nothing,
    ast.Import: Walk._nothing,
    ast.ImportFrom: Walk._nothing,
    ast.Pass: Walk._nothing,
}
