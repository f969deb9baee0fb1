"""What crosses between the workflow, its workers and the application."""

from pydantic import BaseModel, Field


class Item(BaseModel):
    sku: str
    count: int = Field(default=1, gt=0)


class Order(BaseModel):
    id: str
    customer: str
    items: list[Item]
    total: float


class Reservation(BaseModel):
    order_id: str
    item: Item


class Payment(BaseModel):
    order_id: str
    amount: float


class Approval(BaseModel):
    ok: bool
    by: str


class Outcome(BaseModel):
    order_id: str
    status: str
    tracking: str | None = None
