"""Expressions, in the order in which they are evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from wfgen.manifest import Arm, Branch, Loop, Node, Use
from wfgen_inspector.body.calls import Calls
from wfgen_inspector.body.flow import HANDLE, Mark, merge
from wfgen_inspector.body.handle import KNOWN, READ
from wfgen_inspector.body.walker import Context
from wfgen_inspector.constants import text
from wfgen_inspector.scopes import Names, Scope, bound_by
from wfgen_inspector.symbols import FunctionSymbol, InstanceSymbol

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Expressions(Calls):
    """Walks expressions."""

    def expr(self, node: ast.expr, out: list[Node], context: Context = "value") -> None:
        _HANDLERS.get(type(node), Expressions.plain)(self, node, out, context)

    def constant(self, node: ast.Constant, out: list[Node], context: Context) -> None:
        """Nothing happens."""

    def name_(self, node: ast.Name, out: list[Node], context: Context) -> None:
        mark = self.mark(node.id)
        if mark is None or not isinstance(node.ctx, ast.Load):
            return
        if mark.kind == "handle":
            self.escape_as(node, out, context)
        elif mark.kind == "method":
            self.escape(node, out, f"the handle's method {mark.method!r} is used as a value")
        elif mark.kind == "partial":
            self.escape(node, out, f"{node.id!r}, which holds the handle, is passed on")
        elif mark.kind == "holder":
            self.escape(node, out, f"{node.id!r}, an object that keeps the handle, is passed on")
        elif mark.kind == "pending":
            self.set_mark(node.id, None)
            if any(mark is pending for pending in self.waiting):
                self.waiting = [pending for pending in self.waiting if pending is not mark]
                out.extend(mark.nodes)
        elif mark.function is not None and mark.scope is not None:
            self.detached(mark.function, mark.scope, out, f"{node.id} is passed on and called elsewhere")

    def attribute_(self, node: ast.Attribute, out: list[Node], context: Context) -> None:
        if self.is_handle_expression(node.value, out):
            self.attribute(node, out)
        elif self.is_handle(node):
            if isinstance(node.ctx, ast.Load):
                self.escape_as(node, out, context)
            else:
                self.escape(node, out, "the attribute that keeps the handle is changed")
        elif (holder := self.holder(node.value)) is not None:
            self.attribute_of_holder(node, holder, out, context)
        else:
            self.expr(node.value, out, "operand")

    def attribute_of_holder(self, node: ast.Attribute, holder: Mark, out: list[Node], context: Context) -> None:
        """Another attribute of an object that keeps the handle; reading a property calls it."""
        assert holder.owner is not None
        for symbol in self.reading.resolver.member(InstanceSymbol(holder.owner), node.attr, self.module):
            if not isinstance(symbol, FunctionSymbol):
                continue
            if symbol.kind == "property":
                call = ast.copy_location(ast.Call(node, [], []), node)
                self.enter_symbol(symbol, call, out, context, holder)
            else:
                what = f"{self.source(node)!r}, a method of an object that keeps the handle, is passed on"
                self.escape(node, out, what)

    def is_handle_expression(self, node: ast.expr, out: list[Node]) -> bool:
        if isinstance(node, ast.NamedExpr) and self.is_handle_expression(node.value, out):
            self.alias(node.target, node.value, out)
            return True
        return self.is_handle(node)

    def alias(self, target: ast.Name, value: ast.expr, out: list[Node]) -> None:
        """Another name for the handle."""
        if self.set_mark(target.id, HANDLE):
            if isinstance(value, ast.Name | ast.Attribute):
                out.append(Use(span=self.span(value), name="alias"))
        else:
            self.escape(value, out, f"the handle is stored in the global name {target.id!r}")

    def alias_of_method(self, value: ast.Attribute, out: list[Node]) -> None:
        """A name for one of the handle's methods."""
        out.append(Use(span=self.span(value), name="alias"))

    def named(self, node: ast.NamedExpr, out: list[Node], context: Context) -> None:
        if self.is_handle_expression(node.value, out):
            self.alias(node.target, node.value, out)
            if context != "statement":
                self.escape(node.target, out, "the handle is used as a value")
            return
        self.expr(node.value, out, context)
        self.set_mark(node.target.id, None)

    def awaited(self, node: ast.Await, out: list[Node], context: Context) -> None:
        self.expr(node.value, out, "await")

    def bool_op(self, node: ast.BoolOp, out: list[Node], context: Context) -> None:
        """`a and b and c`: what is right of an operator happens only sometimes."""
        self.expr(node.values[0], out, context if context != "await" else "value")
        self.short_circuit(node, 1, out, context)

    def short_circuit(self, node: ast.BoolOp, index: int, out: list[Node], context: Context) -> None:
        if index == len(node.values):
            return
        before = self.flow.copy()
        nodes: list[Node] = []
        self.expr(node.values[index], nodes, context if context != "await" else "value")
        self.short_circuit(node, index + 1, nodes, context)
        self.flow = merge([before, self.flow])
        if nodes:
            word = "and" if isinstance(node.op, ast.And) else "or"
            arm = Arm(label=word, body=tuple(nodes), **self.tested(node.values[index - 1]))
            out.append(Branch(span=self.span(node), form="and" if word == "and" else "or", arms=(arm,)))

    def conditional(self, node: ast.IfExp, out: list[Node], context: Context) -> None:
        self.test(node.test, out)
        passed: Context = "value" if context == "await" else context
        before = self.flow.copy()
        body: list[Node] = []
        orelse: list[Node] = []
        self.expr(node.body, body, passed)
        after, self.flow = self.flow, before
        self.expr(node.orelse, orelse, passed)
        self.flow = merge([after, self.flow])
        if body or orelse:
            arms = (
                Arm(label="if", body=tuple(body), **self.tested(node.test)),
                Arm(label="else", body=tuple(orelse)),
            )
            out.append(Branch(span=self.span(node), form="conditional", arms=arms))

    def compare(self, node: ast.Compare, out: list[Node], context: Context) -> None:
        for part in (node.left, *node.comparators):
            if self.is_handle(part):  # `is None` takes nothing away
                out.append(Use(span=self.span(part), name="value"))
            else:
                self.expr(part, out, "operand")

    def tested(self, node: ast.expr) -> dict[str, Any]:
        """What an arm says of its condition."""
        asked, kind = node, "patch"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            asked, kind = node.operand, "unpatched"
        found: dict[str, Any] = {"test": self.source(node), "key": self.key(node)}
        if isinstance(asked, ast.Call) and isinstance(asked.func, ast.Attribute) and len(asked.args) == 1:
            change = text(asked.args[0], self.scope)
            if asked.func.attr == "patched" and self.is_handle(asked.func.value) and change is not None:
                found[kind] = change
        return found

    def test(self, node: ast.expr, out: list[Node]) -> None:
        """A condition; asking whether there is a handle takes nothing away."""
        if self.is_handle(node):
            out.append(Use(span=self.span(node), name="value"))
        else:
            self.expr(node, out, "operand")

    def negation(self, node: ast.UnaryOp, out: list[Node], context: Context) -> None:
        self.test(node.operand, out)

    def dictionary(self, node: ast.Dict, out: list[Node], context: Context) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self.expr(key, out, "container")
            self.expr(value, out, "container")

    def elements(self, node: ast.List | ast.Tuple | ast.Set, out: list[Node], context: Context) -> None:
        inner: Context = "statement" if context == "statement" else "container"
        for element in node.elts:
            self.expr(element, out, inner)

    def starred(self, node: ast.Starred, out: list[Node], context: Context) -> None:
        self.expr(node.value, out, "container")

    def subscript(self, node: ast.Subscript, out: list[Node], context: Context) -> None:
        self.expr(node.value, out, "operand")
        self.expr(node.slice, out, "argument")

    def yielded(self, node: ast.Yield | ast.YieldFrom, out: list[Node], context: Context) -> None:
        if node.value is not None:
            self.expr(node.value, out, "yield")

    def formatted(self, node: ast.expr, out: list[Node], context: Context) -> None:
        """An f-string: everything inside stands where the whole stands."""
        anchor, self.anchor = self.anchor, self.anchor or node
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expr(child, out, "operand")
        self.anchor = anchor

    def plain(self, node: ast.expr, out: list[Node], context: Context) -> None:
        """Operators, slices and whatever else uses up its parts."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expr(child, out, "operand")

    def lambda_(self, node: ast.Lambda, out: list[Node], context: Context) -> None:
        self.defaults(node, out)
        self.detached(node, self.scope, out, "it is in a lambda that is called elsewhere")

    def defaults(self, node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef, out: list[Node]) -> None:
        """Defaults of parameters; the handle as a default is one more name for it."""
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for parameter, default in pairs:
            if default is None:
                continue
            if self.is_handle(default):
                self.default_handles.setdefault(node, set()).add(parameter.arg)
                self.marked.add(parameter.arg)
                out.append(Use(span=self.span(default), name="alias"))
            else:
                self.expr(default, out, "argument")

    def comprehension(self, node: Comprehension, out: list[Node], context: Context) -> None:
        first, *others = node.generators
        if self.is_handle(first.iter):
            self.escape(first.iter, out, "the handle is iterated over")
        else:
            self.expr(first.iter, out, "argument")
        names = Names()
        for generator in node.generators:
            for name in bound_by(generator.target):
                names.bind(name)
        nodes: list[Node] = []
        assigned = self.assigned
        inner: Context = "statement" if context == "statement" else "container"
        with self.inside(Scope(names, self.scope)):
            self.assigned = assigned
            for condition in first.ifs:
                self.test(condition, nodes)
            for generator in others:
                self.expr(generator.iter, nodes, "argument")
                for condition in generator.ifs:
                    self.test(condition, nodes)
            if isinstance(node, ast.DictComp):
                self.expr(node.key, nodes, inner)
                self.expr(node.value, nodes, inner)
            else:
                self.expr(node.elt, nodes, inner)
        if nodes:
            header = " for ".join(self.turn(generator) for generator in node.generators)
            turns = ast.GeneratorExp(ast.Constant(None), node.generators, lineno=node.lineno, col_offset=0)
            key = self.key(turns)
            out.append(Loop(span=self.span(node), form="comprehension", header=header, body=tuple(nodes), key=key))

    def turn(self, generator: ast.comprehension) -> str:
        conditions = "".join(f" if {self.source(condition)}" for condition in generator.ifs)
        return f"{self.source(generator.target)} in {self.source(generator.iter)}{conditions}"

    def method_of(self, node: ast.expr) -> str | None:
        """The method that `workflow.do`, not called, stands for."""
        if isinstance(node, ast.Attribute) and self.is_handle(node.value):
            return node.attr if node.attr in KNOWN and node.attr not in READ else None
        return None

    def meaning(self, node: ast.expr) -> Mark | None:
        """What a name stands for once it has this value, if that can be followed."""
        if self.is_handle(node):
            return HANDLE
        if isinstance(node, ast.Lambda):
            return Mark("function", function=node, scope=self.scope)
        method = self.method_of(node)
        if method is not None:
            return Mark("method", method=method)
        if isinstance(node, ast.Name):
            mark = self.mark(node.id)
            return mark if mark is not None and mark.kind in ("method", "function", "partial", "holder") else None
        if isinstance(node, ast.Call) and self.is_partial(node):
            return Mark("partial", partial=node)
        return self.kept(node)


_HANDLERS: dict[type[ast.expr], Callable[..., None]] = {
    ast.Constant: Expressions.constant,
    ast.Name: Expressions.name_,
    ast.Attribute: Expressions.attribute_,
    ast.Call: Expressions.call,
    ast.Await: Expressions.awaited,
    ast.BoolOp: Expressions.bool_op,
    ast.IfExp: Expressions.conditional,
    ast.Compare: Expressions.compare,
    ast.UnaryOp: Expressions.negation,
    ast.Dict: Expressions.dictionary,
    ast.List: Expressions.elements,
    ast.Tuple: Expressions.elements,
    ast.Set: Expressions.elements,
    ast.Starred: Expressions.starred,
    ast.Subscript: Expressions.subscript,
    ast.Yield: Expressions.yielded,
    ast.YieldFrom: Expressions.yielded,
    ast.JoinedStr: Expressions.formatted,
    ast.FormattedValue: Expressions.formatted,
    ast.NamedExpr: Expressions.named,
    ast.Lambda: Expressions.lambda_,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.DictComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
}
