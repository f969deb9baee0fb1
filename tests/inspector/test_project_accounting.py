"""Nothing is dropped across modules: every use of the handle in every function that receives it is accounted for.

The other side is counted by LibCST in all files of a small project, which is written at random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import libcst
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libcst.metadata import FunctionScope, MetadataWrapper, PositionProvider, ScopeProvider

from wfgen.manifest import walk
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.program import Program
from wfgen_inspector.reading import read_facts
from wfgen_inspector.sources import Source

PLACE = SourcePath("flows/a.workflow.py", "workflow", "files.a", "flows")
WORKFLOW, HELPERS, MORE = "flows/a.workflow.py", "flows/helpers.py", "flows/more.py"
Place = tuple[str, int, int]
"""File, line, column."""
CALLS: dict[str, tuple[str, str, str | None, str | None]] = {
    "first": (HELPERS, "helpers.first", "first", None),
    "second": (HELPERS, "renamed", "second", None),
    "third": (MORE, "third", "more.third", "third"),
    "fourth": (MORE, "helpers.fourth", "fourth", "fourth"),
    "run": (MORE, "Kit().run", "more.Kit().run", "Kit().run"),
    "fixed": (MORE, "Kit.fixed", "more.Kit.fixed", "Kit.fixed"),
    "made": (MORE, "Kit.made", "more.Kit.made", "Kit.made"),
}
"""Function -> where it stands, and what it is called in the workflow's file, in the helpers and in more of them."""
ORDER = list(CALLS)


class Written:
    """Writes a project in which functions call those after them."""

    def __init__(self, draw: Callable[..., int]) -> None:
        self.draw = draw
        self.count = 0
        self.calls: dict[str, set[str]] = {}
        bodies = {name: self.body(name, CALLS[name][0], ORDER[index + 1 :]) for index, name in enumerate(ORDER)}
        flow = self.body("flow", WORKFLOW, ORDER)
        self.files = {
            WORKFLOW: "import asyncio\nimport functools\nfrom wfgen import define_workflow\nfrom flows import helpers\n"
            "from flows.helpers import second as renamed\nfrom flows.more import *\n"
            f"@define_workflow\nasync def flow(h) -> None:\n{flow}",
            HELPERS: "import asyncio\nimport functools\nfrom . import more\nfrom .more import fourth\n"
            + "".join(f"async def {name}(h):\n{bodies[name]}" for name in ("first", "second")),
            MORE: "import asyncio\nimport functools\n"
            + "".join(f"async def {name}(h):\n{bodies[name]}" for name in ("third", "fourth"))
            + "class Base:\n"
            + indented(f"async def run(self, h):\n{bodies['run']}")
            + indented(f"@classmethod\nasync def made(cls, h):\n{bodies['made']}")
            + "class Kit(Base):\n"
            + indented(f"@staticmethod\nasync def fixed(h):\n{bodies['fixed']}"),
        }

    def body(self, name: str, file: str, callable_names: list[str]) -> str:
        count = 1 + self.draw(st.integers(0, 1 if name != "flow" else 3))
        return "".join(f"    {line}\n" for _ in range(count) for line in self.statement(name, file, callable_names))

    def statement(self, name: str, file: str, callable_names: list[str]) -> list[str]:
        self.count += 1
        n = f"n{self.count}"
        simple = [[f"await h.do('{n}', 'a.b')"], ["h.now()"], ["x = [h]"], ["await unknown(h)"], ["print(h.run_id)"]]
        spelled = {c: CALLS[c][1 + (WORKFLOW, HELPERS, MORE).index(file)] for c in callable_names}
        known = [callee for callee, text in spelled.items() if text is not None]
        kind = self.draw(st.integers(0, 9 if known else 4))
        if kind < 5:
            return simple[kind]
        callee = known[self.draw(st.integers(0, len(known) - 1))]
        self.calls.setdefault(name, set()).add(callee)
        call = spelled[callee]
        return [
            [f"await {call}(h)"],
            [f"await asyncio.gather({call}(h), h.sleep('{n}', '1s'))"],
            [f"{n} = functools.partial({call}, h)", f"await {n}()"],
            [f"if h.patched('{n}'):", f"    return await {call}(h=h)"],
            [f"{n} = {call}", f"await {n}(h)"],
        ][kind - 5]

    @property
    def reached(self) -> set[str]:
        """Functions that the workflow calls, directly or not."""
        found: set[str] = set()
        left = ["flow"]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self.calls.get(name, ())
        return found


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@st.composite
def projects(draw: Callable[..., int]) -> Written:
    return Written(draw)


