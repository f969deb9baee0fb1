"""WF202: workflow code draws random numbers or ids."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF202",
    name="randomness",
    severity="error",
    summary="Workflow code draws random numbers or ids.",
    what="Reports the functions of `random`, an unseeded `random.Random()`, `secrets`, `uuid.uuid1()` and "
    "`uuid4()`, `os.urandom()` and well-known packages in workflow code. Directly, or through any number "
    "of functions, methods, properties and default factories of the project; the finding then comes with "
    "the calls that lead there.",
    why="A replay would draw other numbers: other names, other branches, other ids for the same order.",
    remedy="Use `workflow.uuid()` and `workflow.random()`, which give the same in every replay, or draw in a "
    "step. `random.Random(42)` and `uuid.uuid5(…)` are fine.",
    check=reported("WF202"),
    fixes="both",
    chained=True,
    invalid=(
        sample("""\
import uuid

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    token = uuid.uuid4()  # <- here
    await workflow.do("send", print, str(token))
"""),
        sample("""\
import uuid

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    await workflow.do("send", print, str(uuid.uuid1()))  # <- here
"""),
    ),
    valid=(
        sample("""\
import random
import uuid

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    token = workflow.uuid()
    order = uuid.uuid5(uuid.NAMESPACE_URL, "order")
    dice = random.Random(42)
    await workflow.do("send", print, [str(token), str(order), dice.random(), workflow.random().random()])
    await workflow.do("draw", lambda: random.random())
"""),
    ),
)
