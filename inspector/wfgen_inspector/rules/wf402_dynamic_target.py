"""WF402: a step whose target is known only when it runs."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF402",
    name="dynamic-target",
    severity="warning",
    summary="What a step runs is computed.",
    what="Reports a step whose target is neither a worker's id or reference nor a function that the source shows.",
    why="Nobody can check that the worker exists or that data and result fit; the graph shows `<dynamic>`.",
    remedy="Write one step for each target, in the arms of an `if` or `match`. Where the id really comes from outside, "
    'say so: `workflow.do("run", WorkerId(text), data)`, and suppress this warning there.',
    check=reported("WF402"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, worker: str) -> None:
    await workflow.do("run", worker)  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_worker, define_workflow


@define_worker("users.create")
async def create_user(email: str) -> str:
    return email


@define_workflow
async def onboarding(workflow: Workflow, email: str) -> str:
    user = await workflow.do("create", "users.create", email)
    return await workflow.do("shout", lambda: user.upper())
"""),
    ),
)
