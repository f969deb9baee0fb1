"""The determinism of workflow code: what in it, or in what it calls, is not the same in every replay."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wfgen_inspector.determinism.analysis import Analysis
from wfgen_inspector.determinism.effects import Place
from wfgen_inspector.determinism.entries import Entry, entries
from wfgen_inspector.determinism.findings import direct, through
from wfgen_inspector.determinism.table import table
from wfgen_inspector.facts import Problem
from wfgen_inspector.symbols import FunctionSymbol

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading
    from wfgen_inspector.scopes import Scope

__all__ = ["examine"]


def examine(reading: Reading) -> None:
    """Report what is not deterministic in the workflow code of one file, directly or through what it calls.

    Args:
        reading: the file, after its workflows have been walked.
    """
    if not reading.entered:
        return
    settings = reading.program.determinism
    analysis = Analysis(reading.program, reading.resolver, table(settings.pure, settings.impure), reading.module)
    found: dict[tuple[object, ...], Problem] = {}
    left = entries(reading)
    done: set[ast.AST] = set()
    while left:
        entry = left.pop(0)
        if entry.symbol.node in done:
            continue
        done.add(entry.symbol.node)
        body = analysis.entered(entry.symbol, entry.handle)
        known = entry.handle if body.effects and entry.is_sure() else None
        for effect in body.effects:
            problem = direct(effect, entry.shown, known)
            found.setdefault((problem.code, problem.span, problem.message), problem)
        for call in body.calls:
            callee = call.callee
            if (
                isinstance(callee, FunctionSymbol)
                and callee.node in reading.entered
                and callee.module is reading.module
            ):
                left.append(Entry(callee, reading.handles.get(callee.node, entry.handle)))
                continue
            for code, reached in analysis.reach(callee).items():
                problem = through(call.place, call.place.node, reached, entry.shown)
                found.setdefault((code, problem.span), problem)
    for element, scope in reading.middleware:
        for method in _around_workflows(reading, element, scope):
            for code, reached in analysis.reach(method).items():
                problem = through(Place(reading.module, element), element, reached, None)
                found.setdefault((code, problem.span), problem)
    reading.problems.extend(found.values())


def _around_workflows(reading: Reading, middleware: ast.expr, scope: Scope) -> Iterator[FunctionSymbol]:
    """The method of a middleware that is part of the code of workflows."""
    for symbol in reading.resolver.resolve(middleware, scope, reading.module):
        for method in reading.resolver.member(symbol, "workflow", reading.module):
            if isinstance(method, FunctionSymbol):
                yield method
