"""What the workflow handle offers, as far as the shape of a workflow goes."""

from __future__ import annotations

import ast

from wfgen.manifest import StepForm

PARAMETERS: dict[str, tuple[str, ...]] = {
    "do": ("step", "target", "data"),
    "sleep": ("step", "duration"),
    "sleep_until": ("step", "when"),
    "hook": ("step", "model"),
    "create_hook": ("step", "model"),
    "call": ("step", "target", "data"),
    "start": ("step", "target", "data"),
    "compensate": ("step", "target", "data"),
    "continue_as_new": ("data",),
    "parallel": ("branches",),
}
"""Durable operations and their positional parameters."""

FORMS: dict[str, StepForm] = {
    "do": "rpc",
    "sleep": "sleep",
    "sleep_until": "sleep_until",
    "hook": "hook",
    "create_hook": "create_hook",
    "call": "call",
    "start": "start",
    "compensate": "compensate",
    "continue_as_new": "continue_as_new",
}
"""Form of the step that an operation becomes; `do` may turn out inline, `parallel` is a node of its own."""

AWAITED = frozenset({"do", "sleep", "sleep_until", "hook", "call", "start", "parallel"})
"""Operations that do nothing unless they are awaited."""

CALLED = frozenset({"now", "uuid", "random", "patched", "emit", "progress"})
"""Plain uses that are called, and answer at once."""

READ = frozenset({"log", "context", "errors", "metrics", "run_id"})
"""Plain uses that are read."""

IN_STEPS = frozenset({"log", "context", "errors", "metrics", "run_id"})
"""What a step's own function may use of the handle."""

KNOWN = frozenset(PARAMETERS) | CALLED | READ
"""Every attribute of the handle."""


def given_to(method: str, call: ast.Call) -> dict[str, ast.expr]:
    """Arguments of an operation by parameter; those behind `*` and `**` are not known."""
    given: dict[str, ast.expr] = {}
    for parameter, argument in zip(PARAMETERS.get(method, ()), call.args, strict=False):
        if isinstance(argument, ast.Starred):
            break
        given[parameter] = argument
    for keyword in call.keywords:
        if keyword.arg is not None:
            given.setdefault(keyword.arg, keyword.value)
    return given
