"""Nothing is dropped: every use of the handle is a node or a diagnostic.

The other side is counted by LibCST's scope analysis, which knows nothing of wfgen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import libcst
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libcst.metadata import Access, MetadataWrapper, PositionProvider, ScopeProvider

from wfgen.manifest import walk
from wfgen_inspector import program
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.reading import read_facts
from wfgen_inspector.sources import Source

PLACE = SourcePath("flows/a.workflow.py", "workflow", "files.a", "flows")
NO_OTHERS = program.Program(Path("nowhere"), Path("nowhere"), "flows.wfgen_gen")
"""A project of one file."""
Position = tuple[int, int]


class Program:
    """Writes a random workflow file."""

    def __init__(self, draw: Callable[..., int], handle: str) -> None:
        self.draw = draw
        self.handle = handle
        self.lines: list[str] = []
        self.names = [handle]
        self.count = 0

    def pick(self, limit: int) -> int:
        return self.draw(st.integers(0, limit - 1))

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def handle_name(self) -> str:
        return self.names[self.pick(len(self.names))]

    def operation(self) -> str:
        w, n = self.handle_name(), self.name()
        return [
            f"{w}.do('{n}', 'users.create')",
            f"{w}.sleep('{n}', '5m')",
            f"{w}.hook('{n}', int)",
            f"{w}.do('{n}', lambda: 3, retry=None)",
            f"{w}.parallel({{'a': {w}.do('{n}a', 'x.y'), 'b': {w}.sleep('{n}b', '1s')}})",
            f"helper({w}, 5)",
            f"helper(1, again={w})",
            f"asyncio.gather({w}.do('{n}a', 'x.y'), *[{w}.do('{n}b', 'x.y', i) for i in range(3)])",
            f"{w}.do('{n}', lambda: {w}.run_id)",
            f"{w}.do('{n}', 'a.b', await {w}.do('{n}in', 'a.b'))",
            f"asyncio.wait_for({w}.do('{n}', 'a.b'), 3)",
        ][self.pick(11)]

    def expression(self, depth: int = 2) -> str:
        w, n = self.handle_name(), self.name()
        if depth == 0:
            return f"{w}.now()"
        inner = self.expression(depth - 1)
        return [
            f"await {self.operation()}",
            f"{w}.now()",
            f"{w}.run_id",
            f"{w}.unknown({inner})",
            f"getattr({w}, 'do')",
            f"[{w}]",
            f"({inner} if {w}.patched('{n}') else await {self.operation()})",
            f"({inner} and await {self.operation()} or {inner})",
            f"{{'k': {inner}, 'l': [await {w}.do('{n}', 'a.b', x) for x in range(3) if {w}.uuid()]}}",
            f"(lambda q: {w}.do('{n}', 'a.b', q))",
            f"other({w})",
            f"(lambda {w}: {w}.unrelated)(3)",
            f"[{w} for {w} in range(3)]",
            f"{w} is None",
            f"-{inner}",
            f"print(*[{inner}], end={inner})",
            f"{w}.do",
            f"({inner}).attribute[{inner}]",
        ][self.pick(18)]

    def block(self, depth: int, indent: int, in_loop: bool = False) -> None:
        names = list(self.names)
        for _ in range(1 + self.pick(3)):
            self.statement(depth, indent, in_loop)
        self.names = names

    def line(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def statement(self, depth: int, indent: int, in_loop: bool) -> None:
        kind = self.pick(25 if depth else 9)
        new = self.name()
        if kind < 4:
            self.line(indent, f"await {self.operation()}")
        elif kind == 4:
            self.line(indent, f"{new} = {self.expression()}")
        elif kind == 5:
            self.line(indent, f"{new} = {self.operation()}")
            self.line(indent, f"await {new}")
        elif kind == 6:
            self.line(indent, self.operation())
        elif kind == 7:
            if indent == 1:
                self.line(indent, f"{new} = {self.handle_name()}")
                self.names.append(new)
            else:
                self.line(indent, f"return {self.expression()}")
        elif kind == 8:
            self.line(indent, "continue" if in_loop else f"assert {self.expression()}, {self.expression()}")
        elif kind == 9:
            self.line(indent, f"if {self.expression()}:")
            self.block(depth - 1, indent + 1, in_loop)
            self.line(indent, f"elif {self.expression()}:")
            self.block(depth - 1, indent + 1, in_loop)
            self.line(indent, "else:")
            self.block(depth - 1, indent + 1, in_loop)
        elif kind == 10:
            self.line(indent, f"for {new} in {self.expression()}:")
            self.block(depth - 1, indent + 1, True)
        elif kind == 11:
            self.line(indent, f"while {self.expression()}:")
            self.block(depth - 1, indent + 1, True)
            self.line(indent, "else:")
            self.block(depth - 1, indent + 1, in_loop)
        elif kind == 12:
            self.line(indent, "try:")
            self.block(depth - 1, indent + 1, in_loop)
            self.line(indent, "except ValueError as error:")
            self.block(depth - 1, indent + 1, in_loop)
            self.line(indent, "finally:")
            self.block(depth - 1, indent + 1)
        elif kind == 13:
            self.line(indent, f"async with asyncio.TaskGroup() as {new}:")
            self.line(indent + 1, f"{new}.create_task({self.operation()})")
            self.block(depth - 1, indent + 1, in_loop)
        elif kind == 14:
            self.line(indent, f"with {self.expression()} as {new}:")
            self.block(depth - 1, indent + 1, in_loop)
        elif kind == 15:
            self.line(indent, f"match {self.expression()}:")
            self.line(indent + 1, f"case [1, {new}] if {self.expression()}:")
            self.block(depth - 1, indent + 2, in_loop)
            self.line(indent + 1, "case _:")
            self.block(depth - 1, indent + 2, in_loop)
        elif kind in (16, 17, 18):
            self.line(indent, f"async def {new}(q=3):")
            self.block(depth - 1, indent + 1)
            if kind == 16:
                self.line(indent, f"await {new}({self.expression()})")
            elif kind == 17:
                self.line(indent, f"print({new})")
        elif kind == 19:
            self.line(indent, f"async def {new}({self.handle}):")
            self.line(indent + 1, f"return {self.handle}.anything({self.handle})")
        elif kind == 20:
            self.line(indent, f"class {new}:")
            self.line(indent + 1, f"value = {self.expression(1).replace('await ', '')}")
            self.line(indent + 1, "async def method(me):")
            self.block(depth - 1, indent + 2)
        elif kind == 21:
            self.line(indent, f"{new} = lambda: {self.operation()}".replace("await ", ""))
            self.line(indent, f"await {new}()")
        elif kind == 22:
            self.line(indent, f"{new} = {self.handle_name()}.do")
            self.line(indent, f"await {new}('{new}', 'a.b')")
        elif kind == 23:
            self.line(indent, f"{new}.field = {self.handle_name()}")
        else:
            self.line(indent, f"{new}, _ = {self.handle_name()}.now(), {self.expression()}")

    def text(self) -> str:
        header = [
            "import asyncio",
            "from wfgen import define_workflow",
            "async def helper(again, more=None, *, third=None):",
            "    if not again.log:",
            "        await again.do('h1', 'users.create')",
            "    return again.sleep('h2', '5m')",
            "@define_workflow(name='flow')",
            f"async def flow({self.handle}, given) -> None:",
            f"    await helper({self.handle})",
        ]
        self.block(3, 1)
        return "\n".join([*header, *self.lines]) + "\n"


@st.composite
def programs(draw: Callable[..., int]) -> str:
    handle = draw(st.sampled_from(["workflow", "w", "self"]))
    return Program(draw, str(handle)).text()


def expected(text: str) -> tuple[set[Position], set[Position]]:
    """Positions at which the handle is read: directly, and through names that were given it (or a method of it)."""
    wrapper = MetadataWrapper(libcst.parse_module(text), unsafe_skip_copy=True)
    scopes = wrapper.resolve(ScopeProvider)
    positions = wrapper.resolve(PositionProvider)
    loads: set[Position] = set()
    aliased: set[Position] = set()
    functions = [scope for scope in set(scopes.values()) if scope is not None]
    lines = text.splitlines()
    tracked = {"workflow", "w", "self", "again"}
    for line in lines:
        name, _, value = line.strip().partition(" = ")
        if name.isidentifier() and (value in tracked or value.removesuffix(".do") in tracked):
            tracked.add(name)
    methods = {line.strip().partition(" = ")[0] for line in lines if line.endswith(".do")}

    def is_tracked(access: Access) -> bool:
        for assignment in access.referents:
            node = getattr(assignment, "node", None)
            if isinstance(node, libcst.Param | libcst.Name):
                start = positions[node].start
                line = lines[start.line - 1]
                if isinstance(node, libcst.Param):
                    if line[: start.column] in ("async def flow(", "async def helper("):
                        return True
                elif line.strip().startswith(f"{node.value} = "):
                    return True
        return False

    for scope in functions:
        for access in scope.accesses:
            if isinstance(access.node, libcst.Name) and access.node.value in tracked and is_tracked(access):
                start = positions[access.node].start
                place = (start.line, start.column + 1)
                (aliased if access.node.value in methods else loads).add(place)
    return loads, aliased


def found(facts: FileFacts) -> set[Position]:
    """Where steps, uses and opaque regions start, and problems with the handle."""
    (fact,) = facts.workflows
    starts = {
        (node.span.line, node.span.column)
        for node in walk(fact.entry.body)
        if node.kind in ("step", "use", "opaque") or (node.kind == "parallel" and node.form == "parallel")
    }
    return starts | {(p.span.line, p.span.column) for p in facts.problems if p.code in ("WF104", "WF105", "WF306")}


def helper_arguments(facts: FileFacts, text: str) -> list[tuple[Position, Position]]:
    """Spans of calls that hand the handle to a helper."""
    (fact,) = facts.workflows
    return [
        ((n.span.line, n.span.column), (n.span.end_line, n.span.end_column))
        for n in walk(fact.entry.body)
        if n.kind == "sequence" and n.label == "helper"
    ]


def unaccounted(text: str) -> tuple[set[Position], set[Position]]:
    """Uses of the handle that show nowhere, and nodes that no use of the handle explains."""
    facts = read_facts(PLACE, Source(text.encode()), NO_OTHERS)
    assert facts.readable, facts.problems
    loads, aliased = expected(text)
    starts = found(facts)
    calls = helper_arguments(facts, text)
    lines = text.splitlines()

    def is_handed_over(place: Position) -> bool:
        before = lines[place[0] - 1][: place[1] - 1]
        is_argument = before.endswith(("helper(", "helper(1, again="))
        return is_argument and any(start < place < end for start, end in calls)

    missing = {place for place in loads | aliased if place not in starts and not is_handed_over(place)}
    return missing, starts - loads - aliased


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs())
def test_every_use_of_the_handle_is_a_node_or_a_diagnostic(text: str) -> None:
    """Whatever the control flow, uses in the source and nodes with diagnostics cover the same places."""
    compile(text, "flow", "exec")
    missing, unexplained = unaccounted(text)
    assert not missing, f"{sorted(missing)} in\n{text}"
    assert not unexplained, f"{sorted(unexplained)} in\n{text}"


def test_the_count_notices_a_dropped_use() -> None:
    """The property is able to fail: a use that the inspector is not shown counts as missing."""
    text = Program(lambda strategy: 0, "workflow").text()
    loads, _ = expected(text)
    facts = read_facts(PLACE, Source(text.replace("await workflow.do", "await workflom.do").encode()), NO_OTHERS)
    assert loads - found(facts)
    assert Counter(place[0] for place in loads)
