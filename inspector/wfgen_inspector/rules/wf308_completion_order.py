"""WF308: what a run does depends on which operation completes first."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF308",
    name="completion-order",
    severity="info",
    summary="What a run does depends on which operation completes first.",
    what="Reports `asyncio.as_completed`, `asyncio.wait(…, return_when=FIRST_COMPLETED)` and `workflow.parallel(…, "
    "wait_for=…)` for less than all.",
    why="A replay repeats the recorded order, so this is safe. But two runs with the same input may do different "
    "things, and a graph does not show which.",
    remedy="Nothing, if it is wanted. Else `asyncio.gather`, which gives results in the order of the calls.",
    check=reported("WF308"),
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def race(workflow: Workflow) -> None:
    naps = [workflow.sleep("short", "1h"), workflow.sleep("long", "2h")]
    for nap in asyncio.as_completed(naps):  # <- here
        await nap
"""),
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def race(workflow: Workflow) -> int:
    naps = [asyncio.create_task(workflow.sleep(f"nap {n}", f"{n}h", description="a nap")) for n in (1, 2)]
    done, _ = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)  # <- here
    return len(done)
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


@define_workflow
async def race(workflow: Workflow) -> None:
    await asyncio.gather(workflow.sleep("short", "1h"), workflow.sleep("long", "2h"))
    await asyncio.wait([asyncio.create_task(workflow.sleep("third", "1h"))])
"""),
    ),
)
