"""Calls of anything but the handle's methods: helpers, tasks, gatherings."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from wfgen.manifest import DYNAMIC, Node, Parallel, ParallelBranch
from wfgen_inspector.body.helpers import Helpers, values
from wfgen_inspector.body.walker import Context
from wfgen_inspector.constants import text

_GATHERING = frozenset({"asyncio.gather"})
_GATHERING_LIST = frozenset({"asyncio.wait", "asyncio.as_completed"})
_TASKS = frozenset({"create_task", "ensure_future"})


class Calls(Helpers):
    """Walks calls."""

    def call(self, node: ast.Call, out: list[Node], context: Context) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            if self.is_handle_expression(function.value, out):
                self.operation(function.attr, node, out, context)
                return
            if function.attr in _TASKS:
                self.task(node, out)
                return
            maker = function.value
            if isinstance(maker, ast.Call) and (kept := self.kept(maker)) is not None:
                self.keep(maker, kept, out)
                if self.call_method(kept, node, function.attr, out, context):
                    return
                self.obscure(self.span(node), out, f"{function.attr!r} is no method that can be seen")
                self.arguments(node, out)
                return
        elif isinstance(function, ast.Name):
            mark = self.mark(function.id)
            if mark is not None and mark.kind == "method":
                self.operation(mark.method, node, out, context)
                return
            if mark is not None and mark.kind == "function" and mark.function and mark.scope:
                self.enter(mark.function, mark.scope, node, function.id, out, context)
                return
            if mark is not None and mark.kind == "partial" and mark.partial is not None:
                self.call_partial(mark.partial, node, out, context)
                return
        elif isinstance(function, ast.Lambda):
            self.enter(function, self.scope, node, "lambda", out, context)
            return
        elif isinstance(function, ast.Call) and self.is_partial(function):
            self.bind_partial(function, out)
            self.call_partial(function, node, out, context)
            return
        kept = self.kept(node)
        if kept is not None:
            self.keep(node, kept, out)
            self.obscure(self.span(node), out, "an object that keeps the handle is not given a name")
            return
        qualified = self.scope.qualified(function)
        if qualified in _GATHERING:
            self.gather(node, node.args, out, joined=context == "await")
            if context == "statement" and out and isinstance(out[-1], Parallel):
                self.problem(
                    "WF209",
                    self.span(node),
                    "what `asyncio.gather` starts here is never awaited.",
                    "Write `await` before it.",
                )
        elif qualified in _GATHERING_LIST and node.args and isinstance(node.args[0], ast.List | ast.Set | ast.Tuple):
            self.gather(node, node.args[0].elts, out, node.args[1:], joined=False)
        elif isinstance(function, ast.Name) and function.id in _TASKS and (qualified or "").startswith("asyncio."):
            self.task(node, out)
        elif not self.call_helper(node, function, out, context):
            self.expr(function, out, "operand")
            self.arguments(node, out)

    def arguments(self, call: ast.Call, out: list[Node], apart: tuple[ast.expr | None, ...] = ()) -> None:
        assigned, self.assigned = self.assigned, None
        for value in values(call):
            if value in apart:
                continue
            if self.is_handle(value):
                self.escape(value, out, f"the handle is passed to {self.source(call.func)}")
            else:
                self.expr(value, out, "argument")
        self.assigned = assigned

    # Concurrency

    def gather(
        self,
        call: ast.Call,
        elements: Iterable[ast.expr],
        out: list[Node],
        others: Iterable[ast.expr] = (),
        *,
        joined: bool,
    ) -> None:
        """`asyncio.gather(...)`: each argument is a branch, a starred comprehension is one."""
        branches = self.branches((None, element) for element in _unpacked(elements))
        for other in (*others, *(keyword.value for keyword in call.keywords)):
            self.expr(other, out, "argument")
        if branches:
            out.append(Parallel(span=self.span(call), form="gather", branches=branches, joined=joined))

    def branches(
        self, elements: Iterable[tuple[str | None, ast.expr]], *, all_: bool = False
    ) -> tuple[ParallelBranch, ...]:
        assigned, self.assigned = self.assigned, None
        unawaited = self.unawaited
        before = self.flow.seen
        after = dict(before)
        branches: list[ParallelBranch] = []
        for name, element in elements:
            self.flow.seen = dict(before)
            nodes: list[Node] = []
            if self.is_handle(element):
                self.escape(element, nodes, "the handle is passed to a gathering")
            else:
                self.expr(element, nodes, "argument")
            if nodes or all_:
                branches.append(ParallelBranch(name=name, body=tuple(nodes)))
            for step, span in self.flow.seen.items():
                after.setdefault(step, span)
        self.flow.seen = after
        self.assigned = assigned
        self.unawaited = unawaited  # they start here, whoever waits for them
        return tuple(branches)

    def parallel(self, branches: ast.expr | None) -> tuple[ParallelBranch, ...]:
        if branches is None:
            return ()
        if not isinstance(branches, ast.Dict):
            return self.branches([(None, branches)])
        pairs: list[tuple[str | None, ast.expr]] = []
        for key, value in zip(branches.keys, branches.values, strict=True):
            pairs.append((None if key is None else text(key, self.scope) or DYNAMIC, value))
        keys = self.branches((None, key) for key in branches.keys if key is not None)
        return keys + self.branches(pairs, all_=True)

    def task(self, call: ast.Call, out: list[Node]) -> None:
        """`create_task(...)`: what runs beside the rest from here on."""
        if isinstance(call.func, ast.Attribute):
            self.expr(call.func.value, out, "operand")
        seen = self.flow.seen
        branches = self.branches((None, value) for value in values(call))
        self.flow.seen = seen  # a task is a branch of its own
        if branches:
            out.append(Parallel(span=self.span(call), form="task", branches=branches, joined=False))


def _unpacked(elements: Iterable[ast.expr]) -> Iterable[ast.expr]:
    for element in elements:
        if isinstance(element, ast.Starred):
            if isinstance(element.value, ast.List | ast.Tuple | ast.Set):
                yield from _unpacked(element.value.elts)
            else:
                yield element.value
        else:
            yield element
