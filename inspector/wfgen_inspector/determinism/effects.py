"""What a function does that is not the same in every replay: by itself, and through what it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from wfgen_inspector.modules import Module
from wfgen_inspector.symbols import ClassSymbol, FunctionSymbol


@dataclass(frozen=True, slots=True)
class Construction:
    """A call of a class of the project, as far as it runs code: `__init__` and its kin, and factories of defaults."""

    symbol: ClassSymbol
    given: frozenset[str] | None
    """Fields that the call gives; None if that cannot be told."""


Callee = FunctionSymbol | Construction


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    module: Module
    node: ast.expr | ast.stmt
    """The f-string around it where it stands inside one: those have no positions of their own."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a function does by itself."""

    code: str
    subject: str
    """The impure symbol, or what else it is about: `uuid.uuid4`, the set that is iterated over."""
    act: str
    """What is done, after the name of the function: "calls `uuid.uuid4`"."""
    place: Place
    node: ast.expr | ast.stmt
    """The whole expression, which a fix replaces; that of the place, or inside it."""
    is_exact: bool = False
    """Whether `node` is a plain call of the impure symbol, with a position of its own."""
    is_declared: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of something of the project, or what amounts to one."""

    callee: Callee
    act: str
    """"calls `make_id`", "reads `Order.age`"."""
    place: Place


@dataclass(slots=True)
class Body:
    """What one function, or one construction, does."""

    effects: list[Effect] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    is_unordered: bool = False
    """Whether what it gives has the order of a set."""


@dataclass(frozen=True, slots=True)
class Reached:
    """An effect of something that is called, directly or not."""

    effect: Effect
    call: Call | None = None
    """The first call on the way; None when the callee does it itself."""
    rest: Reached | None = None
    """What that call reaches."""
    length: int = 0
    """How many calls there are on the way."""

    @property
    def chain(self) -> Iterator[Call]:
        """Calls on the way, the nearest first."""
        one: Reached | None = self
        while one is not None and one.call is not None:
            yield one.call
            one = one.rest


def key_of(callee: Callee) -> tuple[object, ...]:
    """What tells callees apart; scopes are made anew each time, so they do not count."""
    if isinstance(callee, Construction):
        return (callee.symbol.node, callee.given)
    return (callee.node, None if callee.owner is None else callee.owner.node, callee.kind)
