"""WF208: workflow code waits on a timer that is not the workflow's."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF208",
    name="asyncio-timer",
    severity="error",
    summary="Workflow code waits on a timer that is not the workflow's.",
    what="Reports `asyncio.sleep`, `wait_for`, `timeout`, `loop.call_later`, `time.sleep` and their kin in "
    "workflow code. `asyncio.sleep(0)` only lets others run, and is no finding. Directly, or through any "
    "number of functions, methods, properties and default factories of the project; the finding then "
    "comes with the calls that lead there.",
    why="Such a timer is lost with the process and starts anew in every replay. The workflow's own event loop "
    "refuses it.",
    remedy="Use `workflow.sleep`, which is kept across restarts, or the `timeout=` of the step or the hook.",
    check=reported("WF208"),
    chained=True,
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    await asyncio.sleep(5)  # <- here
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    await workflow.sleep("cool off", "5s")
    await asyncio.sleep(0)
"""),
    ),
)
