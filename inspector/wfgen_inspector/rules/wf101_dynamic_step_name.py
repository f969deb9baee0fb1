"""WF101: a step whose name is known only when it runs, and that no description explains."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF101",
    name="dynamic-step-name",
    severity="warning",
    summary="A step's name is computed, and no description says what the step is.",
    what="Reports a durable operation whose name is neither a literal nor a constant, unless it has `description=`.",
    why="Diagrams, lists and reviews show such a step as `<dynamic>`: nobody can tell what it does. A name that is not "
    "the same in every replay also makes the run diverge.",
    remedy="Use a fixed name (a step in a loop is numbered by itself: `send`, `send#2`, …), or add `description=`.",
    check=reported("WF101"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, days: list[str]) -> None:
    for day in days:
        await workflow.sleep(f"wait_{day}", "1d")  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, days: list[str]) -> None:
    for day in days:
        await workflow.sleep(f"wait_{day}", "1d", description="wait for the day")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, days: list[str]) -> None:
    for _ in days:
        await workflow.sleep("wait", "1d")
"""),
    ),
)
