"""Diagrams show every way that a workflow can go."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wfgen.manifest import (
    Arm,
    Branch,
    Loop,
    Node,
    Opaque,
    Parallel,
    ParallelBranch,
    Raise,
    Return,
    Sequence,
    Try,
    Use,
    With,
    walk,
)
from wfgen_codegen import mermaid


class Chart:
    """A diagram read back: labels of nodes, and edges between labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.labels = dict(re.findall(r'^ *(n\d+)[^ "|-]*"(.*)"', text, re.MULTILINE))
        self.shapes = {m[2]: m[1] + m[3] for m in re.finditer(r'^ *n\d+([^ "]+)"(.*)"(\S+)$', text, re.MULTILINE)}
        self.boxes = dict(re.findall(r'subgraph (g\d+)\["(.*)"\]', text))
        names = {**self.labels, **self.boxes}
        found = re.findall(r'^    (\w+) (-->|-\.->)(?:\|"(.*)"\|)? (\w+)$', text, re.MULTILINE)
        self.edges = {(names[a], names[b], label, arrow == "-.->") for a, arrow, label, b in found}

    def has(self, source: str, target: str, label: str = "", *, dashed: bool = False) -> bool:
        return (source, target, label, dashed) in self.edges


@pytest.fixture
def draw(make: Any) -> Any:
    return lambda *body: Chart(mermaid(make.workflow("flow", "1", *body)))


@pytest.fixture
def inline(make: Any) -> Any:
    return lambda name: make.step("inline", name)


def test_steps_follow_each_other(draw: Any, inline: Any) -> None:
    """A sequence is a chain from the start to the end."""
    chart = draw(inline("a"), inline("b"))
    assert chart.edges == {("flow", "a", "", False), ("a", "b", "", False), ("b", "end", "", False)}


def test_forms_have_shapes_of_their_own(draw: Any, make: Any) -> None:
    """Worker, inline step, sleep, hook, call, decision, loop and opaque region look different."""
    span = make.span
    chart = draw(
        make.step("rpc", "create", target="users.create"),
        make.step("inline", "tax"),
        make.step("sleep", "wait", data="'5m'"),
        make.step("hook", "approval"),
        make.step("call", "child", target="other"),
        Loop(span=span, form="for", header="x in y", body=(make.step("inline", "each"),)),
        Branch(span=span, form="if", arms=(Arm(label="if", test="x", body=(make.step("inline", "yes"),)),)),
        Opaque(span=span, reason="recursion"),
    )
    named = ["create: users.create", "tax", "sleep wait: '5m'", "hook approval", "child: other", "for x in y", "x"]
    shapes = [chart.shapes[name] for name in [*named, "not followed: recursion"]]
    assert len(set(shapes)) == len(shapes)
    assert "classDef opaque stroke-dasharray" in chart.text


def test_branches_merge(draw: Any, inline: Any, make: Any) -> None:
    """Each test is a diamond with two labelled ways, and all ways meet again."""
    arms = (
        Arm(label="if", test="x > 1", body=(inline("a"),)),
        Arm(label="elif", test="x", body=(inline("b"),)),
        Arm(label="else", body=(inline("c"),)),
    )
    chart = draw(Branch(span=make.span, form="if", arms=arms), inline("d"))
    assert chart.has("x #62; 1", "a", "yes")
    assert chart.has("x #62; 1", "x", "no")
    assert chart.has("x", "b", "yes")
    assert chart.has("x", "c", "no")
    assert all(chart.has(name, "d") for name in "abc")


def test_branch_without_else_can_be_skipped(draw: Any, inline: Any, make: Any) -> None:
    """Where nothing is chosen the flow goes on."""
    arms = (Arm(label="if", test="x", body=(inline("a"), Return(span=make.span))),)
    chart = draw(Branch(span=make.span, form="if", arms=arms), inline("b"))
    assert chart.has("x", "b", "no")
    assert chart.has("a", "end")
    assert not chart.has("a", "b")


@pytest.mark.parametrize(("form", "taken", "skipped"), [("and", "yes", "no"), ("or", "no", "yes")])
def test_short_circuits(draw: Any, inline: Any, make: Any, form: Any, taken: str, skipped: str) -> None:
    """`and` goes on where the first operand holds, `or` where it does not."""
    branch = Branch(span=make.span, form=form, arms=(Arm(label=form, test="x", body=(inline("a"),)),))
    chart = draw(branch, inline("b"))
    assert chart.has("x", "a", taken)
    assert chart.has("x", "b", skipped)


@pytest.mark.parametrize(("last", "skippable"), [("_", False), ("other", False), ("3", True), ("None", True)])
def test_match(draw: Any, inline: Any, make: Any, last: str, skippable: bool) -> None:
    """Each case is an edge; without one that always fits there is a way past all of them."""
    arms = (Arm(label="case", test="1", body=(inline("a"),)), Arm(label="case", test=last, body=(inline("b"),)))
    chart = draw(Branch(span=make.span, form="match", arms=arms), inline("c"))
    assert chart.has("match", "a", "case 1")
    assert chart.has("match", "b", f"case {last}")
    assert chart.has("match", "c", "no match") is skippable


