"""WF301: a part of a workflow that cannot be drawn."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, Sample, sample

RULE = Rule(
    code="WF301",
    name="opaque-region",
    severity="warning",
    summary="A part of a workflow cannot be followed.",
    what="Reports recursion, generators, workflows whose function is not in the project, helpers that take the handle "
    "but are never seen to get it, and other places whose steps cannot be read. The graph shows them as opaque, with "
    "the reason.",
    why="The workflow runs, but what happens there is neither drawn nor checked.",
    remedy="Write the recursion as a loop, the generator as a plain helper that takes the handle, and workflows and "
    "such helpers in the project.",
    check=reported("WF301"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


async def countdown(workflow: Workflow, days: int) -> None:
    if days:
        await workflow.sleep("wait", "1d")
        await countdown(workflow, days - 1)  # <- here


@define_workflow
async def remind(workflow: Workflow, days: int) -> None:
    await countdown(workflow, days)
"""),
        sample("""\
from wfgen import Workflow, define_workflow


async def forgotten(workflow: Workflow) -> None:  # <- here
    await workflow.sleep("wait", "1d")


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
"""),
        sample("""\
from somewhere_else import remind

from wfgen import define_workflow

define_workflow(remind, name="remind")  # <- here
"""),
    ),
    valid=(
        Sample(
            {
                "app.workflow.py": """\
from helpers import remind

from wfgen import define_workflow

define_workflow(remind, name="remind")
""",
                "helpers.py": """\
from wfgen import Workflow


async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")
""",
            }
        ),
        sample("""\
from wfgen import Workflow, define_workflow


async def countdown(workflow: Workflow, days: int) -> None:
    for _ in range(days):
        await workflow.sleep("wait", "1d")


@define_workflow
async def remind(workflow: Workflow, days: int) -> None:
    await countdown(workflow, days)
"""),
    ),
)
