"""WF001: a file is not Python."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF001",
    name="syntax-error",
    severity="error",
    summary="A workflow or worker file is not valid Python.",
    what="Reports the first place at which a `*.workflow.py` or `*.worker.py` cannot be parsed.",
    why="A file that cannot be parsed cannot run, and what it defines is unknown. Outputs that were generated from its "
    "last sound version are kept.",
    remedy="Mend the syntax at the place shown; the mistake itself may be on the line before.",
    check=reported("WF001"),
    required=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m"))  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
        sample(""),
    ),
)
