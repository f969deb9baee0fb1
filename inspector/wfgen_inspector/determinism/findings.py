"""From effects to problems: what is said, where, and what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from wfgen_inspector.determinism.effects import Effect, Place, Reached
from wfgen_inspector.determinism.replacements import replacement
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import Problem
from wfgen_inspector.modules import Module

_MAX_SHOWN = 60
_PHRASES = {
    "WF201": "reads the clock",
    "WF202": "draws random numbers",
    "WF203": "reads the environment or the identity of the host",
    "WF204": "does input or output",
    "WF205": "follows the order of a set",
    "WF206": "depends on a hash or an address, which differ from process to process",
    "WF207": "starts or enters a thread or a process",
    "WF208": "waits on a timer of its own",
    "WF209": "starts a task that nobody waits for",
    "WF210": "depends on state that all runs of a process share",
}
_HINTS = {
    "WF201": "Use `{handle}.now()`, which is the same in every replay.",
    "WF202": "Use `{handle}.random()`, whose numbers are the same in every replay.",
    "WF203": 'Pass it in as input, or read it in a step: `await {handle}.do("…", …)`.',
    "WF204": 'Do it in a step, whose result is recorded: `await {handle}.do("…", …)`.',
    "WF205": "Put `sorted(…)` around it, or keep a list or a dict instead: those have an order.",
    "WF206": "Use a key of the data itself, or `hashlib`.",
    "WF207": 'Make it a step: `await {handle}.do("…", …)` runs plain functions in a thread.',
    "WF208": 'Use `await {handle}.sleep("…", "5m")`, or the `timeout=` of the step or hook.',
    "WF209": "Await it, gather it, or start it in an `asyncio.TaskGroup`.",
    "WF210": "Keep it in the workflow's own variables, or read and change it in a step.",
}
_UUIDS = "Use `{handle}.uuid()`, which is the same in every replay."
_DECLARED = "`impure` in `[tool.wfgen.determinism]` names it: do it in a step."


def direct(effect: Effect, handle: str | None, known: str | None) -> Problem:
    """A problem at the place of an effect.

    Args:
        effect: of a function that is workflow code.
        handle: the handle's name for hints.
        known: the handle's name if it can be used there, for fixes.
    """
    module = effect.place.module
    written = effect.node if not isinstance(effect.node, ast.stmt) else effect.place.node
    shown = _shown(written, effect.place)
    named = effect.subject.rpartition(".")[2] in shown or effect.code in ("WF205", "WF209", "WF210")
    message = f"`{shown}` {_said(effect)}{'' if named else f': `{effect.subject}`'}."
    if effect.code == "WF205":
        message = f"the order of `{effect.subject}` differs from process to process, and shows here."
    elif effect.code == "WF210":
        message = f"workflow code {effect.act}."
    rewrite = replacement(effect, module, known)
    return Problem(effect.code, module.text.span(effect.place.node), message, _hint(effect, handle), rewrite)


def through(call_place: Place, shown: ast.expr | ast.stmt, reached: Reached, handle: str | None) -> Problem:
    """A problem at a call in workflow code that leads to an effect somewhere else.

    Args:
        call_place: of the call.
        shown: the call.
        reached: where it leads.
        handle: the handle's name for hints.
    """
    effect = reached.effect
    end = _related(effect.place, effect.act)
    message = f"`{_shown(shown, call_place)}` {_said(effect)}: `{effect.subject}` ({end.file}:{end.line})."
    related = (*(_related(call.place, call.act) for call in reached.chain), end)
    span = call_place.module.text.span(call_place.node)
    return Problem(effect.code, span, message, _hint(effect, handle), related=tuple(_distinct(related)))


def _said(effect: Effect) -> str:
    return "calls what the settings declare impure" if effect.is_declared else _PHRASES[effect.code]


def _hint(effect: Effect, handle: str | None) -> str:
    hint = _HINTS[effect.code]
    if effect.is_declared:
        hint = _DECLARED
    elif effect.code == "WF202" and "uuid" in effect.subject:
        hint = _UUIDS
    return hint.format(handle=handle or "workflow")


def _shown(node: ast.expr | ast.stmt, place: Place) -> str:
    """An expression as written, on one line; a long call without its arguments."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    text_of = place.module.text.source if node is place.node else place.module.text.normal
    text = text_of(node)
    if len(text) > _MAX_SHOWN and isinstance(node, ast.Call):
        text = f"{text_of(node.func)}(…)"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _related(place: Place, message: str) -> Related:
    module: Module = place.module
    node = place.node
    return Related(module.path, node.lineno, module.text.column(node.lineno, node.col_offset), message)


def _distinct(places: tuple[Related, ...]) -> Iterator[Related]:
    """Without a place that says the same as the one before it."""
    before: Related | None = None
    for place in places:
        if place != before:
            yield place
        before = place
