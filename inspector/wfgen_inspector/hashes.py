"""Hashes that say whether clients, or recorded runs, are affected by a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from wfgen.manifest import (
    Branch,
    Declaration,
    Loop,
    Node,
    Opaque,
    Parallel,
    Raise,
    Return,
    Sequence,
    Step,
    Try,
    With,
    walk,
)

_VERSION = 1
"""Of what goes into the hashes."""


def interface_hash(parts: Iterable[Any], declarations: Iterable[Declaration]) -> str:
    """What clients see: names, types, hooks, and the declarations of types from the file itself."""
    return _hash([*parts, sorted((d.name, d.text) for d in declarations)])


def hooks(body: tuple[Node, ...]) -> list[tuple[str, str | None]]:
    """Hooks of a workflow and their payloads."""
    steps = (node for node in walk(body) if isinstance(node, Step) and node.form in ("hook", "create_hook"))
    return sorted({(step.name, step.payload) for step in steps}, key=str)


def steps_hash(body: tuple[Node, ...]) -> str:
    """What replay depends on: which operations there are, how they are called and how they are nested.

    Positions, comments, conditions, inputs, descriptions and what inline steps do leave it alone.
    """
    return _hash(_shapes(body))


def _shapes(nodes: Iterable[Node]) -> list[Any]:
    return [shape for node in nodes for shape in _shape(node)]


def _shape(node: Node) -> list[Any]:
    match node:
        case Step():
            target = None if node.form == "inline" else node.target
            unawaited = ["job"] if node.await_result is False else []
            return [["step", node.form, node.name, target, node.payload, *unawaited]]
        case Sequence() | With() | Return() | Raise():
            return _shapes(node.body)
        case Branch():
            return _container("branch", [_shapes(arm.body) for arm in node.arms])
        case Loop():
            return _container("loop", [_shapes(node.body), _shapes(node.orelse)])
        case Parallel():
            return _container("parallel", [_shapes(branch.body) for branch in node.branches])
        case Try():
            handlers = [_shapes(handler.body) for handler in node.handlers]
            return _container("try", [_shapes(node.body), *handlers, _shapes(node.orelse), _shapes(node.final)])
        case Opaque():
            return [["opaque"]]
        case _:
            return []


def _container(kind: str, parts: list[list[Any]]) -> list[Any]:
    """Nothing if there is no operation inside; arms without operations count as little as no arms."""
    filled = [part for part in parts if part]
    return [[kind, *filled]] if filled else []


def _hash(value: Any) -> str:
    text = json.dumps([_VERSION, value], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
