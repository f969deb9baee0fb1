"""WF309: a handler passes over every error of a step in silence."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF309",
    name="silent-except",
    severity="info",
    summary="A handler passes over every error of a step in silence.",
    what="Reports `except Exception` around a step when all it does is `pass` or `continue`, without a comment that "
    "says why.",
    why="A step raises when its last attempt has failed. Passing over that hides mistakes of the workflow's own "
    "code too.",
    remedy="Catch the error that is expected, log it with `workflow.log`, or say in a comment why it does not matter."
    "Catch the error that is expected, log it with `workflow.log`, or say in a comment why it does not matter.",
    check=reported("WF309"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    try:
        await workflow.do("notify", lambda: "sent")
    except Exception:  # <- here
        pass
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    try:
        await workflow.do("notify", lambda: "sent")
    except Exception as error:
        workflow.log.warning("not notified: %s", error)
    try:
        await workflow.do("count", lambda: 1)
    except Exception:
        pass  # the count is for statistics only
"""),
    ),
)
