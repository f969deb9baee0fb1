"""WF106: a step name that is empty, too long or not printable."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF106",
    name="bad-step-name",
    severity="error",
    summary="A step's name is empty, too long or not printable.",
    what="Reports step names other than printable text of 1 to 255 characters.",
    why="The name identifies the step in the history and is shown wherever the run is; the engine refuses such a name "
    "when the workflow gets there.",
    remedy="Use a short printable name; put longer text into `description=`.",
    check=reported("WF106"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("", "1d")  # <- here
"""),
        sample(r"""
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait\n", "1d")  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("Warten, bis es {{ morgen }} ist!", "1d")
"""),
    ),
)
