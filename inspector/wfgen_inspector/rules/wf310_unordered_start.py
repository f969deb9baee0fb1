"""WF310: coroutines are given to `asyncio.as_completed`, which starts them in no fixed order."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF310",
    name="unordered-start",
    severity="error",
    summary="Coroutines are given to `asyncio.as_completed`, which starts them in no fixed order.",
    what="Reports calls of `async def` functions of the project among the arguments of `asyncio.as_completed`. "
    "Operations of the handle and tasks are fine.",
    why="It keeps them in a set, ordered by their addresses in memory: another process starts them in another "
    "order, so steps would get other identities. The runtime refuses it.",
    remedy="Make tasks first, in order: `asyncio.as_completed([asyncio.create_task(c) for c in coroutines])`.",
    check=reported("WF310"),
    invalid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


async def nap(workflow: Workflow, hours: int) -> int:
    await workflow.sleep("nap", f"{hours}h")
    return hours


@define_workflow
async def race(workflow: Workflow) -> list[int]:
    ended: list[int] = []
    for result in asyncio.as_completed([nap(workflow, 1), nap(workflow, 2)]):  # <- here
        ended.append(await result)
    return ended
"""),
    ),
    valid=(
        sample("""\
import asyncio

from wfgen import Workflow, define_workflow


async def nap(workflow: Workflow, hours: int) -> int:
    await workflow.sleep("nap", f"{hours}h")
    return hours


@define_workflow
async def race(workflow: Workflow) -> list[int]:
    return list(await asyncio.gather(nap(workflow, 1), nap(workflow, 2)))
"""),
    ),
)
