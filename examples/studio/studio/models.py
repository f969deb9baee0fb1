"""What goes between the album and its workers."""

from pydantic import BaseModel


class Picture(BaseModel):
    """One picture of an album."""

    album: str
    name: str


class Album(BaseModel):
    """What a customer orders."""

    id: str
    pictures: list[str]


class Delivery(BaseModel):
    """What the customer gets."""

    album: str
    prints: list[str]
    message: str
