"""WF404: a hook is opened, and nobody waits for its payload."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF404",
    name="hook-never-awaited",
    severity="warning",
    summary="A hook is opened, and nobody waits for its payload.",
    what="Reports `create_hook` whose hook is neither awaited nor passed on; sending its token alone does not wait."
    "Reports `create_hook` whose hook is neither awaited nor passed on; sending its token alone does not wait.",
    why="Whoever resumes the hook is told that it worked, and the payload reaches nobody.",
    remedy="Keep the hook in a variable, send its token, and `await` it. `workflow.hook(…)` does both at once.",
    check=reported("WF404"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def ask(workflow: Workflow) -> None:
    answer = workflow.create_hook("answer", str)  # <- here
    token = answer.token
    await workflow.do("send", lambda: token)
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def ask(workflow: Workflow) -> str:
    answer = workflow.create_hook("answer", str)
    token = answer.token
    await workflow.do("send", lambda: token)
    return await answer
"""),
    ),
)
