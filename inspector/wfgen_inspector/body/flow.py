"""What is known at one point of a function's control flow."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from wfgen.manifest import Node, Span
from wfgen_inspector.scopes import Function, Scope
from wfgen_inspector.symbols import ClassSymbol


@dataclass(frozen=True, slots=True)
class Mark:
    """What a local name stands for."""

    kind: Literal["handle", "method", "function", "pending", "partial", "holder"]
    method: str = ""
    """Kind method: of the handle."""
    function: Function | ast.Lambda | None = None
    """Kind function: defined inside the workflow."""
    scope: Scope | None = None
    """Kind function: where it is defined."""
    nodes: tuple[Node, ...] = ()
    """Kind pending: operations that were called and wait to be awaited."""
    partial: ast.Call | None = None
    """Kind partial: `functools.partial(helper, workflow, …)`."""
    owner: ClassSymbol | None = None
    """Kind holder: the class of the object that keeps the handle."""
    attributes: frozenset[str] = frozenset()
    """Kind holder: in which attributes."""


HANDLE = Mark("handle")


@dataclass(slots=True)
class Flow:
    """Marks and step names on the paths that lead to one point."""

    marks: dict[tuple[Scope, str], Mark] = field(default_factory=dict)
    """By the scope that binds the name."""
    seen: dict[str, tuple[str, Span]] = field(default_factory=dict)
    """Names of steps, and where they were first asked for: file and place."""
    ended: bool = False
    """Whether no path leads here: after `return`, `raise`, `break`, `continue`."""

    def copy(self) -> Flow:
        return Flow(dict(self.marks), dict(self.seen), self.ended)


def merge(flows: Iterable[Flow]) -> Flow:
    """Where several paths meet: what is true on any of them may be true."""
    every = list(flows)
    alive = [flow for flow in every if not flow.ended]
    result = Flow(ended=not alive)
    for flow in alive or every:
        for key, mark in flow.marks.items():
            result.marks.setdefault(key, mark)
        for name, span in flow.seen.items():
            result.seen.setdefault(name, span)
    return result
