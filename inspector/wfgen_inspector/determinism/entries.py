"""Functions of a file that are workflow code themselves: the workflows, and helpers that receive the handle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wfgen_inspector.scopes import Function, Scope, bound_by
from wfgen_inspector.symbols import ClassSymbol, FunctionSymbol, InstanceSymbol

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading


@dataclass(frozen=True, slots=True)
class Entry:
    """One function, and the name by which the handle can be used in it."""

    symbol: FunctionSymbol
    handle: str | None

    @property
    def shown(self) -> str:
        """The handle in hints."""
        return self.handle or "workflow"

    def is_sure(self) -> bool:
        """Whether the name means the handle everywhere in the function: nothing else is bound to it."""
        node = self.symbol.node
        bound = self.symbol.module.names_of(node).count.get(self.handle or "", 0)
        return bound <= 1 and not any(
            (self.handle or "") in bound_by(part.target)
            for part in ast.walk(node)
            if isinstance(part, ast.comprehension)
        )


def entries(reading: Reading) -> list[Entry]:
    """All functions with a name that were entered; lambdas are found where they are called."""
    return list(_inside(reading, reading.scope, None))


def _inside(reading: Reading, scope: Scope, handle: str | None) -> Iterator[Entry]:
    for block in scope.names.blocks:
        if isinstance(block, ast.ClassDef):
            yield from _methods(reading, block, scope, handle)
            continue
        symbol = FunctionSymbol(reading.module, block, scope)
        yield from _function(reading, symbol, block, handle)


def _methods(reading: Reading, block: ast.ClassDef, scope: Scope, handle: str | None) -> Iterator[Entry]:
    owner = ClassSymbol(reading.module, block, scope)
    for function in reading.module.names_of(block).functions.values():
        for symbol in reading.resolver.member(InstanceSymbol(owner), function.name, reading.module):
            if isinstance(symbol, FunctionSymbol) and symbol.node is function:
                yield from _function(reading, symbol, function, handle)


def _function(reading: Reading, symbol: FunctionSymbol, node: Function, handle: str | None) -> Iterator[Entry]:
    names = reading.names_of(node)
    if handle is not None and handle in names.count:
        handle = None  # another thing of that name
    handle = reading.handles.get(node, handle)
    if node in reading.entered:
        yield Entry(symbol, handle)
    if names.blocks:
        yield from _inside(reading, reading.resolver.function_scope(symbol), handle)
