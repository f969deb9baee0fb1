"""Statements, along the flow of control."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from wfgen.manifest import Arm, Branch, Loop, Node, Parallel, ParallelBranch, Raise, Return, Try, With
from wfgen_inspector.body.assignments import Assignments
from wfgen_inspector.body.bindings import leaves
from wfgen_inspector.body.flow import Flow, merge
from wfgen_inspector.scopes import bound_by_pattern

_TASK_GROUP = "asyncio.TaskGroup"
_TURNS = 4
"""How often a loop is walked at most until what its names stand for settles."""


class Statements(Assignments):
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
        self.test(node.test, out)
        if node.msg is not None:
            self.expr(node.msg, out, "argument")

    # Branches

    def if_(self, node: ast.If, out: list[Node]) -> None:
        self.test(node.test, out)
        arms: list[Arm] = []
        ends: list[Flow] = []
        part, label = node, "if"
        while True:
            before = self.flow.copy()
            body: list[Node] = []
            tested = self.tested(part.test)
            self.block(part.body, body)
            arms.append(Arm(label=label, body=tuple(body), **tested))
            ends.append(self.flow)
            self.flow = before
            orelse = part.orelse
            if len(orelse) == 1 and isinstance(orelse[0], ast.If) and orelse[0].col_offset == part.col_offset:
                test: list[Node] = []
                self.test(orelse[0].test, test)
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
                first = branch.arms[0].model_copy(update=self.tested(node.test))
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
            key = self.key(node.subject, case.pattern, *([case.guard] if case.guard else []))
            if case.guard is not None:
                self.test(case.guard, body)
                test += f" if {self.source(case.guard)}"
            self.block(case.body, body)
            arms.append(Arm(label="case", test=test, body=tuple(body), key=key))
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
            self.test(node.test, body)

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
            left = leaves(node.body)
            found = {"span": self.span(node), "form": form, "header": header, "body": body, "orelse": orelse}
            key = self.key(node.test if isinstance(node, ast.While) else node.iter, *left)
            out.append(Loop.model_validate({**found, "key": key, "leaves": bool(left)}))

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
        return (self.reading.problems, self.targets, self.payloads, self.holders, frame.returns, frame.defined)

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
            handlers.append(Arm(label=f"except{star}{caught}", body=tuple(nodes), key=self.caught(handler.type)))
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

    def caught(self, kind: ast.expr | None) -> str | None:
        """The key of what a handler catches; the order of a tuple makes no difference."""
        if isinstance(kind, ast.Tuple):
            return " ".join(sorted(self.key(element) for element in kind.elts))
        return None if kind is None else self.key(kind)

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
