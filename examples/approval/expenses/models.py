"""What crosses between the workflow, its workers and the application."""

from typing import Literal

from pydantic import BaseModel


class Expense(BaseModel):
    id: str
    employee: str
    manager: str
    director: str
    amount: float


class Question(BaseModel):
    """A mail that asks for a decision; the link in it carries the token."""

    to: str
    expense: Expense
    token: str
    reminder: int = 0
    """How often it was asked before."""


class Decision(BaseModel):
    approved: bool
    by: str
    comment: str = ""


class Outcome(BaseModel):
    expense_id: str
    status: Literal["paid", "rejected", "expired"]
    by: str | None = None
