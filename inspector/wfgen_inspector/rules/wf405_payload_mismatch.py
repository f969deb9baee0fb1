"""WF405: a step gives its worker data that it does not take."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen_inspector.contracts.judging import inputs
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, Sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for each that does not fit."""
    for found in inputs(project):
        yield Finding(found.file, found.span, found.message, found.hint, found.related)


RULE = Rule(
    code="WF405",
    name="payload-mismatch",
    severity="error",
    summary="A step gives its worker data that it does not take.",
    what="Compares the data of `do`, `call` and `start` with the signature of the worker or workflow: data that is "
    "missing, data where none is taken, and values whose type is certainly another one. Types come from "
    "annotations, literals, constructors and results of earlier steps; what is not certain is not reported.",
    why="The run fails when it gets to the step, which may be days after its start.",
    remedy="Give the value that the worker takes, or change its signature.",
    check=check,
    invalid=(
        Sample(
            {
                "checkout.workflow.py": """\
from models import Order
from wfgen import Workflow, define_workflow


@define_workflow
async def checkout(workflow: Workflow, order: Order) -> str:
    return await workflow.do("charge", "payments.charge", "order 42")  # <- here
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
async def checkout(workflow: Workflow, order: Order) -> str:
    receipt = await workflow.do("charge", "payments.charge", order)
    await workflow.do("count", "payments.count", order)  # <- here
    await workflow.do("again", "payments.charge", receipt)  # <- here
    return await workflow.do("empty", "payments.charge")  # <- here
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
from models import Order, User
from wfgen import Workflow, define_workflow


@define_workflow
async def checkout(workflow: Workflow, order: Order) -> str:
    user = User(name="Ada")
    return await workflow.do("charge", "payments.charge", user)  # <- here
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
    await workflow.do("count", "payments.count")
    await workflow.do("count none", "payments.count", None)
    await workflow.do("literal", "payments.charge", {"id": "1", "total": 5})
    copy = order.model_copy(update={"total": 0})
    return await workflow.do("charge", "payments.charge", copy)
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
