"""Fixes: the handle's own clock, ids and random numbers in place of the process's."""

from __future__ import annotations

import ast

from wfgen_inspector.determinism.effects import Effect
from wfgen_inspector.diagnostics import Applicability
from wfgen_inspector.facts import Replace
from wfgen_inspector.modules import Module

_UTC = frozenset({"UTC", "timezone.utc", "datetime.UTC", "datetime.timezone.utc", "dt.UTC", "dt.timezone.utc"})
_NOT_ON_INSTANCES = frozenset({"seed", "setstate", "getstate", "SystemRandom"})


def replacement(effect: Effect, module: Module, handle: str | None) -> Replace | None:
    """The fix of an effect in workflow code; None when somebody has to think.

    Args:
        effect: to be mended.
        module: in whose file it stands.
        handle: the name by which the handle can be used there.
    """
    call = effect.node
    if handle is None or effect.is_declared or not isinstance(call, ast.expr):
        return None
    if effect.code == "WF205":
        return _sorted(effect, module)
    if not effect.is_exact or not isinstance(call, ast.Call):
        return None
    found = _clock(effect.subject, call, handle) or _random(effect.subject, call, module, handle)
    if found is None:
        return None
    text, applicability = found
    return Replace(module.text.span(call), text, f"use `{text.partition('(')[0]}()`", applicability)


def _clock(subject: str, call: ast.Call, handle: str) -> tuple[str, Applicability] | None:
    now = f"{handle}.now()"
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if subject == "time.time" and not given:
        return f"{now}.timestamp()", "safe"
    if subject == "time.time_ns" and not given:
        return f"int({now}.timestamp() * 1_000_000_000)", "unsafe"
    if subject == "datetime.datetime.now" and len(given) == 1:
        if ast.unparse(given[0]) in _UTC:
            return now, "safe"
        return f"{now}.astimezone({ast.unparse(given[0])})", "unsafe"
    if given:
        return None
    match subject:
        case "datetime.datetime.now" | "datetime.datetime.today":
            return f"{now}.astimezone().replace(tzinfo=None)", "unsafe"
        case "datetime.datetime.utcnow":
            return f"{now}.replace(tzinfo=None)", "unsafe"
        case "datetime.date.today":
            return f"{now}.date()", "unsafe"
        case _:
            return None


def _random(subject: str, call: ast.Call, module: Module, handle: str) -> tuple[str, Applicability] | None:
    package, _, name = subject.rpartition(".")
    if subject in ("uuid.uuid1", "uuid.uuid4"):
        return f"{handle}.uuid()", "safe" if name == "uuid4" and not (call.args or call.keywords) else "unsafe"
    if subject == "random.Random":
        return f"{handle}.random()", "safe"
    if package == "random" and name not in _NOT_ON_INSTANCES:
        written = module.text.source(call)
        arguments = written[len(module.text.source(call.func)) :] if call.end_lineno == call.lineno else None
        if arguments is None or not arguments.startswith("(") or written.endswith("…"):
            return None
        return f"{handle}.random().{name}{arguments}", "safe"
    return None


def _sorted(effect: Effect, module: Module) -> Replace | None:
    """Sort what has no order; elements of different kinds cannot be."""
    node = effect.node
    if effect.place.node is not node or not isinstance(node, ast.expr) or node.end_lineno != node.lineno:
        return None
    written = module.text.source(node)
    if written.endswith("…") or ast.unparse(node) != effect.subject:
        return None
    return Replace(module.text.span(node), f"sorted({written})", "sort it first", "unsafe")
