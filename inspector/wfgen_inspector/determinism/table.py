"""What is impure by name: the table `symbols.toml`, with what the project's settings add and take away."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

_DECLARED = "WF204"
"""The rule that reports what the settings declare impure: what it does is not known, input and output is likely."""
_ALTERNATIVES = re.compile(r"\{([^{}]*)\}")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Impurity:
    """One symbol that is not the same in every replay."""

    code: str
    """Of the rule that reports it."""
    symbol: str
    """Qualified name, or the nearest name above it that is listed."""
    is_declared: bool = False
    """Whether the project's settings say so, not the table."""


@dataclass(frozen=True, slots=True)
class _Condition:
    """When a call is impure, beyond the name."""

    kind: Literal["always", "without", "keyword", "constant"] = "always"
    value: Any = None

    def holds(self, call: ast.Call | int) -> bool:
        """Whether a call, or one with so many arguments, is impure."""
        if self.kind == "always":
            return True
        if isinstance(call, int):
            return self.kind == "constant" or (self.kind == "without" and call < int(self.value))
        if self.kind == "keyword":
            return any(keyword.arg == self.value and not _is_none(keyword.value) for keyword in call.keywords)
        if self.kind == "constant":
            first = call.args[0] if call.args else next((keyword.value for keyword in call.keywords), None)
            return not (isinstance(first, ast.Constant) and first.value in self.value)
        if any(isinstance(argument, ast.Starred) for argument in call.args) or any(
            k.arg is None for k in call.keywords
        ):
            return False  # they may be given
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        return sum(not _is_none(value) for value in values) < int(self.value)


_ALWAYS = _Condition()


@dataclass
class Table:
    """Looks symbols up.

    Args:
        pure: qualified names that are no findings, a trailing `.*` for all below.
        impure: the same for names that are.
    """

    pure: tuple[str, ...] = ()
    impure: tuple[str, ...] = ()
    callers: Mapping[str, Mapping[str, int]] = field(default_factory=dict, init=False)
    """Functions that call what they are given: place or keyword of the argument, and with how many arguments."""
    types: Mapping[str, str] = field(default_factory=dict, init=False)
    """Classes of what functions give and attributes hold."""
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict, init=False)
    """Symbols that are treated alike, such as `sets`."""

    def __post_init__(self) -> None:
        content = _content()
        self.callers = content["callers"]
        self.types = content["types"]
        self.groups = content["groups"]
        self._calls: Mapping[str, tuple[str, _Condition]] = content["calls"]
        self._reads: Mapping[str, str] = content["reads"]
        self._found: dict[str, tuple[Impurity, _Condition] | None] = {}
        self._read: dict[str, Impurity | None] = {}
        self.is_extended = bool(self.pure or self.impure)

    def call(self, qualified: str, call: ast.Call | int) -> Impurity | None:
        """What calling something outside the project means, if it is impure.

        Args:
            qualified: its name.
            call: the call, or with how many arguments somebody else calls it.
        """
        found: Any = self._found.get(qualified, _MISSING)
        if found is _MISSING:
            found = self._found[qualified] = self._look_up(qualified)
        if found is not None:
            return found[0] if found[1].holds(call) else None
        return self.read(qualified)

    def read(self, qualified: str) -> Impurity | None:
        """What reading something outside the project means, if it is impure."""
        found: Any = self._read.get(qualified, _MISSING)
        if found is _MISSING:
            above = next((name for name in (qualified, *_above(qualified)) if name in self._reads), None)
            pure = above is None or self.is_pure(qualified) or self.is_pure(above)
            found = self._read[qualified] = None if pure or above is None else Impurity(self._reads[above], above)
        return found  # type: ignore[no-any-return]

    def is_pure(self, qualified: str) -> bool:
        """Whether the settings declare a name, also one of the project, pure."""
        return bool(self.pure) and _matches(qualified, self.pure)

    def declared(self, qualified: str) -> Impurity | None:
        """What the settings say of a name, also one of the project, that they declare impure."""
        if self.impure and _matches(qualified, self.impure):
            return Impurity(_DECLARED, qualified, is_declared=True)
        return None

    def _look_up(self, qualified: str) -> tuple[Impurity, _Condition] | None:
        if self.is_pure(qualified):
            return None
        declared = self.declared(qualified)
        if declared is not None:
            return declared, _ALWAYS
        for name in (qualified, *(f"{above}.*" for above in _above(qualified))):
            if name in self._calls:
                code, condition = self._calls[name]
                return Impurity(code, qualified), condition
        return None


@cache
def table(pure: tuple[str, ...] = (), impure: tuple[str, ...] = ()) -> Table:
    """The table with a project's settings."""
    return Table(pure, impure)


@cache
def _content() -> dict[str, Any]:
    document = tomllib.loads(Path(__file__).with_name("symbols.toml").read_text(encoding="utf-8"))
    calls: dict[str, tuple[str, _Condition]] = {}
    reads: dict[str, str] = {}
    for code, section in document.items():
        if not code.startswith("WF"):
            continue
        for name in _names(section.get("calls", "")):
            calls[name] = (code, _ALWAYS)
        for name in _names(section.get("reads", "")):
            reads[name] = code
        for kind in ("without", "keyword", "constant"):
            for name, value in section.get(kind, {}).items():
                calls[name] = (code, _Condition(kind, value))
    return {
        "calls": calls,
        "reads": reads,
        "callers": document["callers"],
        "types": document["types"],
        "groups": {name: frozenset(_names(text)) for name, text in document["groups"].items()},
    }


def _names(text: str) -> Iterator[str]:
    """Names separated by white space, with `{a,b}` written out."""
    left = text.split()
    while left:
        name = left.pop()
        found = _ALTERNATIVES.search(name)
        if found is None:
            yield name
        else:
            left += [name[: found.start()] + part + name[found.end() :] for part in found[1].split(",")]


def _above(qualified: str) -> Iterator[str]:
    """`a.b` and `a` of `a.b.c`."""
    while "." in qualified:
        qualified = qualified.rpartition(".")[0]
        yield qualified


def _matches(qualified: str, patterns: Iterable[str]) -> bool:
    return any(
        qualified == pattern or (pattern.endswith(".*") and qualified.startswith(pattern[:-1])) for pattern in patterns
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
