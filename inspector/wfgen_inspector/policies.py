"""Options that are data: retry policies, durations, lists of names."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from wfgen.manifest import DYNAMIC
from wfgen_inspector.constants import evaluate
from wfgen_inspector.scopes import Scope

_RETRY = ("attempts", "delay", "factor", "maximum", "jitter", "on", "never", "within", "overlap")
_RETRIES = frozenset({"wfgen.Retry", "wfgen.retry.Retry"})
_TIMEDELTA = {
    "days": 86400.0,
    "seconds": 1.0,
    "microseconds": 1e-6,
    "milliseconds": 1e-3,
    "minutes": 60.0,
    "hours": 3600.0,
    "weeks": 604800.0,
}

Quote = Callable[[ast.expr], str]


def retry_policy(node: ast.expr, scope: Scope, quote: Quote) -> dict[str, Any] | str | None:
    """`Retry(attempts=3)` as data; `<dynamic>` for what is not written as a call of Retry with named values.

    Args:
        quote: gives an expression as written.
    """
    call, where = followed(node, scope)
    if isinstance(call, ast.Constant) and call.value is None:
        return None
    if not isinstance(call, ast.Call) or where.qualified(call.func) not in _RETRIES:
        return DYNAMIC
    policy: dict[str, Any] = {}
    given = [*zip(_RETRY, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
    for name, value in given:
        if name is None or isinstance(value, ast.Starred):
            return DYNAMIC
        if name in ("on", "never"):
            policy[name] = [quote(e) for e in value.elts] if isinstance(value, ast.Tuple) else [quote(value)]
        elif name in ("delay", "maximum", "within"):
            policy[name] = duration(value, where)
        else:
            known = evaluate(value, where)
            policy[name] = known if isinstance(known, int | float) else DYNAMIC
    return policy


def duration(node: ast.expr, scope: Scope) -> str | None:
    """A duration as text: `"5m"` as it is, `timedelta(minutes=5)` as `300s`, else `<dynamic>`."""
    known = evaluate(node, scope)
    if known is None or isinstance(known, str):
        return known
    call, where = followed(node, scope)
    if isinstance(call, ast.Call) and where.qualified(call.func) == "datetime.timedelta":
        parts = [*zip(_TIMEDELTA, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
        total = 0.0
        for unit, value in parts:
            amount = evaluate(value, where)
            if unit not in _TIMEDELTA or not isinstance(amount, int | float):
                return DYNAMIC
            total += _TIMEDELTA[unit] * amount
        return f"{total:.6f}".rstrip("0").rstrip(".") + "s"
    return DYNAMIC


def texts(node: ast.expr | None, scope: Scope) -> tuple[str, ...]:
    """A list of texts, such as tags; what is not known is `<dynamic>`."""
    if node is None:
        return ()
    value, where = followed(node, scope)
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        return (DYNAMIC,)
    known = [evaluate(element, where) for element in value.elts]
    return tuple(text if isinstance(text, str) else DYNAMIC for text in known)


def quoted(node: ast.expr | None, scope: Scope, quote: Quote) -> tuple[str, ...]:
    """Elements of a list as written, such as middleware."""
    if node is None:
        return ()
    found = elements(node, scope)
    return (DYNAMIC,) if found is None else tuple(quote(element) for element, _ in found)


def elements(node: ast.expr, scope: Scope) -> list[tuple[ast.expr, Scope]] | None:
    """Elements of a list, each with the scope in which it stands; None if they are not known."""
    value, where = followed(node, scope)
    if not isinstance(value, ast.List | ast.Tuple | ast.Set):
        return None
    return [(element, where) for element in value.elts]


def option(node: ast.expr | None, scope: Scope, default: str) -> str:
    """A text option; `<dynamic>` if it is not known."""
    if node is None:
        return default
    known = evaluate(node, scope)
    return known if isinstance(known, str) else DYNAMIC


def known_text(node: ast.expr | None, scope: Scope) -> str | None:
    """A text option without default: None if it is not given or is None, `<dynamic>` if it is not known."""
    known = None if node is None else evaluate(node, scope)
    if known is None or isinstance(known, str):
        return known
    return DYNAMIC


def followed(node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope]:
    """The value of a name that is assigned once, where it is assigned."""
    for _ in range(8):
        if not isinstance(node, ast.Name):
            break
        found = scope.find(node.id)
        value = None if found is None else found.names.constant(node.id)
        if found is None or value is None:
            break
        node, scope = value, found
    return node, scope
