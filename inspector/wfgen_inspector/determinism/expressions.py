"""Expressions: what evaluating them does, and what they call."""

from __future__ import annotations

import ast
from collections.abc import Callable

from wfgen_inspector.determinism.effects import Body, Call, Callee, Construction, Effect, Place
from wfgen_inspector.determinism.handing import Handing
from wfgen_inspector.determinism.meaning import Meaning
from wfgen_inspector.determinism.order import Order
from wfgen_inspector.determinism.sharing import Sharing
from wfgen_inspector.determinism.table import Impurity, Table
from wfgen_inspector.resolution import Symbols
from wfgen_inspector.scopes import Names, Scope, bound_by
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, InstanceSymbol, Symbol

_MAX_LAMBDAS = 8
"""Lambdas that call lambdas that are written in place."""
_KEYED = frozenset({"add", "discard", "remove", "get", "pop", "setdefault"})
"""Methods whose first argument is a key or an element."""
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Expressions:
    """The expressions of one function.

    Args:
        symbol: the function.
        scope: its own.
        meaning: what its expressions stand for.
        table: what is impure.
        handle: name of the workflow handle in it, if that is known: its methods are trusted.
        is_entered: whether it is workflow code itself, not a helper that workflow code calls.
        gives_unordered: whether what a function of the project gives has the order of a set.
    """

    def __init__(
        self,
        symbol: FunctionSymbol,
        scope: Scope,
        meaning: Meaning,
        table: Table,
        *,
        handle: str | None = None,
        is_entered: bool = False,
        gives_unordered: Callable[[FunctionSymbol], bool] = lambda _: False,
    ) -> None:
        self.function = symbol
        self.module = symbol.module
        self.scope = scope
        self.own = scope
        """Of the function itself; `scope` may be that of a comprehension or a lambda inside."""
        self.meaning = meaning
        self.table = table
        self.handle = handle
        self.is_entered = is_entered
        self.body = Body()
        self.anchor: ast.expr | None = None
        self.lambdas = 0
        self._identities: set[int] = set()
        """Python's ids of expressions that serve as keys: one address is as good as another there."""
        self.order = Order(self, gives_unordered)
        self.sharing = Sharing(self)
        self.handing = Handing(self)

    # What is found

    def of(self, node: ast.expr) -> Symbols:
        """What an expression stands for."""
        return self.meaning.of(node, self.scope, self.module)

    def effect(
        self, code: str, subject: str, act: str, node: ast.expr | ast.stmt, *, is_declared: bool = False
    ) -> None:
        """Note something that the function does by itself."""
        exact = self.anchor is None and isinstance(node, ast.Call)
        place = Place(self.module, self.anchor or node)
        self.body.effects.append(Effect(code, subject, act, place, node, exact, is_declared))

    def call_of(self, callee: Callee, act: str, node: ast.expr | ast.stmt) -> None:
        """Note that something of the project is called, unless the settings have the say over it."""
        if self.table.is_extended and isinstance(callee, FunctionSymbol):
            qualified = _qualified(callee)
            if self.table.is_pure(qualified):
                return
            declared = self.table.declared(qualified)
            if declared is not None:
                self.effect(declared.code, qualified, act, node, is_declared=True)
                return
        self.body.calls.append(Call(callee, act, Place(self.module, self.anchor or node)))

    def impure(self, found: Impurity, verb: str, node: ast.expr) -> None:
        symbol = found.symbol.removeprefix("builtins.")
        self.effect(found.code, symbol, f"{verb} `{symbol}`", node, is_declared=found.is_declared)

    # What is evaluated

    def expr(self, node: ast.expr) -> None:
        """Walk an expression."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            self.parts(node)
        else:
            handler(self, node)

    def _constant(self, node: ast.expr) -> None:
        """Nothing happens. So it is with a lambda that is only passed on."""

    def _name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            return
        found = self.scope.find(node.id)
        if found is None or found.parent is not None:
            return
        if node.id in found.names.imports:
            self._read(node)
        self.sharing.loaded(node, found)

    def _attribute(self, node: ast.Attribute) -> None:
        if not self._is_trusted(node):
            self._read(node)

    def _read(self, node: ast.Name | ast.Attribute) -> None:
        """Something is read: a property, the environment."""
        for symbol in self.of(node):
            if isinstance(symbol, ExternalSymbol):
                found = self.table.read(symbol.qualified)
                if found is not None:
                    self.impure(found, "reads", node)
                    return
            elif isinstance(symbol, FunctionSymbol) and symbol.kind == "property" and isinstance(node, ast.Attribute):
                self.call_of(symbol, f"reads `{symbol.name}`", node)
        if isinstance(node, ast.Attribute):
            self.sharing.attribute(node)
            self.expr(node.value)

    def _is_trusted(self, node: ast.expr) -> bool:
        """Whether it is something of the handle."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id == self.handle

    def _call(self, node: ast.Call) -> None:
        function = node.func
        if self._is_trusted(function):
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Attribute):
                self.for_people(node)  # `workflow.log.info(…)`
            else:
                self._arguments(node)
            return
        is_impure = False
        if isinstance(function, ast.Attribute) and function.attr in _KEYED and node.args:
            self._identities.add(id(node.args[0]))
        symbols = self.of(function)
        for symbol in symbols:  # of several definitions, one that is impure is enough
            is_impure = is_impure or self._called(symbol, node)
        self.order.call(node, symbols)
        self.sharing.call(node)
        self.handing.call(node, symbols)
        if isinstance(function, ast.Lambda):
            self.in_place(function)
        elif isinstance(function, ast.Attribute):
            if is_impure and isinstance(function.value, ast.Call):
                self._arguments(function.value)
            elif not is_impure:
                self.sharing.attribute(function)
                self.expr(function.value)
        elif not isinstance(function, ast.Name):
            self.expr(function)
        if any(isinstance(s, ExternalSymbol) and _is_for_people(s.qualified) for s in symbols):
            self.for_people(node)
        else:
            self._arguments(node)

    def for_people(self, node: ast.Call | ast.Raise) -> None:
        """The order in a log line or in the message of an exception does no harm."""
        before, self.order.is_silent = self.order.is_silent, True
        if isinstance(node, ast.Call):
            self._arguments(node)
        else:
            self.parts(node)
        self.order.is_silent = before

    def _arguments(self, node: ast.Call) -> None:
        for value in node.args:
            self.expr(value)
        for keyword in node.keywords:
            self.expr(keyword.value)

    def _called(self, symbol: Symbol, node: ast.Call) -> bool:
        """One meaning of what is called. Gives whether it is impure by itself."""
        match symbol:
            case ExternalSymbol(qualified=qualified):
                found = self.table.call(qualified, node)
                if found is not None and not (qualified == "builtins.id" and id(node) in self._identities):
                    self.impure(found, "reads" if found.symbol != qualified else "calls", node)
                    return True
            case FunctionSymbol(kind="property"):
                self.call_of(symbol, f"reads `{symbol.name}`", node)
            case FunctionSymbol():
                self.call_of(symbol, f"calls `{symbol.name}`", node)
            case ClassSymbol():
                self.call_of(Construction(symbol, _given(node)), f"makes a `{symbol.node.name}`", node)
            case InstanceSymbol(of=ClassSymbol() as owner):
                for member in self.meaning.resolver.member(symbol, "__call__", self.module):
                    if isinstance(member, FunctionSymbol):
                        self.call_of(member, f"calls a `{owner.node.name}`", node)
            case _:
                pass
        return False

    def in_place(self, node: ast.Lambda) -> None:
        """A lambda that runs where it is written."""
        if self.lambdas < _MAX_LAMBDAS:
            self.lambdas += 1
            before, self.scope = self.scope, Scope(self.module.names_of(node), self.scope)
            self.expr(node.body)
            self.scope = before
            self.lambdas -= 1

    # Comprehensions and texts

    def _comprehension(self, node: _Comprehension) -> None:
        self.order.comprehension(node)
        first = node.generators[0]
        self.iterated(first.iter)
        self.expr(first.iter)
        names = Names()
        for generator in node.generators:
            for name in bound_by(generator.target):
                names.bind(name)
        before, self.scope = self.scope, Scope(names, self.scope)
        for generator in node.generators:
            if generator is not first:
                self.expr(generator.iter)
            for condition in generator.ifs:
                self.expr(condition)
        if isinstance(node, ast.DictComp):
            self.expr(node.key)
            self.expr(node.value)
        else:
            self.expr(node.elt)
        self.scope = before

    def _text(self, node: ast.JoinedStr) -> None:
        before, self.anchor = self.anchor, self.anchor or node
        self.parts(node)
        self.anchor = before

    def _elements(self, node: ast.List | ast.Tuple | ast.Set) -> None:
        self.order.display(node)
        for element in node.elts:
            self.expr(element)

    def _subscript(self, node: ast.Subscript) -> None:
        self._identities.add(id(node.slice))
        self.expr(node.value)
        self.expr(node.slice)

    def _compare(self, node: ast.Compare) -> None:
        if not any(isinstance(operator, ast.Lt | ast.Gt | ast.LtE | ast.GtE) for operator in node.ops):
            self._identities.update(map(id, (node.left, *node.comparators)))
        self.order.compare(node)
        self.expr(node.left)
        for value in node.comparators:
            self.expr(value)

    def _value(self, node: ast.Await | ast.Starred) -> None:
        self.expr(node.value)

    def _operator(self, node: ast.BinOp) -> None:
        self.expr(node.left)
        self.expr(node.right)

    def _yield_from(self, node: ast.YieldFrom) -> None:
        self.order.returned(node.value)
        self.expr(node.value)

    def parts(self, node: ast.AST) -> None:
        """Walk whatever is evaluated inside something."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expr(child)
            else:
                self.parts(child)

    def iterated(self, node: ast.expr) -> None:
        """Something is iterated over."""
        if isinstance(node, ast.Name | ast.Attribute | ast.Call):
            self.special(node, ("__iter__", "__next__", "__aiter__", "__anext__"), "iterates over")

    def special(self, node: ast.expr, methods: tuple[str, ...], verb: str) -> None:
        """Methods that a statement calls on an object of a class of the project."""
        for symbol in self.of(node):
            if isinstance(symbol, InstanceSymbol) and isinstance(symbol.of, ClassSymbol):
                for name in methods:
                    for member in self.meaning.resolver.member(symbol, name, self.module):
                        if isinstance(member, FunctionSymbol):
                            self.call_of(member, f"{verb} `{symbol.of.node.name}`", node)


def _is_for_people(qualified: str) -> bool:
    return qualified in ("builtins.print", "warnings.warn") or qualified.startswith("logging.")


def _given(call: ast.Call) -> frozenset[str] | None:
    """Fields that a call of a class gives: names of keywords, numbers of places; None if some are hidden."""
    if any(isinstance(value, ast.Starred) for value in call.args) or any(k.arg is None for k in call.keywords):
        return None
    return frozenset((*map(str, range(len(call.args))), *(k.arg for k in call.keywords if k.arg is not None)))


def _qualified(symbol: FunctionSymbol) -> str:
    parts = [symbol.module.name, *([symbol.owner.node.name] if symbol.owner is not None else [])]
    return ".".join((*parts, "<lambda>" if isinstance(symbol.node, ast.Lambda) else symbol.node.name))


_EXPRESSIONS: dict[type[ast.expr], Callable[..., None]] = {
    ast.Constant: Expressions._constant,
    ast.Await: Expressions._value,
    ast.Starred: Expressions._value,
    ast.BinOp: Expressions._operator,
    ast.Lambda: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Call: Expressions._call,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.DictComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.JoinedStr: Expressions._text,
    ast.List: Expressions._elements,
    ast.Tuple: Expressions._elements,
    ast.Set: Expressions._elements,
    ast.Compare: Expressions._compare,
    ast.Subscript: Expressions._subscript,
    ast.YieldFrom: Expressions._yield_from,
}
