"""Tasks before and after a run, as a workflow's definition names them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wfgen.manifest import DYNAMIC, Step
from wfgen_inspector.body.targets import pack
from wfgen_inspector.constants import evaluate
from wfgen_inspector.facts import TargetFact
from wfgen_inspector.policies import followed
from wfgen_inspector.scopes import Scope

if TYPE_CHECKING:
    from wfgen_inspector.reading import Reading

_AFTER = frozenset({"wfgen.After", "wfgen.around.After"})
_IDS = frozenset({"wfgen.WorkerId", "wfgen.ids.WorkerId"})


@dataclass(frozen=True, slots=True)
class Around:
    """The tasks of one argument, and what linking has to look up for them."""

    steps: tuple[Step, ...] | None = None
    """None if the argument is not given."""
    targets: tuple[TargetFact, ...] = ()


def tasks(reading: Reading, argument: str, node: ast.expr | None) -> Around:
    """Read `before=[...]` or `after=[...]`."""
    if node is None:
        return Around()
    value, scope = followed(node, reading.scope)
    if not isinstance(value, ast.List | ast.Tuple):
        _unknown(reading, argument, node)
        return Around()
    read = [_task(reading, argument, element, scope) for element in value.elts]
    return Around(tuple(step for step, _ in read), tuple(target for _, target in read if target is not None))


def _task(reading: Reading, argument: str, node: ast.expr, scope: Scope) -> tuple[Step, TargetFact | None]:
    span = reading.text.span(node)
    named = _named(node, scope)
    target, where = followed(named, scope)
    fact = TargetFact("worker", reading.text.span(named))
    written = reading.text.source(named)
    known = evaluate(target, where)
    if isinstance(known, str):
        return Step(span=span, form="rpc", name=known, target=known), replace(fact, id=known)
    if isinstance(target, ast.Call) and where.qualified(target.func) in _IDS and target.args:
        known = evaluate(target.args[0], where)
        if isinstance(known, str):  # nobody vouches for it
            return Step(span=span, form="rpc", name=known, target=known), None
    reference = _reference(target, where)
    if reference is None:
        _unknown(reading, argument, named)
        return Step(span=span, form="rpc", name=DYNAMIC, dynamic=True, target=DYNAMIC), None
    # A reference such as `workers.users.create` is named after its worker, a function by its own name: see linking.
    name = reference.rpartition(".")[2]
    return Step(span=span, form="inline", name=name, target=pack(reference, written)), replace(
        fact, reference=reference
    )


def _named(node: ast.expr, scope: Scope) -> ast.expr:
    """What `After(...)` holds; else the element itself."""
    if isinstance(node, ast.Call) and scope.qualified(node.func) in _AFTER:
        given = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "target"), None)
        return node if given is None else given
    return node


def _reference(node: ast.expr, scope: Scope) -> str | None:
    if not isinstance(node, ast.Name | ast.Attribute):
        return None
    if isinstance(node, ast.Name):
        found = scope.find(node.id)
        if found is not None and node.id in found.names.functions:
            return f"{found.prefix}.{node.id}"
    return scope.qualified(node)


def _unknown(reading: Reading, argument: str, node: ast.expr) -> None:
    reading.problem(
        "WF402",
        reading.text.span(node),
        f"what {argument}= holds is known at run time only: {reading.text.source(node)}.",
        "Write a list of workers, by id or reference, and functions with a name.",
    )