def uses(files: Mapping[str, str], reached: set[str]) -> Iterator[Place]:
    """Where the functions that are reached read the handle."""
    for path, text in files.items():
        wrapper = MetadataWrapper(libcst.parse_module(text), unsafe_skip_copy=True)
        positions = wrapper.resolve(PositionProvider)
        for scope in {scope for scope in wrapper.resolve(ScopeProvider).values() if scope is not None}:
            if isinstance(scope, FunctionScope) and scope.name in reached:
                for access in scope.accesses:
                    if isinstance(access.node, libcst.Name) and access.node.value == "h":
                        start = positions[access.node].start
                        yield path, start.line, start.column + 1


def read(files: Mapping[str, str]) -> FileFacts:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flows").mkdir()
        for path, text in files.items():
            (folder / path).write_text(text)
        return read_facts(PLACE, Source(files[WORKFLOW].encode()), Program(folder, folder, "flows.wfgen_gen"))


def unaccounted(files: Mapping[str, str], reached: set[str], facts: FileFacts) -> tuple[set[Place], set[Place]]:
    """Uses of the handle that show nowhere, and nodes that no use explains."""
    assert facts.readable, facts.problems
    every = set(uses(files, reached))
    nodes = list(walk(facts.workflows[0].entry.body))
    shown = {
        (node.file or WORKFLOW, node.span.line, node.span.column)
        for node in nodes
        if node.kind in ("step", "use", "opaque")
    }
    shown |= {(p.file or WORKFLOW, p.span.line, p.span.column) for p in facts.problems if p.code == "WF104"}
    calls = {
        (node.file or WORKFLOW, node.span.line, node.span.column, node.span.end_column)
        for node in nodes
        if node.kind == "sequence"
    }

    def is_handed_over(place: Place) -> bool:
        path, line, column = place
        before = files[path].splitlines()[line - 1][: column - 1]
        is_argument = before.endswith(("(", "(h="))
        return is_argument and any((p, at) == (path, line) and a < column < b for p, at, a, b in calls)

    return {place for place in every - shown if not is_handed_over(place)}, shown - every


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(projects())
def test_every_use_of_the_handle_in_any_module_is_accounted_for(written: Written) -> None:
    """In functions, methods, static and class methods and partials, called from any module."""
    missing, unexplained = unaccounted(written.files, written.reached, read(written.files))
    sources = "\n".join(f"# {path}\n{text}" for path, text in written.files.items())
    assert not missing, f"{sorted(missing)} in\n{sources}"
    assert not unexplained, f"{sorted(unexplained)} in\n{sources}"


def test_the_count_notices_a_module_that_is_not_read() -> None:
    """The property is able to fail: a helper of which the inspector is not shown the body counts as missing."""
    written = Written(lambda strategy: 0)
    written.files[WORKFLOW] += "    await helpers.first(h)\n"
    reached = written.reached | {"first"}
    assert unaccounted(written.files, reached, read(written.files)) == (set(), set())
    hidden = {**written.files, HELPERS: written.files[HELPERS].replace("await h.do", "await k.do")}
    missing, _ = unaccounted(written.files, reached, read(hidden))
    assert missing


def test_arguments_that_a_partial_of_another_module_binds() -> None:
    """The handle goes to the parameter that is left, whatever the `partial` at module level has bound before it."""
    files = {
        WORKFLOW: "from wfgen import define_workflow\nfrom flows import helpers\n"
        "@define_workflow\nasync def flow(w) -> None:\n    await helpers.bound(w)\n    await helpers.named(w)\n",
        HELPERS: "import functools\nasync def pay(amount, h, *, much=1):\n    await h.do('pay', 'a.b', amount)\n"
        "bound = functools.partial(pay, 5)\nnamed = functools.partial(bound, much=3)\n",
    }
    facts = read(files)
    steps = [(node.file, node.name) for node in walk(facts.workflows[0].entry.body) if node.kind == "step"]
    assert steps[0] == (HELPERS, "pay")
    assert all(problem.code in ("WF102", "WF403") for problem in facts.problems), facts.problems
