"""Sets, and places where their order matters: it differs from process to process wherever texts are hashed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from wfgen_inspector.determinism.sets import Sets, receiver
from wfgen_inspector.determinism.uses import GROWING, Use, uses
from wfgen_inspector.resolution import Symbols
from wfgen_inspector.scopes import bound_by
from wfgen_inspector.symbols import ExternalSymbol, FunctionSymbol

if TYPE_CHECKING:
    from wfgen_inspector.determinism.expressions import Expressions

_FREE_METHODS = frozenset(
    [
        "update",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
        "intersection_update",
        "difference_update",
        "symmetric_difference_update",
        "issubset",
        "issuperset",
        "isdisjoint",
    ]
)
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Loop = ast.For | ast.AsyncFor


class Order:
    """Finds places in one function where the order of a set matters.

    Args:
        walk: through the function.
        gives_unordered: whether what a function of the project gives has the order of a set.
    """

    def __init__(self, walk: Expressions, gives_unordered: Callable[[FunctionSymbol], bool]) -> None:
        self._walk = walk
        self.sets = Sets(walk, gives_unordered)
        groups = walk.table.groups
        self._arranging, self._passing, self._order_free = groups["arranging"], groups["passing"], groups["free"]
        self._free: set[int] = set()
        """Ids of expressions whose order nobody sees."""
        self.is_silent = False
        """Whether what is walked is only read by people: a log line, the message of an exception."""
        self._uses: dict[str, Use] | None = None

    # Places

    def loop(self, node: _Loop) -> None:
        """A `for` statement."""
        self._free.add(id(node.iter))
        if not _may_be_unordered(node.iter) or not self.sets.is_unordered(node.iter):
            return
        matters, passed_on = self._matters(node)
        if passed_on:
            self._walk.body.is_unordered = True
        if matters:
            self._found(node.iter, node.iter)

    def comprehension(self, node: _Comprehension) -> None:
        """A comprehension or a generator expression."""
        for generator in node.generators:
            self._free.add(id(generator.iter))
        unordered = next((g.iter for g in node.generators if self.sets.is_unordered(g.iter)), None)
        if unordered is None:
            return
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        if any(self._acts(part) for part in parts) or (isinstance(node, ast.ListComp) and id(node) not in self._free):
            self._found(unordered, unordered)

    def call(self, node: ast.Call, symbols: Symbols) -> None:
        """A call: does it care for the order of its arguments?"""
        if not node.args:
            if isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
                held = node.func.value
                if self.sets.is_unordered(held) and not self._is_counted(held):
                    self._found(held, node)
            return
        names = {symbol.qualified for symbol in symbols if isinstance(symbol, ExternalSymbol)}
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        keeps = self._passing | self._arranging
        if (
            names & self._order_free
            or (names & keeps and id(node) in self._free)
            or (method in _FREE_METHODS and self.sets.is_unordered(receiver(node)))
        ):
            self._set_free(node.args)
        elif names & self._arranging or method == "join":
            self._arranged(node.args, node)
        else:
            self._arranged([value for value in node.args if isinstance(value, ast.Starred)], node)

    def _arranged(self, values: Iterable[ast.expr], node: ast.Call) -> None:
        for value in values:
            given = value.value if isinstance(value, ast.Starred) else value
            if _may_be_unordered(given) and self.sets.is_unordered(given):
                if isinstance(given, ast.ListComp) or (isinstance(given, ast.GeneratorExp) and self._acts(given.elt)):
                    continue  # found by itself
                self._free.add(id(given))
                inner = given.args[0] if isinstance(given, ast.Call) and len(given.args) == 1 else given
                if not self._is_counted(inner):
                    self._found(given, node)

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> None:
        """`[*names]`."""
        if isinstance(node, ast.Set) or id(node) in self._free:
            return
        for element in node.elts:
            if isinstance(element, ast.Starred) and self.sets.is_unordered(element.value):
                self._found(element.value, element.value)

    def compare(self, node: ast.Compare) -> None:
        """`x in [...]`: nobody sees the order."""
        if all(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops):
            self._set_free(node.comparators)

    def assigned(self, target: ast.expr, value: ast.expr) -> None:
        """An assignment: `first, *others = names`, `names = list(unique)`, `done, left = await asyncio.wait(…)`."""
        if isinstance(target, ast.Tuple | ast.List):
            waiting = value.value if isinstance(value, ast.Await) else None
            if isinstance(waiting, ast.Call) and self._is_call_of(waiting, frozenset({"asyncio.wait"})):
                self.sets.waited.update(bound_by(target))
            elif len(target.elts) > 1 and _may_be_unordered(value) and self.sets.is_unordered(value):
                self._found(value, value)
        elif (
            isinstance(target, ast.Name)
            and isinstance(value, ast.ListComp | ast.Call)
            and self.sets.is_unordered(value)
            and self._nobody_sees(target.id)
        ):
            self._set_free([value])

    def returned(self, value: ast.expr) -> None:
        """What a function gives: a helper's caller may sort it."""
        if self._walk.is_entered or not _may_be_unordered(value):
            return
        if self.sets.is_unordered(value):
            self._set_free([value])
            self._walk.body.is_unordered = True

    def _set_free(self, values: Iterable[ast.expr]) -> None:
        for value in values:
            given = value.value if isinstance(value, ast.Starred) else value
            self._free.add(id(given))
            if isinstance(given, ast.Call) and self._is_call_of(given, self._passing | self._arranging):
                self._set_free(given.args)

    def _is_counted(self, unordered: ast.expr) -> bool:
        """Whether the function looks how many there are: of a single one it takes the first."""
        shown = ast.dump(unordered)
        return any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "len"
            and any(ast.dump(argument) == shown for argument in node.args)
            for node in ast.walk(self._walk.function.node)
        )

    def _found(self, unordered: ast.expr, node: ast.expr) -> None:
        if self.is_silent:
            return
        shown = ast.unparse(unordered)
        subject = shown if len(shown) <= 60 else "a set"
        act = f"follows the order of `{subject}`" if subject == shown else "follows the order of a set"
        self._walk.effect("WF205", subject, act, node)

    def _is_call_of(self, node: ast.Call, names: frozenset[str]) -> bool:
        found = self._walk.meaning.externals(node.func, self._walk.scope, self._walk.module)
        return any(name in names for name in found)

    # What happens in a loop

    def _matters(self, loop: _Loop) -> tuple[bool, bool]:
        """Whether the order of the turns shows; whether it does in what a helper gives, which its caller may sort."""
        constants: set[str] = set()
        passed_on = False
        keeps = False
        leaves = False
        left: list[ast.AST] = list(loop.body)
        while left:
            node = left.pop()
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                    continue
                case ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                    return True, passed_on
                case ast.Yield() | ast.YieldFrom():
                    if self._walk.is_entered:
                        return True, passed_on
                    passed_on = True
                case ast.Return(value=value):
                    if value is not None and not isinstance(value, ast.Constant):
                        return True, passed_on
                    constants.add("None" if value is None else ast.unparse(value))
                case ast.Break():
                    leaves = True
                case ast.Assign(targets=[ast.Name()], value=value):
                    keeps = keeps or not isinstance(value, ast.Constant)
                case ast.AugAssign(target=ast.Name(id=name), op=ast.Add()) if self._is_sequence(name):
                    seen, given = self._seen(name)
                    if seen:
                        return True, passed_on
                    passed_on = passed_on or given
                case ast.Call() if self._is_operation(node):
                    return True, passed_on
                case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if method in GROWING:
                    if not isinstance(receiver, ast.Name):
                        return True, passed_on
                    seen, given = self._seen(receiver.id)
                    if seen:
                        return True, passed_on
                    passed_on = passed_on or given
                case _:
                    pass
            left.extend(ast.iter_child_nodes(node))
        return len(constants) > 1 or (leaves and (keeps or self._outlives(loop))), passed_on

    def _acts(self, part: ast.expr) -> bool:
        """Whether an expression starts or awaits something."""
        return any(
            isinstance(node, ast.Await) or (isinstance(node, ast.Call) and self._is_operation(node))
            for node in ast.walk(part)
        )

    def _is_operation(self, node: ast.Call) -> bool:
        function = node.func
        return (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id == self._walk.handle
        )

    def _is_sequence(self, name: str) -> bool:
        """Whether a name stands for a list or a text, as far as its assignments show."""
        found = self._walk.scope.find(name)
        bound = [] if found is None else found.names.bound.get(name, [])
        return any(
            isinstance(what, ast.List | ast.ListComp | ast.JoinedStr)
            or (isinstance(what, ast.Constant) and isinstance(what.value, str | bytes))
            for what in bound
        )

    def _outlives(self, loop: _Loop) -> bool:
        """Whether the loop's own names are read outside of it."""
        names = set(bound_by(loop.target))
        inside = {id(node) for node in ast.walk(loop)}
        return any(
            isinstance(node, ast.Name)
            and node.id in names
            and isinstance(node.ctx, ast.Load)
            and id(node) not in inside
            for node in ast.walk(self._walk.function.node)
        )

    # Who sees it

    def is_loaded(self, name: str) -> bool:
        """Whether the function, or one inside it, reads a name."""
        return self._use(name).is_read

    def _nobody_sees(self, name: str) -> bool:
        """Whether a name of the function is only sorted, counted and searched; a helper may also give it back."""
        if not self._may_ask(name):
            return False
        use = self._use(name)
        if not use.is_read or use.is_seen or (use.is_given and self._walk.is_entered):
            return False
        if use.is_given:
            self._walk.body.is_unordered = True
        return True

    def _seen(self, name: str) -> tuple[bool, bool]:
        """Whether somebody sees the order of what a name holds; whether those do who get what the function gives."""
        if not self._may_ask(name):
            return True, False
        use = self._use(name)
        return use.is_seen or (use.is_given and self._walk.is_entered), use.is_given

    def _may_ask(self, name: str) -> bool:
        """Whether a name is the function's own, and no parameter."""
        names = self._walk.own.names
        return name in names.count and not any(isinstance(what, ast.arg) for what in names.bound.get(name, ()))

    def _use(self, name: str) -> Use:
        if self._uses is None:
            free = frozenset(symbol.rpartition(".")[2] for symbol in self._order_free)
            self._uses = uses(self._walk.function.node, free)
        return self._uses.get(name, Use())


def _may_be_unordered(node: ast.expr) -> bool:
    """A quick look."""
    return not isinstance(node, ast.Constant | ast.JoinedStr | ast.Dict | ast.Lambda | ast.Subscript)