def test_loops_go_back(draw: Any, inline: Any, make: Any) -> None:
    """The body leads back to the loop, and the loop on when it is done."""
    loop = Loop(span=make.span, form="for", header="x in y", body=(inline("a"),), orelse=(inline("b"),))
    chart = draw(loop, Loop(span=make.span, form="while", header="True", body=(inline("c"),)))
    assert chart.has("for x in y", "a", "each")
    assert chart.has("a", "for x in y")
    assert chart.has("for x in y", "b", "done")
    assert chart.has("while True", "end", "break")


def test_parallel_forks_and_joins(draw: Any, inline: Any, make: Any) -> None:
    """Branches start at one circle and end at another, inside one box."""
    branches = (ParallelBranch(name="left", body=(inline("a"),)), ParallelBranch(body=(inline("b"),)))
    chart = draw(Parallel(span=make.span, form="gather", branches=branches), inline("c"))
    assert "gather" in chart.boxes.values()
    assert chart.has(" ", "a", "left")
    assert chart.has(" ", "b")
    assert chart.has("a", " ")
    assert chart.has("b", " ")
    assert chart.has(" ", "c")
    assert not chart.has("a", "c")


def test_tasks_do_not_hold_the_flow(draw: Any, inline: Any, make: Any) -> None:
    """A task that is created and not awaited on the spot leaves the flow going on beside it."""
    task = Parallel(span=make.span, form="task", branches=(ParallelBranch(body=(inline("a"),)),))
    chart = draw(task, inline("b"))
    assert chart.has(" ", "b")
    assert not chart.has("a", "b")


def test_exceptions_are_dashed(draw: Any, inline: Any, make: Any) -> None:
    """From the box of a `try` dashed edges lead to its handlers; `else` follows the body alone."""
    node = Try(
        span=make.span,
        body=(inline("a"),),
        handlers=(Arm(label="except ValueError", body=(inline("b"),)),),
        orelse=(inline("c"),),
    )
    chart = draw(node, inline("d"))
    assert chart.has("try", "b", "except ValueError", dashed=True)
    assert chart.has("a", "c")
    assert chart.has("c", "d")
    assert chart.has("b", "d")
    assert not chart.has("a", "d")


def test_every_way_out_passes_finally(draw: Any, inline: Any, make: Any) -> None:
    """Return, exception and the ordinary end all lead through `finally`, and on from there."""
    body = (
        inline("a"),
        Branch(span=make.span, form="if", arms=(Arm(label="if", test="x", body=(Return(span=make.span),)),)),
    )
    chart = draw(Try(span=make.span, body=body, final=(inline("close"),)), inline("b"))
    assert chart.has("x", " ", "yes")
    assert chart.has("x", " ", "no")
    assert chart.has("try", " ", "error", dashed=True)
    assert chart.has(" ", "close")
    assert chart.has("close", "b")
    assert chart.has("close", "end", "return")
    assert chart.has("close", "failed", "error", dashed=True)


def test_raise_leaves_the_workflow(draw: Any, inline: Any, make: Any) -> None:
    """An exception that nothing catches ends in failure."""
    chart = draw(inline("a"), Raise(span=make.span, error="ValueError"))
    assert chart.has("a", "raise ValueError")
    assert chart.has("raise ValueError", "failed", dashed=True)
    assert not chart.has("a", "end")


def test_helpers_and_blocks_are_boxes(draw: Any, inline: Any, make: Any) -> None:
    """A helper that was entered and a `with` block are boxes; plain uses of the handle are left out."""
    chart = draw(
        Sequence(span=make.span, label="helper", body=(inline("a"),)),
        With(span=make.span, header="lock", body=(inline("b"),)),
        With(span=make.span, header="quiet", body=(Use(span=make.span, name="log"),)),
        Use(span=make.span, name="now"),
    )
    assert list(chart.boxes.values()) == ["helper()", "with lock"]
    assert chart.has("a", "b")


def test_nothing_is_dropped(draw: Any, make: Any) -> None:
    """Every step of every kind of node is in the chart, also where the flow cannot get."""
    count = 0

    def step() -> Node:
        nonlocal count
        count += 1
        return make.step("inline", f"s{count}")  # type: ignore[no-any-return]

    span = make.span
    body: tuple[Node, ...] = (
        Branch(
            span=span, form="if", arms=(Arm(label="if", test="x", body=(step(),)), Arm(label="else", body=(step(),)))
        ),
        Branch(span=span, form="conditional", arms=(Arm(label="if", test="x"), Arm(label="else", body=(step(),)))),
        Loop(span=span, form="comprehension", header="x in y", body=(step(),), orelse=(step(),)),
        Parallel(span=span, form="task_group", branches=(ParallelBranch(body=(step(), step())), ParallelBranch())),
        Try(span=span, body=(), handlers=(Arm(label="except", body=(step(),)),), orelse=(step(),), final=(step(),)),
        With(span=span, header="x", body=(Sequence(span=span, body=(step(),)),)),
        Raise(span=span, body=(step(),)),
        Return(span=span, body=(step(),)),
        step(),
    )
    chart = draw(*body)
    steps = [node.name for node in walk(body) if node.kind == "step"]
    assert set(steps) <= set(chart.labels.values())
    assert len(steps) == count
    assert chart.text.count("subgraph ") == len(re.findall(r"^ *end$", chart.text, re.MULTILINE))
