"""WF403: an input, result or payload without a type."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF403",
    name="missing-annotation",
    severity="warning",
    summary="A workflow or worker does not say the type of its input or result.",
    what="Reports parameters and results of workflows and workers without an annotation.",
    why="Without a type nothing is validated before a run starts, results come back as plain JSON values, and the "
    "generated client offers `Any`.",
    remedy="Annotate the parameter and the result; `-> None` for no result.",
    check=reported("WF403"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, signup) -> None:  # <- here
    await workflow.sleep("cool_off", "5m")
"""),
        sample(
            """\
from wfgen import define_worker


@define_worker("users.create")
async def create_user(email: str):  # <- here
    return email
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
    ),
)
