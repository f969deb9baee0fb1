"""WF205: workflow code depends on the order of a set."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF205",
    name="unordered-iteration",
    severity="warning",
    summary="Workflow code depends on the order of a set.",
    what="Reports a loop over a set that runs steps, awaits, gives something back or fills a list; `list(…)`, "
    "`tuple(…)`, `join(…)`, `pop()` and unpacking of a set; and loops over what `asyncio.wait` gives. "
    "Directly, or through any number of functions, methods, properties and default factories of the "
    "project; the finding then comes with the calls that lead there. What does not depend on the order "
    "(`sorted`, `len`, `sum`, `in`, another set) is no finding, nor is a set of numbers.",
    why="The hash of a text differs from process to process, and with it the order of a set. A replay would "
    "run the steps in another order.",
    remedy="Put `sorted(…)` around the set, or use a list or a dict, which keep the order in which they were filled.",
    check=reported("WF205"),
    fixes="unsafe",
    chained=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    for name in {"stock", "fraud"}:  # <- here
        await workflow.do(f"check {name}", print, name, description="check")
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, names: list[str]) -> None:
    wanted = set(names)
    for name in sorted(wanted):
        await workflow.do("check", print, name)
    if "stock" in wanted and len(wanted) > 1:
        await workflow.do("both", print, sum(len(name) for name in wanted))
"""),
    ),
)
