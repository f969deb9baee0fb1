"""From one workflow function to its tree of nodes."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from wfgen.manifest import Node
from wfgen_inspector.body.flow import HANDLE
from wfgen_inspector.body.statements import Statements
from wfgen_inspector.body.walker import Frame, Reading
from wfgen_inspector.facts import TargetFact
from wfgen_inspector.scopes import Function, Scope
from wfgen_inspector.types import TypeText

__all__ = ["Body", "Reading", "build"]


@dataclass(frozen=True, slots=True)
class Body:
    """What a workflow's body holds; problems go to the reading."""

    nodes: tuple[Node, ...]
    targets: tuple[TargetFact, ...]
    payloads: tuple[TypeText, ...]
    """Types of hooks."""


def build(reading: Reading, function: Function, handle: str | None) -> Body:
    """Walk a workflow function and all helpers that receive its handle.

    Args:
        reading: the file.
        function: as its module defines it.
        handle: name of the parameter that is the workflow handle, if it has one.
    """
    scope = Scope(reading.names_of(function), reading.scope)
    builder = Statements(reading, Frame(function, isinstance(function, ast.AsyncFunctionDef)), scope)
    reading.entered.add(function)
    if handle is not None:
        builder.set_mark(handle, HANDLE)
        reading.handles[function] = handle
    nodes: list[Node] = []
    builder.function(function, nodes)
    return Body(tuple(nodes), tuple(builder.targets), tuple(builder.payloads))
