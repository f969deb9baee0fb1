"""WF104: the handle goes where it cannot be followed."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF104",
    name="handle-escapes",
    severity="error",
    summary="The workflow handle is handed to code that cannot be followed.",
    what="Reports the handle being stored, returned, put into a container, passed to `getattr` or to a function that "
    "is not one of the project's. An object of a class of the project may keep it, if its initialiser only assigns it "
    "to an attribute and its methods are called by name.",
    why="Steps that are made out of sight are missing in the graph, in the checks and in the types; and a handle that "
    "outlives its run raises an error.",
    remedy="Call the handle's methods directly, or pass it to a function or method of the project, in whatever module. "
    "Give other code plain data.",
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


@define_workflow
async def remind(workflow: Workflow) -> None:
    handles = [workflow]  # <- here
    await handles[0].sleep("wait", "1d")
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
