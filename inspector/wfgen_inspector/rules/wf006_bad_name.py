"""WF006: a name of a workflow, a version or a worker that is not allowed."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF006",
    name="bad-name",
    severity="error",
    summary="A workflow, version or worker has a name that is not allowed.",
    what="Reports names other than letters, digits, `_`, `-` and `.`, up to 128 of them, ASCII only, "
    "and workers without an id.",
    why="Names become identifiers, file names, parts of URLs and keys in the store; what is not safe in all of them is "
    "safe in none.",
    remedy="Choose a name of letters, digits, `_`, `-` and `.`. For text that people read, use `description=`.",
    check=reported("WF006"),
    required=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow(name="sign up!")  # <- here
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow(name="app", version="1 (beta)")  # <- here
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
        sample(
            """\
from wfgen import define_worker


@define_worker("users/create")  # <- here
async def create_user(email: str) -> str:
    return email
""",
            path="users.worker.py",
        ),
        sample(
            """\
from wfgen import define_worker


@define_worker  # <- here
async def create_user(email: str) -> str:
    return email
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow(name="crm.sign-up", version="2024.1", description="Sign up!")
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
    ),
)
