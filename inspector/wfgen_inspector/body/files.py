"""Which file the nodes of a body stand in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wfgen.manifest import Branch, Loop, Node, Parallel, Raise, Return, Sequence, Try, With


def placed(nodes: Iterable[Node], path: str) -> list[Node]:
    """Nodes of a helper from another file: those that do not say where they stand stand there."""
    return [_changed(node, None, path) for node in nodes]


def at_home(nodes: Iterable[Node], path: str) -> list[Node]:
    """Nodes of a workflow: those that stand in its own file need not say so."""
    return [_changed(node, path, None) for node in nodes]


def _changed(node: Node, old: str | None, new: str | None) -> Node:
    def inner(body: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(_changed(one, old, new) for one in body)

    changes: dict[str, Any] = {"file": new} if node.file == old else {}
    match node:
        case Branch():
            changes["arms"] = tuple(arm.model_copy(update={"body": inner(arm.body)}) for arm in node.arms)
        case Parallel():
            branches = (branch.model_copy(update={"body": inner(branch.body)}) for branch in node.branches)
            changes["branches"] = tuple(branches)
        case Try():
            changes |= {key: inner(getattr(node, key)) for key in ("body", "orelse", "final")}
            handlers = (arm.model_copy(update={"body": inner(arm.body)}) for arm in node.handlers)
            changes["handlers"] = tuple(handlers)
        case Loop():
            changes |= {"body": inner(node.body), "orelse": inner(node.orelse)}
        case Sequence() | With() | Return() | Raise():
            changes["body"] = inner(node.body)
        case _:
            pass
    return node.model_copy(update=changes) if changes else node
