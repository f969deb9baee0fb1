"""What crosses between the workflow, its workers and the application."""

from typing import Literal

from pydantic import BaseModel


class Subscription(BaseModel):
    """All that a subscription has to know: it is what its next year begins with."""

    customer: str
    price: float
    period: int = 1
    """The month that is to be paid, from 1."""


class Charge(BaseModel):
    customer: str
    period: int
    amount: float


class Cancellation(BaseModel):
    reason: str


class End(BaseModel):
    customer: str
    periods: int
    """Months that were paid."""
    why: Literal["cancelled", "not paid"]
