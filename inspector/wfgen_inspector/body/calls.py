"""Calls of anything but the handle: helpers that are entered, tasks, gatherings."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Iterable

from wfgen.manifest import DYNAMIC, Node, Parallel, ParallelBranch, Return, Sequence
from wfgen_inspector.body.flow import HANDLE, merge
from wfgen_inspector.body.operations import Operations
from wfgen_inspector.body.walker import Context, Frame
from wfgen_inspector.constants import UNKNOWN, evaluate, text
from wfgen_inspector.scopes import Function, Scope

MAX_DEPTH = 12
"""Helpers within helpers."""
MAX_ENTRIES = 500
"""Helpers that are entered for one workflow, all in all."""

_GATHERING = frozenset({"asyncio.gather"})
_GATHERING_LIST = frozenset({"asyncio.wait", "asyncio.as_completed"})
_TASKS = frozenset({"create_task", "ensure_future"})


class Calls(Operations):
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
        elif isinstance(function, ast.Name):
            mark = self.mark(function.id)
            if mark is not None and mark.kind == "method":
                self.operation(mark.method, node, out, context)
                return
            if mark is not None and mark.kind == "function" and mark.function and mark.scope:
                self.enter(mark.function, mark.scope, node, function.id, out, context)
                return
        elif isinstance(function, ast.Lambda):
            self.enter(function, self.scope, node, "lambda", out, context)
            return
        qualified = self.scope.qualified(function)
        if qualified in _GATHERING:
            self.gather(node, node.args, out)
        elif qualified in _GATHERING_LIST and node.args and isinstance(node.args[0], ast.List | ast.Set | ast.Tuple):
            self.gather(node, node.args[0].elts, out, node.args[1:])
        elif isinstance(function, ast.Name) and function.id in _TASKS and (qualified or "").startswith("asyncio."):
            self.task(node, out)
        elif not self.call_helper(node, function, out, context):
            self.expr(function, out, "operand")
            self.arguments(node, out)

    def call_helper(self, node: ast.Call, function: ast.expr, out: list[Node], context: Context) -> bool:
        """Enter a function of this module that receives the handle."""
        if not isinstance(function, ast.Name) or not any(map(self.is_handle, _values(node))):
            return False
        found = self.scope.find(function.id)
        helper = None if found is None else found.names.functions.get(function.id)
        if found is None or helper is None or found.parent is not None:
            return False
        self.enter(helper, found, node, function.id, out, context)
        return True

    def arguments(self, call: ast.Call, out: list[Node], apart: tuple[ast.expr | None, ...] = ()) -> None:
        assigned, self.assigned = self.assigned, None
        for value in _values(call):
            if value in apart:
                continue
            if self.is_handle(value):
                self.escape(value, out, f"the handle is passed to {self.source(call.func)}")
            else:
                self.expr(value, out, "argument")
        self.assigned = assigned

    # Helpers

    def enter(
        self,
        node: Function | ast.Lambda,
        parent: Scope,
        call: ast.Call,
        label: str,
        out: list[Node],
        context: Context,
    ) -> None:
        """Walk a function where it is called."""
        scope = Scope(self.reading.names_of(node), parent)
        handles, refused = self.bind_arguments(node, scope, call, out)
        given = bool(handles)
        handles |= self.default_handles.get(node, set())
        reason = self.refusal(node)
        if refused:
            return
        if reason is not None:
            if given or self.mentions_marks(node):
                self.obscure(self.span(call), out, reason)
            return
        frame = Frame(node, isinstance(node, ast.AsyncFunctionDef))
        body: list[Node] = []
        self.entries += 1
        self.reading.entered.add(node)
        generator = self.reading.is_generator(node)
        with self.inside(scope, frame):
            for name in sorted(handles):
                self.set_mark(name, HANDLE)
                self.reading.handles.setdefault(node, name)
            if generator and (given or self.mentions_marks(node)):
                with self.in_mode("opaque", f"{label} is a generator"):
                    self.function(node, body)
            else:
                self.function(node, body)
        for key in [key for key in self.flow.marks if key[0] is scope]:
            del self.flow.marks[key]
        if body and isinstance(body[-1], Return):
            body[-1:] = body[-1].body
        if given or body:
            span = self.span(call)
            if frame.is_async and not generator and self.mode is None:
                self.is_awaited(label, call, span, context)
            out.append(Sequence(span=span, label=label, body=tuple(body)))

    def refusal(self, node: ast.AST) -> str | None:
        """Why a function is not entered."""
        if node in self.stack:
            return "recursion"
        if len(self.stack) > MAX_DEPTH:
            return f"more than {MAX_DEPTH} helpers within each other"
        return f"more than {MAX_ENTRIES} calls of helpers" if self.entries >= MAX_ENTRIES else None

    def bind_arguments(
        self, node: Function | ast.Lambda, scope: Scope, call: ast.Call, out: list[Node]
    ) -> tuple[set[str], bool]:
        """Match arguments and parameters: the parameters that get the handle, and whether it goes astray.

        Arguments are walked on the way; literals among them become constants of the scope.
        """
        arguments = node.args
        positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
        named = {parameter.arg for parameter in (*arguments.args, *arguments.kwonlyargs)}
        handles: set[str] = set()
        astray = False
        assigned, self.assigned = self.assigned, None
        is_known = True  # until a `*` hides how many there are
        given: list[tuple[str | None, ast.expr]] = []
        for index, value in enumerate(call.args):
            is_known = is_known and not isinstance(value, ast.Starred)
            given.append((positional[index] if is_known and index < len(positional) else None, value))
        given += [(keyword.arg if keyword.arg in named else None, keyword.value) for keyword in call.keywords]
        for name, value in given:
            if self.is_handle(value):
                if name is None:
                    astray = True
                else:
                    handles.add(name)
                continue
            self.expr(value, out, "argument")
            if name is not None and (known := evaluate(value, self.scope)) is not UNKNOWN:
                scope.constants[name] = known
        self.assigned = assigned
        names = {name for name, _ in given}
        defaults = (
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip((parameter.arg for parameter in arguments.kwonlyargs), arguments.kw_defaults, strict=True),
        )
        for name, default in defaults:
            if isinstance(default, ast.Constant) and name not in names and is_known:
                scope.constants[name] = default.value
        if astray:
            for value in _values(call):
                if self.is_handle(value):
                    self.escape(value, out, "the handle is passed by `*` or `**`")
        return handles, astray

    def function(self, node: Function | ast.Lambda, out: list[Node]) -> None:
        """Walk a function's body in its own scope and frame."""
        self.walked.add(node)
        if isinstance(node, ast.Lambda):
            self.expr(node.body, out, "return")
        else:
            self.block(node.body, out)
        self.flow = merge([*self.frame.returns, self.flow])
        self.flow.ended = False
        for nested, scope in self.frame.defined:
            if nested not in self.walked and self.mentions_marks(nested):
                self.detached(nested, scope, out, "it is in a function that is not called here")

    def detached(self, node: Function | ast.Lambda, scope: Scope, out: list[Node], reason: str) -> None:
        """Walk a function of which nobody knows when it is called."""
        if node in self.walked or not self.mentions_marks(node):
            self.walked.add(node)
            return
        with self.in_mode("opaque", reason):
            self.aside(node, scope, out)

    def inside_step(self, node: Function | ast.Lambda, scope: Scope, out: list[Node]) -> None:
        if node not in self.walked:
            if self.mentions_marks(node):
                with self.in_mode("step", ""):
                    self.aside(node, scope, out)
            self.walked.add(node)

    def aside(self, node: Function | ast.Lambda, scope: Scope, out: list[Node]) -> None:
        """Walk a function that does not run on the path that is being walked."""
        if node in self.stack:
            return
        flow = self.flow
        self.flow = flow.copy()
        inner: list[Node] = []
        with self.inside(
            Scope(self.reading.names_of(node), scope), Frame(node, isinstance(node, ast.AsyncFunctionDef))
        ):
            for name in self.default_handles.get(node, ()):
                self.set_mark(name, HANDLE)
            self.function(node, inner)
        self.flow = flow
        out.extend(_plain(inner))

    # Concurrency

    def gather(
        self, call: ast.Call, elements: Iterable[ast.expr], out: list[Node], others: Iterable[ast.expr] = ()
    ) -> None:
        """`asyncio.gather(...)`: each argument is a branch, a starred comprehension is one."""
        branches = self.branches((None, element) for element in _unpacked(elements))
        for other in (*others, *(keyword.value for keyword in call.keywords)):
            self.expr(other, out, "argument")
        if branches:
            out.append(Parallel(span=self.span(call), form="gather", branches=branches))

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
        branches = self.branches((None, value) for value in _values(call))
        if branches:
            out.append(Parallel(span=self.span(call), form="task", branches=branches))

    # Left to expressions

    @abstractmethod
    def is_handle_expression(self, node: ast.expr, out: list[Node]) -> bool:
        """Whether an expression is the handle; a `:=` in it is done on the way."""


def _values(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _unpacked(elements: Iterable[ast.expr]) -> Iterable[ast.expr]:
    for element in elements:
        if isinstance(element, ast.Starred):
            if isinstance(element.value, ast.List | ast.Tuple | ast.Set):
                yield from _unpacked(element.value.elts)
            else:
                yield element.value
        else:
            yield element


def _plain(nodes: list[Node]) -> Iterable[Node]:
    """Nodes of a function that runs elsewhere: its `return` ends nothing here."""
    for node in nodes:
        if not isinstance(node, Return):
            yield node
        else:
            yield from node.body
