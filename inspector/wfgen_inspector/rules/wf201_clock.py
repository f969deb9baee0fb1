"""WF201: workflow code reads the clock."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, Sample, sample

RULE = Rule(
    code="WF201",
    name="clock",
    severity="error",
    summary="Workflow code reads the clock.",
    what="Reports `time.time()`, `datetime.now()`, `date.today()`, `time.monotonic()` and their kin in "
    "workflow code. Directly, or through any number of functions, methods, properties and default "
    "factories of the project; the finding then comes with the calls that lead there.",
    why="The body of a workflow is run again after a crash, perhaps days later. The clock then says something "
    "else, and the workflow may take another way than the one that is recorded.",
    remedy="Use `workflow.now()`: the time of the last thing that happened to the run, the same in every replay. "
    "A step may read the clock as it likes.",
    check=reported("WF201"),
    fixes="both",
    chained=True,
    invalid=(
        sample("""\
from datetime import UTC, datetime

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    if datetime.now(UTC).hour < 8:  # <- here
        await workflow.sleep("office hours", "8h")
"""),
        sample("""\
from datetime import datetime

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    started = datetime.now()  # <- here
    await workflow.do("report", print, started.isoformat())
"""),
        Sample(
            {
                "flows/__init__.py": """\
""",
                "flows/clock.py": """\
import time


def age(born: float) -> float:
    return time.time() - born
""",
                "flows/flow.workflow.py": """\
from flows.clock import age
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, born: float) -> None:
    if age(born) > 3600:  # <- here
        await workflow.do("expire", print)
""",
            }
        ),
    ),
    valid=(
        sample("""\
import time

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    if workflow.now().hour < 8:
        await workflow.sleep("office hours", "8h")
    await workflow.do("measure", lambda: time.time())
"""),
    ),
)
