"""WF012: a suppression that suppresses nothing."""

from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF012",
    name="unused-suppression",
    severity="warning",
    summary="A `# wfgen: ignore[…]` comment suppresses nothing, or names no code.",
    what="Reports suppressions without a code, with a code that does not exist or cannot be suppressed, and those on "
    "whose statement there is no such finding.",
    why="A comment that outlives its reason hides the next finding, which nobody looked at.",
    remedy="Remove the code or the comment, or name the code that is meant: `# wfgen: ignore[WF101]`. A comment counts "
    "for the statement on which it stands.",
    on_statement=False,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")  # wfgen: ignore[WF101]  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")  # wfgen: ignore  # <- here
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow) -> None:
    await workflow.sleep("wait", "1d")  # wfgen: ignore[WF999]  # <- here
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def remind(workflow: Workflow, days: list[str]) -> None:
    for day in days:
        await workflow.sleep(f"wait_{day}", "1d")  # wfgen: ignore[WF101]
"""),
        sample('''\
from wfgen import Workflow, define_workflow

TEXT = "# wfgen: ignore[WF101]"


@define_workflow
async def remind(workflow: Workflow, days: list[str]) -> None:
    """Suppress with `# wfgen: ignore[WF101]`."""
    for day in days:
        await workflow.sleep(  # wfgen: ignore[WF101]
            f"wait_{day}",
            "1d",
        )
        await workflow.sleep(
            f"pause_{day}",
            "1d",
        )  # wfgen: ignore[WF101]
'''),
    ),
)
