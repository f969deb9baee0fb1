"""WF108: steps of one name in branches that run at once."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import DYNAMIC, Parallel, Span, Step, walk
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import FileFacts, Project
from wfgen_inspector.remembered import PerFile
from wfgen_inspector.rules.rule import Finding, Rule, sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for each step that is called like a step of an earlier branch, unless WF102 has one already."""
    for found in _found(project.files, None):
        yield from found


def _find(facts: FileFacts, _: None) -> tuple[Finding, ...]:
    return tuple(_in_file(facts))


_found = PerFile(_find)


def _in_file(facts: FileFacts) -> Iterator[Finding]:
    seen: set[tuple[str, Span]] = set()
    on_path = {(p.file or facts.path, p.span.line, p.span.column) for p in facts.problems if p.code == "WF102"}
    for workflow in facts.workflows:
        for node in walk(workflow.entry.body):
            if isinstance(node, Parallel) and len(node.branches) > 1:
                for step, first in _repeated(node):
                    file, other = step.file or facts.path, first.file or facts.path
                    is_reported = (file, step.span) in seen
                    if not is_reported and not any(_is_in(place, file, step.span) for place in on_path):
                        seen.add((file, step.span))
                        yield Finding(
                            file,
                            step.span,
                            f"a step of another branch that runs at the same time is called {step.name!r:.80} too "
                            f"({'' if other == file else f'{other}, '}line {first.span.line}).",
                            "Give each step a name of its own, so that the run's history tells them apart.",
                            (Related(other, first.span.line, first.span.column, "the other one"),),
                        )


def _is_in(place: tuple[str, int, int], file: str, span: Span) -> bool:
    return (file, span.line, span.column) <= place < (file, span.end_line, span.end_column)


def _repeated(node: Parallel) -> Iterator[tuple[Step, Step]]:
    """Steps with the step of an earlier branch that has their name, but stands elsewhere: a helper that is called in
    several branches is called on purpose."""
    earlier: dict[str, Step] = {}
    for branch in node.branches:
        own: dict[str, Step] = {}
        for step in walk(branch.body):
            if isinstance(step, Step) and not step.dynamic and step.name != DYNAMIC:
                first = earlier.get(step.name)
                if first is None:
                    own.setdefault(step.name, step)
                elif (first.file, first.span) != (step.file, step.span):
                    yield step, first
        earlier |= own


RULE = Rule(
    code="WF108",
    name="same-name-in-parallel",
    severity="warning",
    summary="Steps in branches that run at the same time have the same name.",
    what="Reports a step whose name a step in another branch of the same `asyncio.gather`, `TaskGroup` or "
    "`workflow.parallel` has. A helper that several branches call is fine.",
    why="A replay tells them apart by their branches. People do not: the run's history and its graph show two steps of "
    "one name side by side.",
    remedy="Give each step a name of its own.",
    check=check,
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await asyncio.gather(
        workflow.sleep("wait", "1h"),
        workflow.sleep("wait", "2h"),  # <- here
    )
"""),
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


async def mail(workflow: Workflow) -> None:
    await workflow.do("send", lambda: "mail")


async def call(workflow: Workflow) -> None:
    await workflow.do("send", lambda: "call")  # <- here


@define_workflow
async def remind(workflow: Workflow) -> None:
    await asyncio.gather(mail(workflow), call(workflow))
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


async def nap(workflow: Workflow, hours: int) -> None:
    await workflow.sleep("nap", f"{hours}h")


@define_workflow
async def remind(workflow: Workflow) -> None:
    await asyncio.gather(nap(workflow, 1), nap(workflow, 2))
    await asyncio.gather(*[workflow.sleep("wait", f"{hours}h") for hours in range(3)])
"""),
    ),
)
