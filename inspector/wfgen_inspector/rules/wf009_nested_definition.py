"""WF009: a workflow or worker that is not defined at module level."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF009",
    name="nested-definition",
    severity="error",
    summary="A workflow or worker is defined inside a class or a function.",
    what="Reports `define_workflow` and `define_worker` on methods and nested functions.",
    why="A run is taken up again by another process, which finds the function by importing its file; a method needs an "
    "object, and a nested function a call, that this process never had.",
    remedy="Move the function to module level. Pass what it took from its object as input, or make it in the function.",
    check=reported("WF009"),
    required=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


class Onboarding:
    @define_workflow(name="onboarding")  # <- here
    async def run(self, workflow: Workflow) -> None:
        await workflow.sleep("cool_off", "5m")
"""),
        sample(
            """\
from wfgen import define_worker


def register(suffix: str) -> None:
    @define_worker("users.create")  # <- here
    async def create_user(email: str) -> str:
        return email + suffix
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


async def onboarding(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")


define_workflow(onboarding, name="onboarding")
"""),
    ),
)
