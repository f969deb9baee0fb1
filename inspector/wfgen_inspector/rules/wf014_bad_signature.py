"""WF014: a workflow or worker that the engine could not call."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF014",
    name="bad-signature",
    severity="error",
    summary="A workflow or worker has a signature that the engine cannot call.",
    what="Reports a workflow that is not `async def`, lacks the handle or takes more than the handle and one input, "
    "a worker that takes more than one input beside its `Job`, inputs that are taken by keyword only, and generators.",
    why="The engine calls a workflow with the handle and its recorded input, and a worker with its input: one value "
    "each, so that it can be validated, stored and evolve field by field.",
    remedy="Put several inputs into one model: `class Signup(BaseModel)` with a field for each. Make a workflow "
    "`async def`.",
    check=reported("WF014"),
    required=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, email: str, name: str) -> None:  # <- here
    await workflow.sleep("cool_off", "5m")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
def onboarding(workflow: Workflow) -> str:  # <- here
    return str(workflow.run_id)
"""),
        sample(
            """\
from wfgen import define_worker


@define_worker("users.create")
async def create_user(email: str, name: str) -> str:  # <- here
    return email + name
""",
            path="users.worker.py",
        ),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def onboarding(workflow: Workflow, *, email: str) -> None:  # <- here
    await workflow.sleep("cool_off", "5m")
"""),
        sample(
            """\
from collections.abc import Iterator

from wfgen import define_worker


@define_worker("users.names")
def names(*, prefix: str) -> list[str]:  # <- here
    return [prefix]


@define_worker("users.list")
def users(prefix: str) -> Iterator[str]:  # <- here
    yield prefix
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from pydantic import BaseModel

from wfgen import Workflow, define_workflow


class Signup(BaseModel):
    email: str
    name: str


@define_workflow
async def onboarding(workflow: Workflow, signup: Signup) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
    ),
)
