"""The shape of a workflow's body: its operations and the control flow around them, and nothing that a replay ignores.

Helpers that run on the spot and `with` blocks dissolve into what surrounds them, plain uses of the handle and whatever
holds no operation disappear. As JSON it is what a lock file keeps of a version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wfgen.manifest import (
    Arm,
    Branch,
    Loop,
    Node,
    Opaque,
    Parallel,
    Raise,
    Return,
    Sequence,
    Span,
    Step,
    StepForm,
    Try,
    With,
)

START = Span(line=1, column=1, end_line=1, end_column=1)


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    line: int = 1
    """Where it stands, 1-based; a moved line changes nothing."""
    file: str | None = None
    """Set where that is another file than the workflow's."""
    span: Span = Field(default=START, exclude=True)
    """The same in full, of what is read from today's sources."""


class Operation(_Shape):
    """A durable operation, as it is recorded."""

    kind: Literal["operation"] = "operation"
    form: StepForm
    name: str
    target: str | None = None
    """The worker or workflow; None for inline steps, whose function is not recorded."""
    payload: str | None = None
    """Hooks: the payload's type expression."""
    key: str | None = None
    """Of a name or target that is known at run time only."""
    data: str | None = None
    """Key of the input, duration or time."""
    apart: bool | None = None
    """Whether the code does not wait for its result, so that only the start of its job is recorded."""

    @property
    def identity(self) -> tuple[str, str, str | None, str | None]:
        """What a replay compares, as far as the source tells it."""
        return (self.name, self.form, self.target, self.key)

    def __str__(self) -> str:
        target = f" -> {self.target}" if self.target else ""
        return f"step {self.name!r} ({self.form}{target})"


class Path(_Shape):
    """One way through a choice, or one handler."""

    label: str
    test: str | None = None
    key: str | None = None
    patch: str | None = None
    unpatched: str | None = None
    body: tuple[Shape, ...] = ()


class Choice(_Shape):
    """`if`, `match`, conditional expressions, `and`, `or`; the last path is taken when no other one is."""

    kind: Literal["choice"] = "choice"
    paths: tuple[Path, ...]


class Repetition(_Shape):
    """A loop."""

    kind: Literal["loop"] = "loop"
    form: str
    header: str
    key: str | None = None
    leaves: bool = False
    body: tuple[Shape, ...] = ()
    orelse: tuple[Shape, ...] = ()


class Lane(_Shape):
    """One of several things that run at once."""

    apart: bool = False
    """Whether it runs as a task of its own, whose number is part of its operations' identity."""
    body: tuple[Shape, ...] = ()


class Together(_Shape):
    """Things that run at once."""

    kind: Literal["together"] = "together"
    joined: bool = True
    """Whether all have ended before what follows begins."""
    is_group: bool = False
    lanes: tuple[Lane, ...]


class Attempt(_Shape):
    """`try`."""

    kind: Literal["try"] = "try"
    body: tuple[Shape, ...] = ()
    handlers: tuple[Path, ...] = ()
    orelse: tuple[Shape, ...] = ()
    final: tuple[Shape, ...] = ()


class Helper(_Shape):
    """A helper with a `return` of its own in the middle."""

    kind: Literal["helper"] = "helper"
    body: tuple[Shape, ...] = ()


class End(_Shape):
    """`return` or `raise`."""

    kind: Literal["end"] = "end"
    form: Literal["return", "raise"]


class Unknown(_Shape):
    """What could not be followed."""

    kind: Literal["unknown"] = "unknown"
    reason: str


Shape = Annotated[
    Operation | Choice | Repetition | Together | Attempt | Helper | End | Unknown, Field(discriminator="kind")
]
Shapes = tuple[Shape, ...]


def shapes_of(nodes: Iterable[Node]) -> Shapes:
    """The shape of a body."""
    return tuple(shape for node in nodes for shape in _shape(node))


