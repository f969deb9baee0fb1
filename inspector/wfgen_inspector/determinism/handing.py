"""Functions that are handed to something that calls them: `key=` functions, factories, callbacks."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wfgen_inspector.determinism.effects import Construction
from wfgen_inspector.resolution import Symbols
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, Symbol

if TYPE_CHECKING:
    from wfgen_inspector.determinism.expressions import Expressions

_MANY = 99


class Handing:
    """Finds functions that a call hands over, in one function."""

    def __init__(self, walk: Expressions) -> None:
        self._walk = walk

    def call(self, node: ast.Call, symbols: Symbols) -> None:
        """Arguments that what is called calls in turn."""
        for symbol in symbols:
            if isinstance(symbol, FunctionSymbol) and (symbol.node.args.defaults or symbol.node.args.kw_defaults):
                self._left_to_default(node, symbol)
        if not node.args and not node.keywords:
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr == "sort":
            self._given_to(node, self._walk.table.callers["builtins.list.sort"])
        for symbol in symbols:
            if isinstance(symbol, ExternalSymbol):
                known = self._walk.table.callers.get(symbol.qualified)
                if known is not None:
                    self._given_to(node, known)
            elif isinstance(symbol, FunctionSymbol) and any(map(_may_be_function, _values(node))):
                self._given_to_own(node, symbol)

    def _given_to(self, node: ast.Call, known: Mapping[str, int]) -> None:
        for place, count in known.items():
            if place.isdigit():
                index = int(place)
                values = node.args[index : index + 1]
            else:
                values = [keyword.value for keyword in node.keywords if keyword.arg == place]
            for value in values:
                self._runs(value, count)

    def _given_to_own(self, node: ast.Call, symbol: FunctionSymbol) -> None:
        """A function of the project that calls one of its parameters."""
        names = self._walk.meaning.called_parameters(symbol)
        if not names:
            return
        arguments = symbol.node.args
        positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
        if symbol.kind in ("method", "class"):
            positional = positional[1:]
        for name, value in zip(positional, node.args, strict=False):
            if name in names:
                self._runs(value, None)
        for keyword in node.keywords:
            if keyword.arg in names:
                self._runs(keyword.value, None)

    def _left_to_default(self, node: ast.Call, symbol: FunctionSymbol) -> None:
        """A parameter that a function of the project calls, that has a default and is not given: `now=time.time`."""
        if any(isinstance(value, ast.Starred) for value in node.args) or any(k.arg is None for k in node.keywords):
            return
        names = self._walk.meaning.called_parameters(symbol)
        if not names:
            return
        arguments = symbol.node.args
        positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
        bound = 1 if symbol.kind in ("method", "class") else 0
        given = {*positional[: len(node.args) + bound], *(keyword.arg for keyword in node.keywords)}
        defaults = (
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip((parameter.arg for parameter in arguments.kwonlyargs), arguments.kw_defaults, strict=True),
        )
        for name, default in defaults:
            if default is not None and name in names and name not in given:
                for found in self._walk.meaning.of(default, symbol.scope, symbol.module):
                    self._runs_symbol(found, None, node)

    def _runs(self, value: ast.expr, count: int | None) -> None:
        """A function is called by what it is given to.

        Args:
            value: the function.
            count: with how many arguments; None if nobody knows.
        """
        if isinstance(value, ast.Lambda):
            self._walk.in_place(value)
            return
        for symbol in self._walk.of(value):
            self._runs_symbol(symbol, count, value)

    def _runs_symbol(self, symbol: Symbol, count: int | None, place: ast.expr) -> None:
        match symbol:
            case ExternalSymbol(qualified=qualified):
                found = self._walk.table.call(qualified, _MANY if count is None else count)
                if found is not None:
                    self._walk.impure(found, "calls", place)
            case FunctionSymbol():
                self._walk.call_of(symbol, f"calls `{symbol.name}`", place)
            case ClassSymbol():
                self._walk.call_of(Construction(symbol, None), f"makes a `{symbol.node.name}`", place)
            case _:
                pass


def _values(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _may_be_function(node: ast.expr) -> bool:
    return isinstance(node, ast.Lambda | ast.Name | ast.Attribute | ast.Call)
