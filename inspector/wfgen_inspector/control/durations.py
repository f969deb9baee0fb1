"""Durations, times and retry policies that the runtime refuses (WF107)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from wfgen_inspector.body.handle import PARAMETERS
from wfgen_inspector.constants import UNKNOWN, evaluate
from wfgen_inspector.control.code import Body
from wfgen_inspector.policies import duration, retry_policy
from wfgen_inspector.scopes import Scope

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

Report = Callable[[ast.expr, str, str], None]

_DEFINES = frozenset(
    {
        "wfgen.define_workflow", "wfgen.definitions.define_workflow", "wfgen.define_worker",
        "wfgen.definitions.define_worker",
    }
)  # fmt: skip
_METHODS = frozenset(PARAMETERS) | {""}
_RETRIES = frozenset({"wfgen.Retry", "wfgen.retry.Retry"})
_POLICY = ("attempts", "delay", "factor", "maximum", "jitter")
_POSITIVE = "A duration is zero or more."
_TIMES = frozenset({"duration", "timeout", "when"})
_DATETIME = "datetime.datetime"
_ZONE = 8
"""Position of a datetime's time zone, from 1."""


def examine(reading: Reading, found: Iterable[Body]) -> None:
    """Report what cannot serve, in workflow code and in definitions."""

    def report(node: ast.expr, message: str, hint: str) -> None:
        reading.problem("WF107", reading.text.span(node), message, hint)

    for body in found:
        _operations(body)
    seen: set[ast.AST] = set()
    for call, kind in _definitions(reading):
        if kind == "definition":
            given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
            _once(given, reading.scope, report)
            for keyword in call.keywords:
                if keyword.arg in ("timeout", "expires") and not _is_none(keyword.value):
                    what = "the timeout" if keyword.arg == "timeout" else "`expires`"
                    _duration(keyword.value, reading.scope, what, report)
                elif keyword.arg == "retry" and isinstance(keyword.value, ast.Call) and keyword.value not in seen:
                    seen.add(keyword.value)
                    _retry(keyword.value, reading.scope, report)
        elif call not in seen:
            seen.add(call)
            _retry(call, reading.scope, report)


def _operations(body: Body) -> None:
    def report(node: ast.expr, message: str, hint: str) -> None:
        body.problem("WF107", node, message, hint)

    for operation in body.operations:
        arguments = operation.given
        _once(arguments, body.scope, report)
        if not arguments.keys() & _TIMES:
            continue
        name = evaluate(arguments.get("step"), body.scope)
        of = f"of {name!r:.80}" if isinstance(name, str) else f"of this {operation.method!r}"
        if "duration" in arguments:
            _duration(arguments["duration"], body.scope, f"the duration {of}", report)
        if "timeout" in arguments and not _is_none(arguments["timeout"]):
            _duration(arguments["timeout"], body.scope, f"the timeout {of}", report)
        if "when" in arguments:
            _when(arguments["when"], body.scope, of, report)
    for call in body.calls:
        _retry(call, body.scope, report)


def _definitions(reading: Reading) -> Iterable[tuple[ast.Call, str]]:
    """Calls of `define_workflow`, `define_worker` and `Retry` that stand at module level."""
    for statement in reading.tree.body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                calls = [one for one in statement.decorator_list if isinstance(one, ast.Call)]
            case (
                ast.Expr(value=ast.Call() as call)
                | ast.Assign(value=ast.Call() as call)
                | ast.AnnAssign(value=ast.Call() as call)
            ):
                calls = [call, call.func] if isinstance(call.func, ast.Call) else [call]
            case _:
                continue
        for call in calls:
            qualified = reading.scope.qualified(call.func)
            if qualified in _DEFINES:
                yield call, "definition"
            elif qualified in _RETRIES:
                yield call, "retry"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _duration(node: ast.expr, scope: Scope, what: str, report: Report) -> None:
    known = evaluate(node, scope)
    if known is UNKNOWN:
        written = duration(node, scope)
        if written is not None and written.startswith("-"):
            report(node, f"{what} is negative: {written}.", _POSITIVE)
        return
    refusal = _refusal(known)
    if refusal is not None:
        report(node, f"{what} cannot be used: {refusal[0]}.", refusal[1])


@cache
def _refusal(value: object) -> tuple[str, str] | None:
    """What the runtime says against a duration, and its advice."""
    from wfgen.durations import seconds
    from wfgen.errors import InvalidInputError

    try:
        seconds(value)  # type: ignore[arg-type]
    except InvalidInputError as error:
        return error.message.rstrip("."), error.hint or _POSITIVE
    return None


def _when(node: ast.expr, scope: Scope, of: str, report: Report) -> None:
    """A time without a time zone, as far as it is written out."""
    call = node
    if isinstance(node, ast.Name):
        found = scope.find(node.id)
        value = None if found is None else found.names.constant(node.id)
        if found is None or value is None:
            return
        call, scope = value, found
    if not isinstance(call, ast.Call) or any(isinstance(argument, ast.Starred) for argument in call.args):
        return
    called = scope.qualified(call.func)
    is_naive = False
    if called == _DATETIME:
        names = {keyword.arg for keyword in call.keywords}
        is_naive = len(call.args) < _ZONE and not names & {"tzinfo", None}
    elif called == f"{_DATETIME}.fromisoformat" and len(call.args) == 1:
        text = evaluate(call.args[0], scope)
        try:
            is_naive = isinstance(text, str) and datetime.fromisoformat(text).tzinfo is None
        except ValueError:
            return
    if is_naive:
        report(
            node,
            f"the time {of} has no time zone, which is refused at run time.",
            "Give it one: `tzinfo=UTC`, with `from datetime import UTC`.",
        )


def _once(given: Mapping[str, ast.expr], scope: Scope, report: Report) -> None:
    """A policy of several attempts for what runs at most once."""
    if "retry" not in given or "at_most_once" not in given or evaluate(given["at_most_once"], scope) is not True:
        return
    policy = retry_policy(given["retry"], scope, ast.unparse)
    attempts = policy.get("attempts", 3) if isinstance(policy, dict) else 1
    if isinstance(attempts, int) and attempts > 1:
        report(
            given["retry"],
            f"what runs at most once cannot have {attempts} attempts.",
            "Leave `at_most_once` out, or write `Retry(attempts=1)`.",
        )


def _is_retry(call: ast.Call, scope: Scope) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name not in _METHODS and scope.qualified(call.func) in _RETRIES


def _retry(call: ast.Call, scope: Scope, report: Report) -> None:
    """A retry policy whose known parts cannot serve, as the runtime's own class finds."""
    if not _is_retry(call, scope):
        return
    from wfgen.errors import WfgenError
    from wfgen.retry import Retry

    parts = [*zip(_POLICY, call.args, strict=False), *((keyword.arg, keyword.value) for keyword in call.keywords)]
    for name, node in parts:
        if name not in _POLICY or isinstance(node, ast.Starred):
            continue
        if name in ("delay", "maximum", "within"):
            _duration(node, scope, f"the {name} of this retry policy", report)
            continue
        known = evaluate(node, scope)
        if known is UNKNOWN:
            continue
        hint = "`attempts` and `factor` are at least 1, `jitter` is between 0 and 1."
        try:
            Retry(**{name: known})  # type: ignore[arg-type]
        except (WfgenError, TypeError):
            report(node, f"the retry policy cannot have {name}={known!r:.60}.", hint)
