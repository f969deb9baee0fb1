"""WF010: workflow and worker files that import each other."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import ImportFact, Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample

Edges = dict[str, dict[str, ImportFact]]
"""File -> file that it loads -> the first import that does so."""


def check(project: Project) -> Iterator[Finding]:
    """One finding for every group of files that load each other, at its first file."""
    edges = _edges(project)
    reported: set[str] = set()
    for path in sorted(edges):
        cycle = None if path in reported else _shortest_cycle(path, edges)
        if cycle is None:
            continue
        reported.update(cycle)
        steps = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        chain = " -> ".join([*cycle, cycle[0]])
        message = f"workflow and worker files import each other: {chain}"
        if len(cycle) == 1:
            message = f"{path} imports itself"
        yield Finding(
            path,
            edges[path][steps[0][1]].span,
            f"{message}.",
            "Move what they share to an ordinary module and import it from there.",
            tuple(
                Related(one, edges[one][other].span.line, edges[one][other].span.column, f"imports {other}")
                for one, other in steps[1:]
            ),
        )


def _edges(project: Project) -> Edges:
    """Imports that are executed when a file is loaded and load another source file."""
    edges: Edges = {}
    for facts in project.files:
        for statement in facts.imports:
            if statement.type_checking or not statement.top_level:
                continue
            for module in statement.modules:
                if module in project.by_module:
                    edges.setdefault(facts.path, {}).setdefault(project.by_module[module].path, statement)
    return edges


def _shortest_cycle(start: str, edges: Edges) -> list[str] | None:
    """The shortest way from a file back to itself, without the return."""
    came_from: dict[str, str] = {}
    queue = [start]
    for path in queue:
        for other in sorted(edges.get(path, {})):
            if other == start:
                way = [path]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if other not in came_from:
                came_from[other] = path
                queue.append(other)
    return None


def _workflow(name: str, imports: str) -> str:
    return f"""\
{imports}
from wfgen import Workflow, define_workflow

{name.upper()}_WAIT = "5m"


@define_workflow
async def {name}(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""


RULE = Rule(
    code="WF010",
    name="import-cycle",
    severity="error",
    summary="Workflow or worker files import each other.",
    what="Reports cycles of imports between `*.workflow.py` and `*.worker.py` through the generated `files` modules. "
    "Imports below `if TYPE_CHECKING:` and inside functions do not count.",
    why="Whichever file is loaded first finds the other one half executed, and fails with an `ImportError` that "
    "depends on who came first.",
    remedy="Move the shared types and helpers to an ordinary module that both import.",
    check=check,
    invalid=(
        Sample(
            {
                "flows/a.workflow.py": _workflow("a", "from flows.wfgen_gen.files.b import B_WAIT  # <- here"),
                "flows/b.workflow.py": _workflow("b", "from flows.wfgen_gen.files.a import A_WAIT"),
            }
        ),
        Sample({"flows/a.workflow.py": _workflow("a", "import flows.wfgen_gen.files.a  # <- here")}),
    ),
    valid=(
        Sample(
            {
                "flows/a.workflow.py": _workflow("a", "from flows.wfgen_gen.files.b import B_WAIT"),
                "flows/b.workflow.py": _workflow(
                    "b",
                    "from typing import TYPE_CHECKING\n\n"
                    "if TYPE_CHECKING:\n    from flows.wfgen_gen.files.a import A_WAIT\n",
                ),
            }
        ),
    ),
)
