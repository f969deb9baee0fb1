"""WF105: something that the handle does not have."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF105",
    name="unknown-handle-method",
    severity="error",
    summary="The workflow handle has no such method or attribute.",
    what="Reports attributes of the handle that it does not have, with the nearest one that it has.",
    why="The workflow would stop with an `AttributeError` when it gets there, which may be days after its start.",
    remedy="Use a method that exists: `do`, `sleep`, `sleep_until`, `hook`, `create_hook`, `now`, `uuid`, `random`, "
    "`log`, `run_id`.",
    check=reported("WF105"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.slep("wait", "1d")  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
    workflow.log.info("run %s at %s", workflow.run_id, workflow.now())
"""),
    ),
)
