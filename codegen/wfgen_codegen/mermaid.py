"""The graph of a workflow as a Mermaid flowchart.

Shapes: a stadium starts and ends; rectangles are workers' steps, rounded boxes inline steps, double-edged boxes
other workflows; a slanted box waits (a trapezoid for time, a parallelogram for a hook); a diamond decides, a hexagon
repeats; circles fork and join; a flag with a dashed border cannot be followed. Dashed edges are exceptions.

Nodes are drawn inside the boxes of their `try`, `with`, parallel branch or helper; all edges follow at the end, so
that Mermaid cannot take a node for a member of the box in which an edge mentions it first.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from dataclasses import dataclass, field

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
    Step,
    Try,
    Use,
    With,
    WorkflowEntry,
)
from wfgen_codegen.quoting import Code, mermaid_label

_STEP_SHAPES = {
    "rpc": ("[", "]"),
    "inline": ("(", ")"),
    "sleep": ("[/", "\\]"),
    "sleep_until": ("[/", "\\]"),
    "hook": ("[/", "/]"),
    "create_hook": ("[/", "/]"),
    "call": ("[[", "]]"),
    "start": ("[[", "]]"),
    "compensate": ("[\\", "\\]"),
    "continue_as_new": ("([", "])"),
}
_DECISION, _REPEAT, _CIRCLE = ("{", "}"), ("{{", "}}"), ("((", "))")
_STADIUM, _FLAG, _FAILURE = ("([", "])"), (">", "]"), ("[\\", "/]")


@dataclass(frozen=True, slots=True)
class _End:
    """The loose end of an edge that leads to whatever comes next."""

    source: str
    label: str | None = None
    dashed: bool = False


@dataclass(slots=True)
class _Flow:
    """What leaves a stretch of the graph."""

    on: list[_End] = field(default_factory=list)
    """To the next node."""
    returned: list[_End] = field(default_factory=list)
    """To the end of the workflow, by way of every `finally` in between."""
    raised: list[_End] = field(default_factory=list)
    """Out of the workflow, by way of every `finally` in between; a raise within reach of a handler is not here."""


def mermaid(entry: WorkflowEntry) -> Code:
    """Draw one version of a workflow.

    Returns:
        A Mermaid flowchart, from top to bottom, ending in a newline.
    """
    return _Chart().draw(entry)


class _Chart:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._edges: list[str] = []
        self._opaque: list[str] = []
        self._depth = 1
        self._count = 0

    def draw(self, entry: WorkflowEntry) -> Code:
        start = self._node(entry.name, _STADIUM)
        flow = self._body((*(entry.before or ()), *entry.body), [_End(start)])
        if entry.after:
            flow = self._body(entry.after, [*flow.on, *flow.returned, *flow.raised])
        end = self._node("end", _STADIUM)
        self._connect([*flow.on, *flow.returned], end)
        if flow.raised:
            self._connect(flow.raised, self._node("failed", _STADIUM))
        styles = []
        if self._opaque:
            styles.append("    classDef opaque stroke-dasharray: 4 4")
            styles.append(f"    class {','.join(self._opaque)} opaque")
        return Code("\n".join(("flowchart TD", *self._lines, *self._edges, *styles, "")))

    def _body(self, nodes: Iterable[Node], ends: list[_End]) -> _Flow:
        """Draw nodes one after the other. What follows a return or a raise hangs on nothing, but is drawn."""
        flow = _Flow(on=ends)
        for node in nodes:
            after = self._draw(node, flow.on)
            flow.on = after.on
            flow.returned += after.returned
            flow.raised += after.raised
        return flow

    def _draw(self, node: Node, ends: list[_End]) -> _Flow:
        match node:
            case Step():
                return self._then(ends, self._node(_step_label(node), _STEP_SHAPES[node.form]))
            case Opaque():
                flag = self._node(f"not followed: {node.reason}", _FLAG)
                self._opaque.append(flag)
                return self._then(ends, flag)
            case Branch():
                return self._branch(node, ends)
            case Loop():
                return self._loop(node, ends)
            case Parallel():
                return self._parallel(node, ends)
            case Try():
                return self._try(node, ends)
            case Sequence():
                return self._boxed(f"{node.label}()", node.body, ends) if node.label else self._body(node.body, ends)
            case With():
                return self._boxed(f"with {node.header}", node.body, ends)
            case Return():
                flow = self._body(node.body, ends)
                return _Flow(returned=[*flow.returned, *flow.on], raised=flow.raised)
            case Raise():
                flow = self._body(node.body, ends)
                failure = self._node(f"raise {node.error}" if node.error else "raise", _FAILURE)
                self._connect(flow.on, failure)
                return _Flow(returned=flow.returned, raised=[*flow.raised, _End(failure, dashed=True)])
            case Use():
                return _Flow(on=ends)

    def _branch(self, node: Branch, ends: list[_End]) -> _Flow:
        if node.form == "match":
            return self._match(node, ends)
        flow = _Flow()
        taken, skipped = ("no", "yes") if node.form == "or" else ("yes", "no")
        for arm in node.arms:
            if arm.test is None:  # else
                self._merge(flow, self._body(arm.body, ends))
                return flow
            choice = self._node(arm.test, _DECISION)
            self._connect(ends, choice)
            self._merge(flow, self._body(arm.body, [_End(choice, taken)]))
            ends = [_End(choice, skipped)]
        flow.on += ends
        return flow

    def _match(self, node: Branch, ends: list[_End]) -> _Flow:
        flow = _Flow()
        choice = self._node("match", _DECISION)
        self._connect(ends, choice)
        for arm in node.arms:
            self._merge(flow, self._body(arm.body, [_End(choice, _arm_label(arm))]))
        if not any(_always_fits(arm) for arm in node.arms):
            flow.on.append(_End(choice, "no match"))
        return flow

    def _loop(self, node: Loop, ends: list[_End]) -> _Flow:
        word = {"while": "while", "async_for": "async for"}.get(node.form, "for")
        repeat = self._node(f"{word} {node.header}", _REPEAT)
        self._connect(ends, repeat)
        flow = self._body(node.body, [_End(repeat, "yes" if word == "while" else "each")])
        self._connect(flow.on, repeat)
        endless = word == "while" and node.header in ("True", "1")
        after = self._body(node.orelse, [_End(repeat, "break" if endless else "done")])
        return _Flow(after.on, flow.returned + after.returned, flow.raised + after.raised)

    def _parallel(self, node: Parallel, ends: list[_End]) -> _Flow:
        self._open(node.form.replace("_", " "))
        fork = self._node(" ", _CIRCLE)
        self._connect(ends, fork)
        flow = _Flow()
        for branch in node.branches:
            self._merge(flow, self._body(branch.body, [_End(fork, branch.name)]))
        if node.form == "task":  # nobody waits here: the flow goes on at once
            self._close()
            return _Flow([_End(fork)], flow.returned, flow.raised)
        join = self._node(" ", _CIRCLE)
        self._connect(flow.on, join)
        self._close()
        return _Flow([_End(join)], flow.returned, flow.raised)

    def _try(self, node: Try, ends: list[_End]) -> _Flow:
        box = self._open("try")
        if _draws(node.body):
            body = self._body(node.body, ends)
        else:
            body = self._then(ends, self._node("no steps", _STEP_SHAPES["inline"]))
        self._close()
        flow = _Flow(returned=body.returned, raised=[] if node.handlers else body.raised)
        for arm in node.handlers:
            self._merge(flow, self._body(arm.body, [_End(box, _arm_label(arm), dashed=True)]))
        self._merge(flow, self._body(node.orelse, body.on))
        if not _draws(node.final):
            return flow
        return self._finally(node, flow, box)

    def _finally(self, node: Try, flow: _Flow, box: str) -> _Flow:
        """Lead every way out of a `try` through its `finally`, and each of them on from there."""
        self._open("finally")
        gate = self._node(" ", _CIRCLE)
        self._connect([*flow.on, *flow.returned, *flow.raised, _End(box, "error", dashed=True)], gate)
        after = self._body(node.final, [_End(gate)])
        self._close()
        if flow.returned:
            after.returned += [_End(end.source, "return", end.dashed) for end in after.on]
        after.raised += [_End(end.source, "error", dashed=True) for end in after.on]
        if not flow.on:
            after.on = []
        return after

    def _boxed(self, title: str, nodes: tuple[Node, ...], ends: list[_End]) -> _Flow:
        if not _draws(nodes):
            return self._body(nodes, ends)
        self._open(title)
        flow = self._body(nodes, ends)
        self._close()
        return flow

    def _then(self, ends: list[_End], node: str) -> _Flow:
        self._connect(ends, node)
        return _Flow(on=[_End(node)])

    def _merge(self, into: _Flow, flow: _Flow) -> None:
        into.on += flow.on
        into.returned += flow.returned
        into.raised += flow.raised

    def _node(self, label: str, shape: tuple[str, str]) -> str:
        name = self._name("n")
        self._line(f"{name}{shape[0]}{mermaid_label(label)}{shape[1]}")
        return name

    def _open(self, title: str) -> str:
        name = self._name("g")
        self._line(f"subgraph {name}[{mermaid_label(title)}]")
        self._depth += 1
        return name

    def _close(self) -> None:
        self._depth -= 1
        self._line("end")

    def _connect(self, ends: list[_End], node: str) -> None:
        for end in ends:
            arrow = "-.->" if end.dashed else "-->"
            label = f"|{mermaid_label(end.label)}|" if end.label else ""
            line = f"    {end.source} {arrow}{label} {node}"
            if line not in self._edges:
                self._edges.append(line)

    def _name(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)


def _draws(nodes: Iterable[Node]) -> bool:
    """Whether these nodes put anything into the chart."""
    for node in nodes:
        match node:
            case Use():
                continue
            case Sequence() | With() | Return():
                if _draws(node.body):
                    return True
            case _:
                return True
    return False


def _step_label(step: Step) -> str:
    # What the step does says more than that its name is known at run time only.
    name = step.description if step.dynamic and step.description else step.name
    match step.form:
        case "rpc" | "call" | "start" | "compensate":
            return f"{name}: {step.target}" if step.target else name
        case "sleep" | "sleep_until":
            words = step.form.replace("_", " ")
            return f"{words} {name}: {step.data}" if step.data else f"{words} {name}"
        case "hook":
            return f"hook {name}"
        case "create_hook":
            return f"open hook {name}"
        case "continue_as_new":
            return "continue as new"
        case _:
            return name


def _arm_label(arm: Arm) -> str:
    return arm.label if arm.test is None else f"{arm.label} {arm.test}"


def _always_fits(arm: Arm) -> bool:
    """Whether a case has no condition: `case _` or `case other`."""
    return arm.test is None or (arm.test.isidentifier() and not keyword.iskeyword(arm.test))
