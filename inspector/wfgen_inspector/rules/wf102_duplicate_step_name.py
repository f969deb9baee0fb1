"""WF102: two steps of one name on one path."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF102",
    name="duplicate-step-name",
    severity="warning",
    summary="Two call sites on one path give their steps the same name.",
    what="Reports a second operation of the same name that can run in the same run as the first. Loops, exclusive arms "
    "of a branch, branches that run at once and helpers that are called twice are normal and not reported.",
    why="The second becomes `name#2`. Histories and diagrams become hard to read, and a step that is inserted between "
    "the two takes over the recorded result of the other.",
    remedy="Give each step a name of its own. The fix is unsafe: a new name makes it another step, so runs that have "
    "recorded it under the old one need a new version of the workflow.",
    check=reported("WF102"),
    fixes="unsafe",
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
    await workflow.sleep("wait", "2d")  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, urgent: bool) -> None:
    if urgent:
        await workflow.sleep("wait", "1h")
    await workflow.sleep("wait", "1d")  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, urgent: bool) -> None:
    if urgent:
        await workflow.sleep("wait", "1h")
    else:
        await workflow.sleep("wait", "1d")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, urgent: bool) -> None:
    if urgent:
        await workflow.sleep("wait", "1h")
        return
    await workflow.sleep("wait", "1d")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    for _ in range(3):
        await workflow.sleep("wait", "1d")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("first_wait", "1d")
    await workflow.sleep("second_wait", "2d")
"""),
    ),
)
