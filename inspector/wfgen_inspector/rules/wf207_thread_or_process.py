"""WF207: workflow code starts or enters a thread or a process."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF207",
    name="thread-or-process",
    severity="error",
    summary="Workflow code starts or enters a thread or a process.",
    what="Reports `threading.Thread`, executors, `multiprocessing`, `asyncio.to_thread`, `run_in_executor` and "
    "their kin in workflow code. Directly, or through any number of functions, methods, properties and "
    "default factories of the project; the finding then comes with the calls that lead there.",
    why="When a thread finishes is not recorded, so a replay would see it happen at another point. The "
    "workflow's own event loop refuses threads.",
    remedy="Make it a step: `workflow.do` runs plain functions in a thread and records what they give.",
    check=reported("WF207"),
    chained=True,
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    await asyncio.to_thread(print, "hello")  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    await workflow.do("hello", print, "hello")
"""),
    ),
)
