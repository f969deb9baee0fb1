"""What crosses between the workflow and its workers."""

from pydantic import BaseModel


class Signup(BaseModel):
    email: str
    amount: float
    interests: list[str] = []


class User(BaseModel):
    id: str
    email: str


class Mail(BaseModel):
    to: str
    subject: str
