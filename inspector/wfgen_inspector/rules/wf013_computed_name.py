"""WF013: a name, version or id that is known only when the program runs."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF013",
    name="computed-name",
    severity="error",
    summary="The name or version of a workflow, or the id of a worker, cannot be read from the source.",
    what="Reports a definition whose name, version or id is neither a literal nor a constant that the source shows.",
    why="Clients, the registry and the types are generated from the source, which is never executed for it; a "
    "definition without a known name would be missing in all of them.",
    remedy="Write the name as a string literal, or as a module constant made of literals.",
    check=reported("WF013"),
    required=True,
    invalid=(
        sample("""\
import os

from wfgen import Workflow, define_workflow


@define_workflow(name=os.environ["NAME"])  # <- here
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
        sample(
            """\
from wfgen import define_worker


def worker_id() -> str:
    return "users.create"


@define_worker(worker_id())  # <- here
async def create_user(email: str) -> str:
    return email
""",
            path="users.worker.py",
        ),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow

AREA = "crm"
NAME = AREA + ".onboarding"


@define_workflow(name=NAME, version="2")
async def app(workflow: Workflow) -> None:
    await workflow.sleep("cool_off", "5m")
"""),
    ),
)
