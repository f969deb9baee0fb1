"""WF305: a `finally` ends with `return`, `break` or `continue`, which drops errors and cancelling."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF305",
    name="return-in-finally",
    severity="error",
    summary="A `finally` ends with `return`, `break` or `continue`, which drops errors and cancelling.",
    what="Reports `return` in a `finally`, and `break` and `continue` that lead out of one, in workflow code.",
    why="Whatever ended the `try` is dropped: an error, the cancelling of the run, `continue_as_new`. The run "
    "completes as if nothing had happened.",
    remedy="Move it behind the `try` statement.",
    check=reported("WF305"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> str:
    try:
        await workflow.sleep("wait", "1d")
    finally:
        return "done"  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> None:
    for number in range(3):
        try:
            await workflow.sleep("wait", "1d")
        finally:
            if number:
                break  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def order(workflow: Workflow) -> str:
    try:
        await workflow.sleep("wait", "1d")
    finally:
        for word in ("almost", "done"):
            if word == "done":
                break
            workflow.log.info(word)
    return "done"
"""),
    ),
)