def _shape(node: Node) -> Iterator[Shape]:
    where = {"line": node.span.line, "file": node.file, "span": node.span}
    match node:
        case Step():
            yield Operation(
                **where,
                form=node.form,
                name=node.name,
                target=None if node.form == "inline" else node.target,
                payload=node.payload,
                key=node.key,
                data=node.data_key,
                apart=True if node.await_result is False else None,
            )
        case With():
            yield from shapes_of(node.body)
        case Sequence():
            body = shapes_of(node.body)
            if any(isinstance(shape, End) for shape in inside(body)):
                yield Helper(**where, body=body)
            else:
                yield from body
        case Return() | Raise():
            yield from shapes_of(node.body)
            yield End(**where, form=node.kind)
        case Branch():
            paths = [_path(arm, where, node.form) for arm in node.arms]
            if not _is_complete(node):
                paths.append(Path(**where, label="else"))
            if any(path.body for path in paths):
                yield Choice(**where, paths=tuple(paths))
        case Loop():
            body, orelse = shapes_of(node.body), shapes_of(node.orelse)
            if body or orelse:
                found = {"form": node.form, "header": node.header, "key": node.key, "leaves": node.leaves}
                yield Repetition.model_validate({**where, **found, "body": body, "orelse": orelse})
        case Parallel():
            lanes = tuple(Lane(**where, apart=_is_apart(b.body), body=shapes_of(b.body)) for b in node.branches)
            if any(lane.body for lane in lanes):
                yield Together(**where, joined=node.joined, is_group=node.form == "task_group", lanes=lanes)
        case Try():
            body, orelse, final = shapes_of(node.body), shapes_of(node.orelse), shapes_of(node.final)
            handlers = tuple(_path(arm, where, "except") for arm in node.handlers)
            if body or orelse or final or any(handler.body for handler in handlers):
                yield Attempt(**where, body=body, handlers=handlers, orelse=orelse, final=final)
        case Opaque():
            yield Unknown(**where, reason=node.reason)
        case _:
            pass


def _is_apart(nodes: Iterable[Node]) -> bool:
    """Whether a branch is a helper that becomes a task, or a comprehension of such."""
    return any(
        node.apart if isinstance(node, Sequence) else isinstance(node, Loop) and _is_apart(node.body) for node in nodes
    )


def _path(arm: Arm, where: Mapping[str, object], form: str) -> Path:
    key = f"not {arm.key}" if form == "or" else arm.key
    change, unchanged = (arm.unpatched, arm.patch) if form == "or" else (arm.patch, arm.unpatched)
    found = {"label": arm.label, "test": arm.test, "key": key, "patch": change, "unpatched": unchanged}
    return Path.model_validate({**where, **found, "body": shapes_of(arm.body)})


def _is_complete(node: Branch) -> bool:
    """Whether its last arm is taken when no other one is."""
    last = node.arms[-1]
    return last.label == "else" or (node.form == "match" and last.test == "_")


def inside(shapes: Iterable[Shape]) -> Iterator[Shape]:
    """All shapes, outer ones before inner ones. The end of a helper is not looked into for its callers."""
    for shape in shapes:
        yield shape
        for part in parts(shape):
            yield from inside(part)


def parts(shape: Shape) -> Iterator[Shapes]:
    """The bodies inside a shape."""
    match shape:
        case Choice():
            yield from (path.body for path in shape.paths)
        case Repetition():
            yield from (shape.body, shape.orelse)
        case Together():
            yield from (lane.body for lane in shape.lanes)
        case Attempt():
            yield from (shape.body, *(handler.body for handler in shape.handlers), shape.orelse, shape.final)
        case Helper():
            yield shape.body
        case _:
            pass


def operations(shapes: Iterable[Shape]) -> Iterator[Operation]:
    """All operations, in source order."""
    return (shape for shape in inside(shapes) if isinstance(shape, Operation))


def changes(shapes: Iterable[Shape]) -> frozenset[str]:
    """Ids that `workflow.patched(…)` asks for."""
    return frozenset(
        change
        for shape in inside(shapes)
        if isinstance(shape, Choice)
        for path in shape.paths
        for change in (path.patch, path.unpatched)
        if change is not None
    )
