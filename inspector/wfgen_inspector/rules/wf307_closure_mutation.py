"""WF307: an inline step changes a variable of the workflow, which a replay does not do."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF307",
    name="closure-mutation",
    severity="warning",
    summary="An inline step changes a variable of the workflow, which a replay does not do.",
    what="Reports steps that are written inside the workflow (lambdas, nested functions) and change variables "
    "around them: `nonlocal`, methods such as `append` and `update`, assignments to items and attributes.",
    why="In a replay a recorded step gives its result and does not run again, so the change is missing and the "
    "workflow goes on with other values than before.",
    remedy="Return the value from the step, and change the variable in the workflow.",
    check=reported("WF307"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def collect(workflow: Workflow, names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        await workflow.do("collect", lambda: found.append(name.upper()))  # <- here
    return found
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def count(workflow: Workflow, names: list[str]) -> int:
    total = 0

    def add() -> None:
        nonlocal total
        total += len(names)  # <- here

    await workflow.do("add", add)
    return total
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def collect(workflow: Workflow, names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(await workflow.do("collect", lambda: name.upper()))

    def ordered() -> list[str]:
        copy = list(found)
        copy.sort()
        return copy

    return await workflow.do("order", ordered)
"""),
    ),
)
