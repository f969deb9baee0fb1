"""WF304: clean-up code around a wait calls something that is recorded nowhere."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF304",
    name="side-effect-in-cleanup",
    severity="warning",
    summary="Clean-up code around a wait calls something that is recorded nowhere.",
    what="Reports calls of other packages in `finally`, and context managers of the project that make such calls when "
    "they are left, around a wait; directly or through functions of the project. Steps, logging and asyncio are fine, "
    "and what a manager of another package does is not known. What is known to be input or output is reported by WF204 "
    "wherever it stands in workflow code.",
    why="A run that waits may be set aside and taken up again, by this process or another: then `finally` and the "
    "end of `with` run although nothing has ended, and run again later.",
    remedy="Make it a step: `await workflow.do(name, function)` in `finally` runs when the workflow really ends.",
    check=reported("WF304"),
    invalid=(
        sample("""\
import doors

from wfgen import Workflow, define_workflow


@define_workflow
async def visit(workflow: Workflow, door: str) -> None:
    try:
        await workflow.sleep("stay", "1h")
    finally:
        doors.lock(door)  # <- here
"""),
        sample("""\
import contextlib
from collections.abc import Iterator

import doors

from wfgen import Workflow, define_workflow


@contextlib.contextmanager
def opened(door: str) -> Iterator[None]:
    yield
    doors.lock(door)


@define_workflow
async def visit(workflow: Workflow, door: str) -> None:
    with opened(door):  # <- here
        await workflow.sleep("stay", "1h")
"""),
    ),
    valid=(
        sample("""\
import doors

from wfgen import Workflow, define_workflow


@define_workflow
async def visit(workflow: Workflow, door: str) -> None:
    try:
        await workflow.sleep("stay", "1h")
    finally:
        workflow.log.info("done with %s", door)
        await workflow.do("lock", lambda: doors.lock(door))
"""),
        sample("""\
import asyncio
import contextlib

from wfgen import Workflow, define_workflow


@define_workflow
async def visit(workflow: Workflow) -> None:
    turn = asyncio.Lock()
    async with turn, asyncio.TaskGroup() as group:
        group.create_task(workflow.sleep("stay", "1h"))
    with contextlib.suppress(ValueError):
        await workflow.sleep("rest", "1h")
"""),
    ),
)
