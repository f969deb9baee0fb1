"""From one workflow function to its tree of nodes."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from wfgen.manifest import Node
from wfgen_inspector.body.files import at_home, placed
from wfgen_inspector.body.flow import HANDLE
from wfgen_inspector.body.statements import Statements
from wfgen_inspector.body.walker import Frame, Reading
from wfgen_inspector.facts import TargetFact
from wfgen_inspector.modules import Module
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


def build(reading: Reading, function: Function, handle: str | None, module: Module | None = None) -> Body:
    """Walk a workflow function and all helpers that receive its handle.

    Args:
        reading: the file.
        function: as its module defines it.
        handle: name of the parameter that is the workflow handle, if it has one.
        module: in which it stands; None for the file itself.
    """
    module = reading.module if module is None else module
    if module is not reading.module:
        reading.modules[module.path] = module
    scope = Scope(module.names_of(function), module.scope)
    builder = Statements(reading, Frame(function, isinstance(function, ast.AsyncFunctionDef), module), scope)
    reading.entered.add(function)
    if handle is not None:
        builder.set_mark(handle, HANDLE)
        reading.handles[function] = handle
    nodes: list[Node] = []
    builder.function(function, nodes)
    if module is not reading.module:
        nodes = placed(nodes, module.path)
    if reading.modules:
        nodes = at_home(nodes, reading.path)
    reading.holders.extend(builder.holders)
    return Body(tuple(nodes), tuple(builder.targets), tuple(builder.payloads))
