"""Side effects in `finally` and at the end of `with`, around a wait (WF304).

A run that only waits may be dropped from memory and taken up again later: then its clean-up code runs although nothing
has ended. What the determinism rules know to be input or output is reported by them wherever it stands in workflow
code; this is about what comes from other packages, of which nobody knows what it does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from wfgen_inspector.control.code import Body, inside, waits
from wfgen_inspector.determinism.table import table
from wfgen_inspector.modules import Module
from wfgen_inspector.scopes import Function, Imported, Scope
from wfgen_inspector.symbols import ClassSymbol, ExternalSymbol, FunctionSymbol, InstanceSymbol, Symbol

_DEPTH = 3
"""Functions of the project within each other that are looked into."""
_TELLS = frozenset(
    {
        "wfgen", "structlog", "loguru", "opentelemetry", "sentry_sdk", "logfire", "ddtrace", "newrelic",
        "prometheus_client", "statsd", "datadog", "rich", "pydantic", "pydantic_core", "typing_extensions", "attr",
        "attrs",
    }
)  # fmt: skip
"""Packages whose calls only observe, or only compute."""
_KNOWN_ELSEWHERE = sys.stdlib_module_names
"""Of the standard library the determinism rules know what has effects."""
_MANAGERS = frozenset({"contextlib.contextmanager", "contextlib.asynccontextmanager"})
_EXITS = ("__exit__", "__aexit__")


def examine(body: Body) -> None:
    """Report effects of clean-up code of one function."""
    for statement in body.tries:
        if statement.finalbody and waits([*statement.body, *statement.handlers, *statement.orelse]):
            for call in _statements(statement.finalbody):
                subject = _effect(body, call.func, body.scope, body.module)
                if subject is not None:
                    _report(body, call, f"`{body.module.text.source(call.func)}` in `finally`", subject)
    for block in body.withs:
        if waits(block.body):
            for item in block.items:
                subject = _exit(body, item.context_expr)
                if subject is not None:
                    shown = body.module.text.source(item.context_expr)
                    _report(body, item.context_expr, f"the end of `with {shown}`", subject)


def _report(body: Body, node: ast.expr, what: str, subject: str) -> None:
    called = "" if subject in what else f", which calls `{subject}`,"
    body.problem(
        "WF304",
        node,
        f"{what}{called} may run each time a waiting run is set aside, and again in a replay.",
        "Make it a step: `await workflow.do(name, function)`.",
    )


def _statements(block: list[ast.stmt]) -> Iterator[ast.Call]:
    """Calls whose result nobody wants: made for what they do."""
    for node in inside(block):
        if isinstance(node, ast.Expr):
            value = node.value.value if isinstance(node.value, ast.Await) else node.value
            if isinstance(value, ast.Call):
                yield value


def _effect(body: Body, function: ast.expr, scope: Scope, module: Module, depth: int = 0) -> str | None:
    """The symbol of another package that a call certainly ends up in; None if there is none."""
    if not _is_tool(body, function, scope):
        return None
    found: list[str] = []
    for symbol in body.reading.resolver.resolve(function, scope, module):
        subject = _of_symbol(body, symbol, depth)
        if subject is None:
            return None
        found.append(subject)
    return found[0] if found else None


def _is_tool(body: Body, function: ast.expr, scope: Scope) -> bool:
    """Whether a call is of something that was imported or made here; what a function is given may be plain data."""
    root = function
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.value if isinstance(root, ast.Attribute) else root.func
    if not isinstance(root, ast.Name) or root.id in body.reading.handles.values():
        return False
    found = scope.find(root.id)
    if found is None or found.parent is None:
        return True
    bound = found.names.bound.get(root.id, [])
    return all(isinstance(what, ast.Call | Imported | ast.FunctionDef | ast.AsyncFunctionDef) for what in bound)


def _of_symbol(body: Body, symbol: Symbol, depth: int) -> str | None:
    match symbol:
        case ExternalSymbol(qualified=name):
            return name if _is_foreign(body, name) else None
        case FunctionSymbol(node=ast.FunctionDef() | ast.AsyncFunctionDef() as node) if (
            node not in body.reading.entered
        ):
            return _of_function(body, symbol, node.body, depth)
        case _:
            return None


def _of_function(body: Body, symbol: FunctionSymbol, block: list[ast.stmt], depth: int) -> str | None:
    """What a function of the project calls for its effect."""
    if depth >= _DEPTH:
        return None
    scope = body.reading.resolver.function_scope(symbol)
    for call in _statements(block):
        subject = _effect(body, call.func, scope, symbol.module, depth + 1)
        if subject is not None:
            return subject
    return None


def _is_foreign(body: Body, name: str) -> bool:
    """Whether something belongs to another package, and nobody knows what it does."""
    top = name.partition(".")[0]
    if top in _KNOWN_ELSEWHERE or top in _TELLS:
        return False
    settings = body.reading.program.determinism
    known = table(settings.pure, settings.impure)
    return not known.is_pure(name) and known.call(name, 0) is None


def _exit(body: Body, context: ast.expr) -> str | None:
    """What leaving a context calls."""
    resolver = body.reading.resolver
    function = context.func if isinstance(context, ast.Call) else context
    if not _is_tool(body, function, body.scope):
        return None
    for symbol in resolver.resolve(function, body.scope, body.module):
        match symbol:
            case FunctionSymbol(node=ast.FunctionDef() | ast.AsyncFunctionDef() as node) if _is_manager(
                body, symbol, node
            ):
                subject = _of_function(body, symbol, list(_behind_yield(node)), 0)
            case ClassSymbol() | InstanceSymbol(of=ClassSymbol()):
                owner = symbol.of if isinstance(symbol, InstanceSymbol) else symbol
                subject = _of_class(body, owner)
            case _:  # what a manager of another package does when it is left nobody can tell: spans, scopes, sessions
                subject = None
        if subject is not None:
            return subject
    return None


def _of_class(body: Body, owner: ClassSymbol | ExternalSymbol) -> str | None:
    for name in _EXITS:
        for symbol in body.reading.resolver.member(InstanceSymbol(owner), name, body.module):
            if isinstance(symbol, FunctionSymbol) and isinstance(symbol.node, Function):
                subject = _of_function(body, symbol, symbol.node.body, 0)
                if subject is not None:
                    return subject
    return None


def _is_manager(body: Body, symbol: FunctionSymbol, node: Function) -> bool:
    for decorator in node.decorator_list:
        for found in body.reading.resolver.resolve(decorator, symbol.scope, symbol.module):
            if isinstance(found, ExternalSymbol) and found.qualified in _MANAGERS:
                return True
    return False


def _behind_yield(node: Function) -> Iterator[ast.stmt]:
    """Statements of a context manager that run when it is left."""
    paused = min((one.lineno for one in inside(node.body) if isinstance(one, ast.Yield)), default=None)
    if paused is not None:
        yield from (one for one in inside(node.body) if isinstance(one, ast.Expr) and one.lineno > paused)
