"""WF206: workflow code uses `hash()` or `id()`."""

from wfgen_inspector.rules.reported import reported
from wfgen_inspector.rules.rule import Rule, sample

RULE = Rule(
    code="WF206",
    name="hash-or-id",
    severity="warning",
    summary="Workflow code uses `hash()` or `id()`.",
    what="Reports calls of the builtins `hash()` and `id()` in workflow code. Directly, or through any number "
    "of functions, methods, properties and default factories of the project; the finding then comes with "
    "the calls that lead there.",
    why="An address is another one in every process, and so is the hash of a text, of bytes and of most objects.",
    remedy="Use a key of the data itself, or `hashlib`, whose digests are the same everywhere.",
    check=reported("WF206"),
    chained=True,
    invalid=(
        sample("""\
from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, customer: str) -> None:
    shard = hash(customer) % 8  # <- here
    await workflow.do("route", print, shard)
"""),
    ),
    valid=(
        sample("""\
import zlib

from wfgen import Workflow, define_workflow


@define_workflow
async def flow(workflow: Workflow, customer: str) -> None:
    shard = zlib.crc32(customer.encode()) % 8
    await workflow.do("route", print, shard)
"""),
    ),
)
