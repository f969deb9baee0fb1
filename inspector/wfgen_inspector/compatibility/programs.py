"""A body as a program for `acceptance`: instructions that ask for operations, choose, start tasks and wait for them.

Whatever a value decides is a free choice here. An error may come at any point of a `try`, and `break` at any point of
a loop that has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from wfgen_inspector.compatibility.shapes import (
    Attempt,
    Choice,
    End,
    Helper,
    Lane,
    Operation,
    Path,
    Repetition,
    Shape,
    Together,
    Unknown,
)

Kind = Literal["ask", "launch", "choose", "spawn", "join", "anything", "end"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        kind: `ask`: an operation, and wait for it; `launch`: one that runs beside; `choose`: go to any of `targets`;
            `spawn`: start a task at `targets[1]`; `join`: wait for what the group has started; `anything`: it cannot be
            told what happens from here on; `end`: of the task.
        targets: where it goes on; of a failed operation `failed`.
        others: where an error or a `break` may lead to from here.
        counted: whether what is launched is wrapped in a task, which takes a number.
    """

    kind: Kind
    targets: tuple[int, ...] = ()
    operation: Operation | None = None
    group: int | None = None
    failed: int = 0
    others: tuple[int, ...] = ()
    counted: bool = True


@dataclass(frozen=True, slots=True)
class _Ways:
    """Where ways out of a body lead."""

    returned: int = 0
    failed: int = 0
    left: tuple[int, ...] = ()
    launching: int | None = None
    """The group of operations that are started here and awaited later."""
    counted: bool = True

    @property
    def others(self) -> tuple[int, ...]:
        return (*self.left, *((self.failed,) if self.failed else ()))


class Program:
    """The instructions of a body. Number 0 is the end of a task.

    Args:
        body: the shape.
        patches: changes with which the run goes.
    """

    def __init__(self, body: Iterable[Shape], patches: frozenset[str] = frozenset()) -> None:
        self.instructions: list[Instruction] = [Instruction("end")]
        self._patches = patches
        self._groups = 0
        self.entry = self._body(tuple(body), 0, _Ways())

    def _add(self, instruction: Instruction) -> int:
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _body(self, body: tuple[Shape, ...], then: int, ways: _Ways) -> int:
        for index, shape in enumerate(body):
            if isinstance(shape, End):
                body, then = body[:index], ways.returned if shape.form == "return" else ways.failed
                break
        for shape in reversed(body):
            then = self._shape(shape, then, ways)
        return then

    def _shape(self, shape: Shape, then: int, ways: _Ways) -> int:
        match shape:
            case Operation():
                return self._operation(shape, then, ways)
            case Choice():
                entries = tuple(self._body(path.body, then, ways) for path in self._open(shape.paths))
                return self._add(Instruction("choose", entries, others=ways.others))
            case Repetition():
                return self._loop(shape, then, ways)
            case Together():
                return self._together(shape, then, ways)
            case Attempt():
                return self._attempt(shape, then, ways)
            case Helper():
                return self._body(shape.body, then, replace(ways, returned=then))
            case Unknown():
                return self._add(Instruction("anything"))
            case End():
                return ways.returned

    def _open(self, paths: tuple[Path, ...]) -> Iterable[Path]:
        """Paths that the run may take, as far as its patches decide."""
        for path in paths:
            if path.patch is not None and path.patch not in self._patches:
                continue
            if path.unpatched is not None and path.unpatched in self._patches:
                continue
            yield path
            if path.patch is not None or path.unpatched is not None:
                return

    def _operation(self, operation: Operation, then: int, ways: _Ways) -> int:
        if operation.form == "compensate":
            return then
        if operation.form == "continue_as_new":
            return 0
        if ways.launching is not None or operation.form in ("create_hook", "start"):
            others, counted = ways.others, ways.counted
            return self._add(Instruction("launch", (then,), operation, ways.launching, others=others, counted=counted))
        return self._add(Instruction("ask", (then,), operation, failed=ways.failed, others=ways.others))

    def _loop(self, shape: Repetition, then: int, ways: _Ways) -> int:
        head = self._add(Instruction("choose"))
        left = (*ways.left, head, then) if shape.leaves else ways.left
        body = self._body(shape.body, head, replace(ways, left=left))
        done = self._body(shape.orelse, then, ways)
        self.instructions[head] = Instruction("choose", (body, done), others=ways.others)
        return head

    def _together(self, shape: Together, then: int, ways: _Ways) -> int:
        self._groups += 1
        group = self._groups
        if shape.joined:
            then = self._add(Instruction("join", (then,), group=group, others=ways.others))
        inner = replace(ways, launching=group)
        for lane in reversed(shape.lanes):
            done = self._apart(lane, then, group, ways) if lane.apart else self._body(lane.body, then, inner)
            if shape.is_group and not lane.apart:  # of a task group: a task, or what its body does itself
                plain = self._body(lane.body, then, replace(inner, counted=False))
                done = self._add(Instruction("choose", (done, plain)))
            then = done
        return then

    def _apart(self, lane: Lane, then: int, group: int, ways: _Ways) -> int:
        """A lane that is a task of its own, or one for each turn of a comprehension."""
        match lane.body:
            case (Repetition(form="comprehension", body=body),):
                head = self._add(Instruction("choose"))
                spawn = self._add(Instruction("spawn", (head, self._body(body, 0, _Ways())), group=group))
                self.instructions[head] = Instruction("choose", (spawn, then), others=ways.others)
                return head
            case body:
                entry = self._body(body, 0, _Ways())
                return self._add(Instruction("spawn", (then, entry), group=group, others=ways.others))

    def _attempt(self, shape: Attempt, then: int, ways: _Ways) -> int:
        after = self._body(shape.final, then, ways)
        returned = self._body(shape.final, ways.returned, ways)
        failed = self._body(shape.final, ways.failed, ways)
        outside = replace(ways, returned=returned, failed=failed)
        handlers = [self._body(path.body, after, outside) for path in shape.handlers]
        caught = self._add(Instruction("choose", (*handlers, failed)))
        done = self._body(shape.orelse, after, outside)
        body = self._body(shape.body, done, replace(outside, failed=caught))
        return self._add(Instruction("choose", (body, caught)))
