"""What crosses between the workflow, its workers and the application."""

from pydantic import BaseModel


class Trip(BaseModel):
    id: str
    traveller: str
    destination: str
    nights: int
    with_car: bool = False


class Booking(BaseModel):
    trip_id: str
    what: str
    reference: str
    price: float


class Invoice(BaseModel):
    trip_id: str
    total: float
    references: list[str]
