"""Calls in workers that another attempt would make a second time (WF409)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.facts import EffectFact
from wfgen_inspector.modules import Module
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import Function
from wfgen_inspector.symbols import ExternalSymbol, FunctionSymbol

_METHODS = frozenset({"post", "patch"})
_HTTP = frozenset(
    {
        "requests", "requests.Session", "requests.sessions.Session", "httpx", "httpx.Client", "httpx.AsyncClient",
        "aiohttp.ClientSession",
    }
)  # fmt: skip
_SENDS = frozenset(
    {
        "smtplib.SMTP.send_message", "smtplib.SMTP.sendmail", "smtplib.SMTP_SSL.send_message",
        "smtplib.SMTP_SSL.sendmail", "aiosmtplib.send", "stripe.Charge.create", "stripe.PaymentIntent.create",
        "stripe.Refund.create", "stripe.Transfer.create",
    }
)  # fmt: skip
_NAMES = _METHODS | {name.rpartition(".")[2] for name in _SENDS}
_SAFE = ("idempoten", "dedup")
"""What shows that somebody has thought of it."""


def effects(function: Function, name: str, module: Module, resolver: Resolver) -> Iterator[EffectFact]:
    """The first call of a worker that must not be made twice, unless a key is mentioned anywhere in it.

    Args:
        function: the worker's.
        name: under which its file defines it.
        module: the file.
        resolver: of the program.
    """
    if not any(word in module.text.text for word in _NAMES):
        return
    last = function.end_lineno or function.lineno
    source = "\n".join(module.text.lines[function.lineno - 1 : last]).lower()
    if any(word in source for word in _SAFE):
        return
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    if not any(_may_matter(call) for call in calls):
        return
    scope = resolver.function_scope(FunctionSymbol(module, function, module.scope))
    for call in calls:
        if not _may_matter(call):
            continue
        for symbol in resolver.resolve(call.func, scope, module):
            if isinstance(symbol, ExternalSymbol) and _is_sent(symbol.qualified):
                yield EffectFact(name, symbol.qualified, module.text.span(call))
                return


def _may_matter(call: ast.Call) -> bool:
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return attribute in _NAMES


def _is_sent(qualified: str) -> bool:
    owner, _, method = qualified.rpartition(".")
    return qualified in _SENDS or (method in _METHODS and owner in _HTTP)
