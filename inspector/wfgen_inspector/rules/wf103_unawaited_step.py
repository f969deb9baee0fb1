"""WF103: a step that is called and never awaited."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF103",
    name="unawaited-step",
    severity="error",
    summary="A step is called but never awaited, so it never runs.",
    what="Reports a durable operation whose coroutine is neither awaited nor handed to something that awaits it "
    "(`asyncio.gather`, `create_task`, `TaskGroup`).",
    why="Calling `workflow.do(…)` only makes a coroutine. Without `await` the step does not run, and the workflow goes "
    "on as if it had.",
    remedy="Write `await` before the call. Where that is all there is to it, `wfgen check --fix` does it.",
    check=reported("WF103", fix="add `await`"),
    fixes="safe",
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    workflow.sleep("wait", "1d")  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, urgent: bool) -> None:
    if not urgent:
        workflow.sleep(  # <- here
            "wait",
            "1d",
        )
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
    await asyncio.gather(workflow.sleep("short", "1h"), workflow.sleep("long", "2h"))
"""),
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(workflow.sleep("short", "1h"))
        group.create_task(workflow.sleep("long", "2h"))
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    waiting = workflow.sleep("wait", "1d")
    await waiting
"""),
    ),
)
