"""WF302: a loop of steps can never end."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF302",
    name="unbounded-loop",
    severity="warning",
    summary="A loop of steps can never end.",
    what="Reports `while True` and its kin (`itertools.count()`, a condition that is constant) around a wait, when "
    "nothing in the loop leaves it: no `break`, `return`, `raise` or `continue_as_new`. Loops of helpers that "
    "run as tasks of their own are left alone: somebody may cancel them.",
    why="Every turn makes the run's history longer, and every replay slower, until it does not fit into memory.",
    remedy="Call `workflow.continue_as_new(data)` after some turns: the run goes on with a new history. Or let the "
    "loop end.",
    check=reported("WF302"),
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def watch(workflow: Workflow, url: str) -> None:
    while True:  # <- here
        await workflow.do("look", lambda: url.upper())
        await workflow.sleep("pause", "1h")
"""),
        sample("""\
import itertools

from wfgen import Workflow, define_workflow


@define_workflow
async def watch(workflow: Workflow) -> None:
    for turn in itertools.count(1):  # <- here
        workflow.log.info("turn %d", turn)
        await workflow.sleep("pause", "1h")
"""),
    ),
    valid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def watch(workflow: Workflow, url: str) -> None:
    for _ in range(1000):
        await workflow.do("look", lambda: url.upper())
        await workflow.sleep("pause", "1h")
    workflow.continue_as_new(url)
"""),
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def watch(workflow: Workflow, url: str) -> str:
    while True:
        found = await workflow.do("look", lambda: url.upper())
        if found:
            return found
        await workflow.sleep("pause", "1h")
"""),
    ),
)
