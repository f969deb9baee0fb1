"""WF203: workflow code reads the environment or the identity of the host."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF203",
    name="environment",
    severity="warning",
    summary="Workflow code reads the environment or the identity of the host.",
    what="Reports `os.environ`, `os.getenv()`, `os.getpid()`, `os.getcwd()`, `sys.argv`, "
    "`socket.gethostname()`, `platform.node()` and their kin in workflow code. Directly, or through any "
    "number of functions, methods, properties and default factories of the project; the finding then "
    "comes with the calls that lead there.",
    why="A run may go on in another process, on another host, with another configuration, and would take "
    "another way there.",
    remedy="Pass it in as input, or read it in a step, whose result is recorded.",
    check=reported("WF203"),
    chained=True,
    invalid=(
        sample("""\
import os

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    if os.environ.get("REGION") == "eu":  # <- here
        await workflow.do("tax", print)
"""),
    ),
    valid=(
        sample("""\
import os

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    region = await workflow.do("region", lambda: os.environ["REGION"])
    await workflow.do("tax", print, os.path.join("tax", region))
"""),
    ),
)
