"""WF306: the workflow handle is used inside a step."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF306",
    name="step-inside-step",
    severity="error",
    summary="The workflow handle is used inside a step.",
    what="Reports operations and other uses of the handle in a function or lambda that runs as a step.",
    why="A step runs outside the workflow's own code, perhaps in a thread; there the handle raises an error.",
    remedy="Do it in the workflow and pass the value in. To call a worker from a step, call it through its reference: "
    "`workers.users.create(data)`.",
    check=reported("WF306"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.do("wrap", lambda: workflow.sleep("wait", "1d"))  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> str:
    async def stamp() -> str:
        return workflow.now().isoformat()  # <- here

    return await workflow.do("stamp", stamp)
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> str:
    now = workflow.now()
    workflow.log.info("it is %s", now)
    return await workflow.do("stamp", lambda: now.isoformat())
"""),
    ),
)
