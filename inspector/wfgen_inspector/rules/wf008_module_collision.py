"""WF008: two source files that would become one generated module."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import FileFacts, Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample

_START = Span(line=1, column=1, end_line=1, end_column=1)


def check(project: Project) -> Iterator[Finding]:
    """One finding for every file but the first that becomes a module."""
    modules: dict[str, FileFacts] = {}
    for facts in project.files:
        first = modules.setdefault(facts.module, facts)
        if first is not facts:
            yield Finding(
                facts.path,
                _START,
                f"{facts.path} and {first.path} both become the generated module `{facts.module}`.",
                "Rename one of the two files.",
                (Related(first.path, 1, 1, "the other file"),),
            )


def _source(name: str, mark: str = "") -> str:
    return f"""\
from wfgen import Workflow, define_workflow{mark}


@define_workflow
async def {name}(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""


RULE = Rule(
    code="WF008",
    name="module-collision",
    severity="error",
    summary="Two source files become the same generated module.",
    what="Reports files whose paths differ only in what a module name cannot hold, such as `sign-up.workflow.py` and "
    "`sign_up.workflow.py`.",
    why="Every source file becomes one real module of the generated package, which others import its types from; two "
    "files cannot share one.",
    remedy="Rename one of the files.",
    check=check,
    required=True,
    invalid=(
        Sample(
            {
                "flows/sign-up.workflow.py": _source("one"),
                "flows/sign_up.workflow.py": _source("two", "  # <- here"),
            }
        ),
    ),
    valid=(
        Sample(
            {
                "flows/crm/sign_up.workflow.py": _source("one"),
                "flows/shop/sign_up.workflow.py": _source("two"),
            }
        ),
    ),
)
