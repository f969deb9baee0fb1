"""WF209: a task is started that nobody waits for."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF209",
    name="unjoined-task",
    severity="warning",
    summary="A task is started that nobody waits for.",
    what="Reports `asyncio.create_task` and `ensure_future` in workflow code whose task is neither awaited, "
    "gathered, kept nor given back. A `TaskGroup` waits for its tasks. Directly, or through any number of "
    "functions, methods, properties and default factories of the project; the finding then comes with the "
    "calls that lead there.",
    why="The workflow may end before the task does. Whether its steps run then depends on timing, and its "
    "errors are lost.",
    remedy="Await the task, gather it, or start it in an `asyncio.TaskGroup`.",
    check=reported("WF209"),
    chained=True,
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    asyncio.create_task(workflow.do("audit", print))  # <- here
    await workflow.do("charge", print)
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    audit = asyncio.create_task(workflow.do("audit", print))
    async with asyncio.TaskGroup() as group:
        group.create_task(workflow.do("charge", print))
    await audit
"""),
    ),
)
