"""Statements, along the flow of control."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from wfgen.manifest import Arm, Branch, Loop, Node, Parallel, ParallelBranch, Raise, Return, Try, With
from wfgen_inspector.body.expressions import Expressions
from wfgen_inspector.body.flow import HANDLE, Flow, Mark, merge
from wfgen_inspector.scopes import Scope, bindings, bound_by, bound_by_pattern

_TASK_GROUP = "asyncio.TaskGroup"
_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)
_TURNS = 4
"""How often a loop is walked at most until what its names stand for settles."""


class Statements(Expressions):
    """Walks statements."""

    def block(self, body: list[ast.stmt], out: list[Node]) -> None:
        outer, self.waiting = self.waiting, []
        for index, statement in enumerate(body):
            handler = _HANDLERS.get(type(statement))
            if handler is not None:
                self.rest = body[index + 1 :] if handler is Statements.assign else []
                handler(self, statement, out)
        for pending in self.waiting:  # nobody took them after all
            out.extend(pending.nodes)
        self.waiting = outer

    # Assignments

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

    # Ways out

    def returned(self, node: ast.Return, out: list[Node]) -> None:
        nodes: list[Node] = []
        if node.value is not None:
            self.expr(node.value, nodes, "return")
        out.append(Return(span=self.span(node), body=tuple(nodes)))
        self.frame.returns.append(self.flow.copy())
        self.flow.ended = True

    def raised(self, node: ast.Raise, out: list[Node]) -> None:
        nodes: list[Node] = []
        for part in (node.exc, node.cause):
            if part is not None:
                self.expr(part, nodes, "argument")
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        text = None if error is None else self.source(error)
        out.append(Raise(span=self.span(node), error=text, body=tuple(nodes)))
        self.flow.ended = True

    def left(self, node: ast.Break | ast.Continue, out: list[Node]) -> None:
        if self.frame.loops:
            self.frame.loops[-1].append(self.flow.copy())
        self.flow.ended = True

    def asserted(self, node: ast.Assert, out: list[Node]) -> None:
        self.expr(node.test, out, "operand")
        if node.msg is not None:
            self.expr(node.msg, out, "argument")

    # Branches

    def if_(self, node: ast.If, out: list[Node]) -> None:
        self.expr(node.test, out, "operand")
        arms: list[Arm] = []
        ends: list[Flow] = []
        part, label = node, "if"
        while True:
            before = self.flow.copy()
            body: list[Node] = []
            self.block(part.body, body)
            arms.append(Arm(label=label, test=self.source(part.test), body=tuple(body)))
            ends.append(self.flow)
            self.flow = before
            orelse = part.orelse
            if len(orelse) == 1 and isinstance(orelse[0], ast.If) and orelse[0].col_offset == part.col_offset:
                test: list[Node] = []
                self.expr(orelse[0].test, test, "operand")
                if not test:
                    part, label = orelse[0], "elif"
                    continue
                # What the test asks for happens before all later arms, so they stand below it.
                self.rest_of_if(orelse[0], test)
                arms.append(Arm(label="else", body=tuple(test)))
            elif orelse:
                body = []
                self.block(orelse, body)
                arms.append(Arm(label="else", body=tuple(body)))
            ends.append(self.flow)
            break
        self.flow = merge(ends)
        if any(arm.body for arm in arms):
            out.append(Branch(span=self.span(node), form="if", arms=tuple(arms)))

    def rest_of_if(self, node: ast.If, out: list[Node]) -> None:
        """An `elif` whose test has been walked."""
        walked = ast.copy_location(ast.Constant(None), node.test)
        settled = ast.copy_location(ast.If(walked, node.body, node.orelse), node)
        inner: list[Node] = []
        self.if_(settled, inner)
        for branch in inner:
            if isinstance(branch, Branch):
                first = branch.arms[0].model_copy(update={"test": self.source(node.test)})
                branch = branch.model_copy(update={"arms": (first, *branch.arms[1:])})
            out.append(branch)

    def match(self, node: ast.Match, out: list[Node]) -> None:
        self.expr(node.subject, out, "operand")
        arms: list[Arm] = []
        before = self.flow
        ends = [before]
        for case in node.cases:
            self.flow = before.copy()
            for name in bound_by_pattern(case.pattern):
                self.set_mark(name, None)
            body: list[Node] = []
            test = self.source(case.pattern)
            if case.guard is not None:
                self.expr(case.guard, body, "operand")
                test += f" if {self.source(case.guard)}"
            self.block(case.body, body)
            arms.append(Arm(label="case", test=test, body=tuple(body)))
            ends.append(self.flow)
            if case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None:
                ends = ends[1:]  # one of the cases fits
        self.flow = merge(ends)
        if any(arm.body for arm in arms):
            out.append(Branch(span=self.span(node), form="match", arms=tuple(arms)))

    # Loops

    def for_(self, node: ast.For | ast.AsyncFor, out: list[Node]) -> None:
        if self.is_handle(node.iter):
            self.escape(node.iter, out, "the handle is iterated over")
        else:
            self.expr(node.iter, out, "argument")

        def start(body: list[Node]) -> None:
            self.bind(node.target, body)

        form = "for" if isinstance(node, ast.For) else "async_for"
        header = f"{self.source(node.target)} in {self.source(node.iter)}"
        self.loop(node, start, out, form, header)

    def while_(self, node: ast.While, out: list[Node]) -> None:
        def start(body: list[Node]) -> None:
            self.expr(node.test, body, "operand")

        self.loop(node, start, out, "while", self.source(node.test))

    def loop(
        self,
        node: ast.For | ast.AsyncFor | ast.While,
        start: Callable[[list[Node]], None],
        out: list[Node],
        form: str,
        header: str,
    ) -> None:
        """Walk a loop's body; once more when a turn changes what names stand for at the start of the next."""
        before = self.flow
        entry = before.copy()
        turn = 0
        while True:
            turn += 1
            saved = self.snapshot()
            exits: list[Flow] = []
            self.frame.loops.append(exits)
            self.flow = entry.copy()
            body: list[Node] = []
            start(body)
            self.block(node.body, body)
            self.frame.loops.pop()
            ends = [before, self.flow, *(Flow(e.marks, e.seen) for e in exits)]
            after = merge(ends)
            next_entry = Flow({**after.marks, **entry.marks}, entry.seen)
            if turn == _TURNS or next_entry.marks.keys() == entry.marks.keys():
                break
            self.restore(saved)
            entry = next_entry
        self.flow = after
        orelse: list[Node] = []
        self.block(node.orelse, orelse)
        if body or orelse:
            out.append(
                Loop.model_validate(
                    {"span": self.span(node), "form": form, "header": header, "body": body, "orelse": orelse}
                )
            )

    def snapshot(self) -> tuple[set[ast.AST], list[int]]:
        """What has been found so far, so that a turn of a loop can be walked again."""
        return set(self.walked), [len(found) for found in self.found]

    def restore(self, saved: tuple[set[ast.AST], list[int]]) -> None:
        self.walked, lengths = saved
        for found, length in zip(self.found, lengths, strict=True):
            del found[length:]

    @property
    def found(self) -> tuple[list[Any], ...]:
        frame = self.frame
        return (self.reading.problems, self.targets, self.payloads, frame.returns, frame.defined)

    # Blocks

    def try_(self, node: ast.Try, out: list[Node]) -> None:
        before = self.flow.copy()
        body: list[Node] = []
        self.block(node.body, body)
        after = self.flow
        # An error may come at any point of the body.
        broken = merge([Flow(before.marks, before.seen), Flow(after.marks, after.seen)])
        handlers: list[Arm] = []
        ends: list[Flow] = []
        star = "*" if type(node).__name__ == "TryStar" else ""
        for handler in node.handlers:
            self.flow = broken.copy()
            nodes: list[Node] = []
            if handler.type is not None:
                self.expr(handler.type, nodes, "operand")
            if handler.name:
                self.set_mark(handler.name, None)
            self.block(handler.body, nodes)
            ends.append(self.flow)
            caught = "" if handler.type is None else f" {self.source(handler.type)}"
            handlers.append(Arm(label=f"except{star}{caught}", body=tuple(nodes)))
        self.flow = after
        orelse: list[Node] = []
        self.block(node.orelse, orelse)
        ends.append(self.flow)
        self.flow = merge(ends)
        final: list[Node] = []
        if node.finalbody:
            ended = self.flow.ended
            self.flow = merge([self.flow, Flow(broken.marks, broken.seen, ended=not ended)])
            self.flow.ended = False
            self.block(node.finalbody, final)
            self.flow.ended = self.flow.ended or ended
        if body or orelse or final or any(handler.body for handler in handlers):
            out.append(
                Try(
                    span=self.span(node),
                    body=tuple(body),
                    handlers=tuple(handlers),
                    orelse=tuple(orelse),
                    final=tuple(final),
                )
            )

    def with_(self, node: ast.With | ast.AsyncWith, out: list[Node]) -> None:
        is_group = False
        for item in node.items:
            context = item.context_expr
            if isinstance(context, ast.Call) and self.scope.qualified(context.func) == _TASK_GROUP:
                is_group = True
            if self.is_handle(context):
                self.escape(context, out, "the handle is entered as a context")
            else:
                self.expr(context, out, "argument")
            if item.optional_vars is not None:
                self.bind(item.optional_vars, out)
        body: list[Node] = []
        self.block(node.body, body)
        if not body:
            return
        if is_group:
            own = [n for n in body if not (isinstance(n, Parallel) and n.form == "task")]
            tasks = [branch for n in body if isinstance(n, Parallel) and n.form == "task" for branch in n.branches]
            branches = [*([ParallelBranch(body=tuple(own))] if own else []), *tasks]
            out.append(Parallel(span=self.span(node), form="task_group", branches=tuple(branches)))
        else:
            header = ", ".join(self.item(item) for item in node.items)
            out.append(With(span=self.span(node), header=header, body=tuple(body)))

    def item(self, item: ast.withitem) -> str:
        name = "" if item.optional_vars is None else f" as {self.source(item.optional_vars)}"
        return self.source(item.context_expr) + name


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


_HANDLERS: dict[type[ast.stmt], Callable[..., None]] = {
    ast.Expr: Statements.expression,
    ast.Assign: Statements.assign,
    ast.AnnAssign: Statements.annotated,
    ast.AugAssign: Statements.augmented,
    ast.Delete: Statements.delete,
    ast.Import: Statements.imported,
    ast.ImportFrom: Statements.imported,
    ast.FunctionDef: Statements.function_definition,
    ast.AsyncFunctionDef: Statements.function_definition,
    ast.ClassDef: Statements.class_definition,
    ast.Return: Statements.returned,
    ast.Raise: Statements.raised,
    ast.Break: Statements.left,
    ast.Continue: Statements.left,
    ast.Assert: Statements.asserted,
    ast.If: Statements.if_,
    ast.Match: Statements.match,
    ast.For: Statements.for_,
    ast.AsyncFor: Statements.for_,
    ast.While: Statements.while_,
    ast.Try: Statements.try_,
    ast.TryStar: Statements.try_,
    ast.With: Statements.with_,
    ast.AsyncWith: Statements.with_,
}
