"""WF204: workflow code does input or output."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, Sample, sample

RULE = Rule(
    code="WF204",
    name="input-output",
    severity="error",
    summary="Workflow code does input or output.",
    what="Reports files, sockets, HTTP clients, processes and databases that are used in workflow code. "
    "Directly, or through any number of functions, methods, properties and default factories of the "
    "project; the finding then comes with the calls that lead there. What `impure` in "
    "`[tool.wfgen.determinism]` names counts as well.",
    why="It happens again in every replay, and may give something else; on the workflow's own event loop, "
    "sockets do not work at all.",
    remedy="Do it in a step or a worker: it runs at least once, and its result is recorded once.",
    check=reported("WF204"),
    chained=True,
    invalid=(
        sample("""\
from pathlib import Path

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, name: str) -> None:
    text = Path(name).read_text()  # <- here
    await workflow.do("send", print, text)
"""),
        Sample(
            {
                "flows/__init__.py": """\
""",
                "flows/rates.py": """\
import httpx


class Rates:
    def __init__(self, base: str) -> None:
        self.client = httpx.Client(base_url=base)

    def of(self, currency: str) -> float:
        return float(self.client.get(f"/{currency}").text)
""",
                "flows/flow.workflow.py": """\
from flows.rates import Rates
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow) -> None:
    rates = Rates("https://rates.example")
    rate = rates.of("EUR")  # <- here
    await workflow.do("charge", print, rate)
""",
            }
        ),
    ),
    valid=(
        sample("""\
from pathlib import Path

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, name: str) -> None:
    path = Path("reports") / name
    text = await workflow.do("read", path.read_text)
    await workflow.do("send", lambda: open(path, "a").write(text))
"""),
    ),
)
