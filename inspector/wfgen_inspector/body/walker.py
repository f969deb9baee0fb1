"""What all parts of the walk through a workflow's body share."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from wfgen.manifest import Node, Opaque, Span, Use
from wfgen_inspector.body.flow import HANDLE, Flow, Mark
from wfgen_inspector.body.keys import Keys
from wfgen_inspector.facts import Problem, Rewrite, TargetFact
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Located, Text
from wfgen_inspector.renames import Renames
from wfgen_inspector.resolution import Resolver
from wfgen_inspector.scopes import Function, Scope
from wfgen_inspector.types import TypeText

Context = Literal["value", "await", "operand", "statement", "return", "yield", "container", "argument"]
"""What becomes of an expression's value. Awaited, or passed on as it is: value, return, yield, container, argument.
Used up on the spot, which a coroutine is too good for: operand, statement."""

Mode = Literal["step", "opaque"]

_ESCAPES: dict[str, str] = {
    "return": "returned",
    "yield": "yielded",
    "container": "stored in a container",
    "await": "awaited itself",
}


class Reading(Protocol):
    """What the walk needs to know of the file that it is in."""

    @property
    def path(self) -> str: ...
    @property
    def module(self) -> Module: ...
    @property
    def scope(self) -> Scope:
        """Of the module."""
        ...

    @property
    def resolver(self) -> Resolver: ...
    @property
    def modules(self) -> dict[str, Module]: ...
    @property
    def problems(self) -> list[Problem]: ...
    @property
    def entered(self) -> set[ast.AST]:
        """Functions that were walked as part of some workflow."""
        ...

    @property
    def operations(self) -> dict[ast.Call, tuple[str, bool]]: ...
    @property
    def steps(self) -> set[ast.AST]: ...
    @property
    def handles(self) -> dict[ast.AST, str]: ...
    @property
    def holders(self) -> list[Mark]: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def renames(self) -> Renames: ...


@dataclass(slots=True)
class Frame:
    """One function that is being walked."""

    node: Function | ast.Lambda
    is_async: bool
    module: Module
    """In which it stands."""
    returns: list[Flow] = field(default_factory=list)
    loops: list[list[Flow]] = field(default_factory=list)
    """For each loop around, the ways out of it or to its next turn."""
    defined: list[tuple[Function | ast.Lambda, Scope]] = field(default_factory=list)
    """Functions defined inside."""
    loaded: frozenset[str] | None = None
    """Names that are read anywhere inside; found when it matters."""


class Walker(ABC):
    """State of the walk: scope, flow, mode, and what has been found so far."""

    def __init__(self, reading: Reading, frame: Frame, scope: Scope) -> None:
        self.reading = reading
        self.frame = frame
        self.scope = scope
        self.flow = Flow()
        self.marked: set[str] = set()
        """Every name that ever had a mark: a quick way to pass over all others."""
        self.stack: list[Function | ast.Lambda] = [frame.node]
        """Functions that are being walked, innermost last."""
        self.walked: set[ast.AST] = set()
        self.default_handles: dict[ast.AST, set[str]] = {}
        """Parameters of nested functions whose default is the handle."""
        self.entries = 0
        self.mode: Mode | None = None
        self.reason = ""
        """Mode opaque: why calls cannot be followed."""
        self.is_reported = False
        """Mode opaque: whether this region has its diagnostic."""
        self.anchor: ast.expr | None = None
        """The f-string around, whose position serves for everything inside it."""
        self.rest: list[ast.stmt] = []
        """Statements that follow in the same block."""
        self.waiting: list[Mark] = []
        """Operations called in this block whose awaiting is still to come."""
        self.assigned: str | None = None
        """The name to which the value that is being walked goes."""
        self.unawaited = 0
        """How many operations were called without being awaited on the spot."""
        self.targets: list[TargetFact] = []
        self.payloads: list[TypeText] = []
        self.holders: list[Mark] = []
        """Objects that keep the handle."""

    @abstractmethod
    def expr(self, node: ast.expr, out: list[Node], context: Context = "value") -> None:
        """Walk an expression; its nodes go to `out` in the order of evaluation."""

    @abstractmethod
    def block(self, body: list[ast.stmt], out: list[Node]) -> None:
        """Walk statements."""

    # Places

    @property
    def module(self) -> Module:
        """The file of the function that is being walked."""
        return self.frame.module

    @property
    def text(self) -> Text:
        return self.frame.module.text

    @property
    def file(self) -> str | None:
        """Path of the file that is being walked, if it is another than the workflow's."""
        return None if self.frame.module is self.reading.module else self.frame.module.path

    def span(self, node: Located) -> Span:
        return self.text.span(self.anchor or node)

    def source(self, node: Located) -> str:
        return self.text.source(node) if self.anchor is None else self.text.normal(node)

    def key(self, *nodes: ast.AST) -> str:
        """Short hash of what expressions are computed from."""
        return self.reading.keys.key(nodes, self.module, self.scope, tuple(reversed(self.stack)), self.handle_names())

    def handle_names(self) -> frozenset[str]:
        """Names that stand for the handle here."""
        return frozenset(name for (_, name), mark in self.flow.marks.items() if mark is HANDLE)

    # Findings

    def problem(
        self, code: str, span: Span, message: str, hint: str | None = None, rewrite: Rewrite | None = None
    ) -> None:
        self.reading.problems.append(Problem(code, span, message, hint, rewrite, file=self.file))

    def escape(self, node: ast.expr, out: list[Node], reason: str) -> None:
        """The handle goes where it cannot be followed."""
        span = self.span(node)
        out.append(Opaque(span=span, reason=reason))
        self.problem(
            "WF104",
            span,
            f"{reason}, where its steps cannot be seen.",
            "Call steps on the handle itself, or pass it to a function of the project.",
        )

    def escape_as(self, node: ast.expr, out: list[Node], context: Context) -> None:
        """The bare handle stands where its value is used."""
        if context == "statement":
            out.append(Use(span=self.span(node), name="value"))
        else:
            self.escape(node, out, f"the handle is {_ESCAPES.get(context, 'used as a value')}")

    def obscure(self, span: Span, out: list[Node], reason: str, *, report: bool = True) -> None:
        """What happens here cannot be told."""
        out.append(Opaque(span=span, reason=reason))
        if report:
            self.problem(
                "WF301",
                span,
                f"what happens here cannot be seen: {reason}.",
                "Steps in plain control flow are shown in the graph and checked.",
            )

    # Marks

    def owner(self, name: str) -> Scope | None:
        """The function scope that binds a name, for marks; None for names of the module and unknown ones."""
        found = self.scope.find(name)
        return None if found is None or found.parent is None else found

    def mark(self, name: str) -> Mark | None:
        if name not in self.marked:
            return None
        scope = self.scope.find(name)
        return None if scope is None else self.flow.marks.get((scope, name))

    def set_mark(self, name: str, mark: Mark | None) -> bool:
        """Note what a name stands for from here on. False if it is a name of the module, which cannot be followed."""
        scope = self.owner(name)
        if scope is None:
            return False
        if mark is None:
            if name in self.marked:
                self.flow.marks.pop((scope, name), None)
        else:
            self.marked.add(name)
            self.flow.marks[scope, name] = mark
        return True

    def is_handle(self, node: ast.expr) -> bool:
        """Whether an expression is the handle: by name, or as an attribute of an object that keeps it."""
        if isinstance(node, ast.Attribute):
            holder = self.holder(node.value)
            return holder is not None and node.attr in holder.attributes
        return isinstance(node, ast.Name) and self.mark(node.id) is HANDLE

    def holder(self, node: ast.expr) -> Mark | None:
        """The object that an expression is, if it keeps the handle."""
        mark = self.mark(node.id) if isinstance(node, ast.Name) else None
        return mark if mark is not None and mark.kind == "holder" else None

    def mentions_marks(self, node: ast.AST) -> bool:
        """Whether anything inside may concern the handle."""
        return any(isinstance(part, ast.Name) and part.id in self.marked for part in ast.walk(node))

    def is_loaded(self, name: str) -> bool:
        """Whether the function being walked reads a name anywhere."""
        if self.frame.loaded is None:
            self.frame.loaded = frozenset(
                part.id
                for part in ast.walk(self.frame.node)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
            )
        return name in self.frame.loaded

    # Nested bodies

    @contextmanager
    def inside(self, scope: Scope, frame: Frame | None = None) -> Iterator[None]:
        """Walk in another scope, and in another function if a frame is given."""
        before = (self.scope, self.frame, self.rest, self.assigned, self.anchor)
        self.scope, self.rest, self.assigned = scope, [], None
        self.frame = frame or self.frame
        if frame is not None:
            self.stack.append(frame.node)
            if not isinstance(frame.node, ast.Lambda):
                self.anchor = None  # what it does stands where it is written, also if an f-string calls it
        try:
            yield
        finally:
            if frame is not None:
                self.stack.pop()
            self.scope, self.frame, self.rest, self.assigned, self.anchor = before

    @contextmanager
    def in_mode(self, mode: Mode, reason: str) -> Iterator[None]:
        """Walk a region in which operations are not steps of the workflow. The outermost mode stays."""
        before = (self.mode, self.reason, self.is_reported)
        if self.mode is None:
            self.mode, self.reason, self.is_reported = mode, reason, False
        try:
            yield
        finally:
            self.mode, self.reason, self.is_reported = before
