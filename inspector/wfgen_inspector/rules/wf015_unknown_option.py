"""WF015: an option of a definition that has a value which nobody knows."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF015",
    name="unknown-option",
    severity="error",
    summary="A definition says in an unknown word where its steps go.",
    what='Reports `dispatch=` of a worker that is neither `"inline"` nor `"queue"`, and `execution_mode=` of a '
    'workflow that is neither `"inline"` nor `"remote"`, where the source shows the value.',
    why="The file cannot be loaded, so none of its workflows and workers can be used.",
    remedy='`"inline"` runs a step in the run\'s process; `"queue"`, or `"remote"` for all steps of a workflow whose '
    "workers do not say, hands it to any process that takes jobs.",
    check=reported("WF015"),
    invalid=(
        sample(
            """\
from wfgen import define_worker


@define_worker("mail.send", dispatch="queued")  # <- here
async def send(to: str) -> None: ...
""",
            path="mail.worker.py",
        ),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow(
    name="remind",
    execution_mode="queue",  # <- here
)
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
"""),
    ),
    valid=(
        sample(
            """\
from wfgen import define_worker


@define_worker("mail.send", dispatch="queue")
async def send(to: str) -> None: ...
""",
            path="mail.worker.py",
        ),
    ),
)
