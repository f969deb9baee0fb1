"""WF406: a step's result is declared as a type that it certainly is not."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen_inspector.contracts.judging import results
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for each that does not fit."""
    for found in results(project):
        yield Finding(found.file, found.span, found.message, found.hint, found.related)


RULE = Rule(
    code="WF406",
    name="result-mismatch",
    severity="error",
    summary="A step's result is declared as a type that it certainly is not.",
    what="Compares the result of a step with the annotation of the variable that takes it, and of the function that "
    "returns it.",
    why="The workflow goes on with a value of another type than it says, or fails when its result is recorded.",
    remedy="Make the two types agree.",
    check=check,
    invalid=(
        Sample(
            {
                "checkout.workflow.py": """\
from models import Order
from wfgen import Workflow, define_workflow


@define_workflow
async def checkout(workflow: Workflow, order: Order) -> str:
    receipt: int = await workflow.do("charge", "payments.charge", order)  # <- here
    return str(receipt)
""",
                "payments.worker.py": """\
from models import Order
from wfgen import define_worker


@define_worker("payments.charge")
async def charge(order: Order) -> str:
    return f"receipt-{order.id}"


@define_worker("payments.count")
async def count() -> int:
    return 1
""",
                "models.py": """\
from pydantic import BaseModel


class Order(BaseModel):
    id: str
    total: float


class User(BaseModel):
    name: str
""",
            }
        ),
        Sample(
            {
                "checkout.workflow.py": """\
from models import Order
from wfgen import Workflow, define_workflow


@define_workflow
async def checkout(workflow: Workflow, order: Order) -> Order:
    return await workflow.do("charge", "payments.charge", order)  # <- here
""",
                "payments.worker.py": """\
from models import Order
from wfgen import define_worker


@define_worker("payments.charge")
async def charge(order: Order) -> str:
    return f"receipt-{order.id}"


@define_worker("payments.count")
async def count() -> int:
    return 1
""",
                "models.py": """\
from pydantic import BaseModel


class Order(BaseModel):
    id: str
    total: float


class User(BaseModel):
    name: str
""",
            }
        ),
    ),
    valid=(
        Sample(
            {
                "checkout.workflow.py": """\
from models import Order
from wfgen import Workflow, define_workflow


@define_workflow
async def checkout(workflow: Workflow, order: Order) -> str:
    receipt: str | None = await workflow.do("charge", "payments.charge", order)
    count: float = await workflow.do("count", "payments.count")
    return f"{receipt} {count}"
""",
                "payments.worker.py": """\
from models import Order
from wfgen import define_worker


@define_worker("payments.charge")
async def charge(order: Order) -> str:
    return f"receipt-{order.id}"


@define_worker("payments.count")
async def count() -> int:
    return 1
""",
                "models.py": """\
from pydantic import BaseModel


class Order(BaseModel):
    id: str
    total: float


class User(BaseModel):
    name: str
""",
            }
        ),
    ),
)
