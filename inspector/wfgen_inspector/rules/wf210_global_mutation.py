"""WF210: workflow code depends on state that all runs of a process share."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF210",
    name="global-mutation",
    severity="warning",
    summary="Workflow code depends on state that all runs of a process share.",
    what="Reports `global` names that workflow code rebinds, or reads while another function rebinds them, and "
    "changes of lists, dicts, sets and objects of a module or a class: by a method, an attribute or a "
    "subscript. Directly, or through any number of functions, methods, properties and default factories "
    "of the project; the finding then comes with the calls that lead there.",
    why="Several runs share the process, and a replay starts in a new one: it would find another state than "
    "the first time.",
    remedy="Keep it in the workflow's own variables, or in a store that steps read and change.",
    check=reported("WF210"),
    chained=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


seen: list[str] = []


@define_workflow
async def flow(workflow: Workflow, order: str) -> None:
    seen.append(order)  # <- here
    await workflow.do("charge", print, order)
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


LIMITS = {"charge": "30s"}


@define_workflow
async def flow(workflow: Workflow, orders: list[str]) -> None:
    seen: list[str] = []
    for order in orders:
        seen.append(order)
        await workflow.do("charge", print, order, timeout=LIMITS["charge"])
"""),
    ),
)
