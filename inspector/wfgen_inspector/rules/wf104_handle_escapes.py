"""WF104: the handle goes where it cannot be followed."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF104",
    name="handle-escapes",
    severity="error",
    summary="The workflow handle is handed to code that cannot be followed.",
    what="Reports the handle being stored, returned, put into a container, passed to `getattr` or to a function that "
    "is not in the same file, or used inside a step.",
    why="Steps that are made out of sight are missing in the graph, in the checks and in the types; and a handle that "
    "outlives its run, or is used inside a step, raises an error.",
    remedy="Call the handle's methods directly, or pass it to a helper in the same file. Give other code plain data.",
    check=reported("WF104"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, method: str) -> None:
    await getattr(workflow, method)("wait", "1d")  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow

handles: list[Workflow] = []


@define_workflow
async def remind(workflow: Workflow) -> None:
    handles.append(workflow)  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.do("wrap", lambda: workflow.sleep("wait", "1d"))  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


async def wait(handle: Workflow, days: int) -> None:
    await handle.sleep("wait", f"{days}d")


@define_workflow
async def remind(workflow: Workflow, days: int) -> None:
    await wait(workflow, days)
"""),
    ),
)
