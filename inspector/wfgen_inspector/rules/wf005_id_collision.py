"""WF005: two definitions of one id."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import FileFacts, Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample, sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for every definition but the first of an id."""
    workflows: dict[tuple[str, str], tuple[FileFacts, Span]] = {}
    for name, versions in project.workflows_by_name.items():
        for facts, workflow in versions:
            version = workflow.entry.version
            first = workflows.setdefault((name, version), (facts, workflow.name_span))
            if first != (facts, workflow.name_span):
                yield _collision(
                    f"workflow {name!r} version {version!r}",
                    facts,
                    workflow.name_span,
                    first,
                    "Give one of them another name, or raise its `version=`.",
                )
    for worker_id, definitions in project.workers_by_id.items():
        first_facts, first_worker = definitions[0]
        for facts, worker in definitions[1:]:
            yield _collision(
                f"worker {worker_id!r}",
                facts,
                worker.id_span,
                (first_facts, first_worker.id_span),
                "Give one of them another id.",
            )


def _collision(what: str, facts: FileFacts, span: Span, first: tuple[FileFacts, Span], hint: str) -> Finding:
    other, place = first
    return Finding(
        facts.path,
        span,
        f"{what} is already defined in {other.path}, line {place.line}.",
        hint,
        (Related(other.path, place.line, place.column, f"{what} is first defined here"),),
    )


RULE = Rule(
    code="WF005",
    name="id-collision",
    severity="error",
    summary="Two workflows have the same name and version, or two workers the same id.",
    what="Reports every definition but the first of a workflow's name and version, or of a worker's id, in all files.",
    why="The registry finds code by its id. Of two, one would never run, and which one would be a matter of chance.",
    remedy="Rename one of them. For changed code that must run beside the old, raise `version=`.",
    check=check,
    required=True,
    invalid=(
        Sample(
            {
                "a.workflow.py": """\
from wfgen import Workflow, define_workflow


@define_workflow(name="onboarding", version="1")
async def onboarding(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
""",
                "b.workflow.py": """\
from wfgen import Workflow, define_workflow


@define_workflow(name="onboarding", version="1")  # <- here
async def sign_up(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
""",
            }
        ),
        sample(
            """\
from wfgen import define_worker


@define_worker("users.create")
async def create_user(email: str) -> str:
    return email


@define_worker("users.create")  # <- here
async def create_account(email: str) -> str:
    return email
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow(name="onboarding", version="1")
async def onboarding_1(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")


@define_workflow(name="onboarding", version="2")
async def onboarding_2(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "1h")
"""),
    ),
)
