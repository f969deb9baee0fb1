"""WF004: a stub beside a workflow or worker file."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample

_SOURCE = """\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""


def check(project: Project) -> Iterator[Finding]:
    """One finding for each stub."""
    for stub, source in project.stubs:
        yield Finding(
            stub,
            Span(line=1, column=1, end_line=1, end_column=1),
            f"the stub {stub} hides {source} from type checkers.",
            f"Delete it: wfgen writes a stub of its own below {project.manifest.output}.",
        )


RULE = Rule(
    code="WF004",
    name="stray-stub",
    severity="error",
    summary="A `.pyi` stub stands beside a workflow or worker file.",
    what="Reports `onboarding.workflow.pyi` beside `onboarding.workflow.py`.",
    why="A type checker reads the stub instead of the source and says nothing about the workflow any more, without a "
    "word that it does so.",
    remedy="Delete the stub. The generated package holds one for every source file, written from the source.",
    check=check,
    on_statement=False,
    invalid=(
        Sample(
            {
                "flows/onboarding.workflow.py": _SOURCE,
                "flows/onboarding.workflow.pyi": "async def onboarding(workflow: object) -> None: ...  # <- here\n",
            }
        ),
    ),
    valid=(
        Sample(
            {
                "flows/onboarding.workflow.py": _SOURCE,
                "flows/models.py": "LIMIT = 3\n",
                "flows/models.pyi": "LIMIT: int",
            }
        ),
    ),
)
