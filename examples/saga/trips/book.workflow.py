"""Book a trip: flight, hotel, car, insurance, payment. If one of them fails, what was booked before is cancelled."""

import asyncio

from trips.models import Invoice, Trip
from trips.wfgen_gen import Workflow
from wfgen import define_workflow

INSURED_FROM = 500.0


@define_workflow(name="book", tags=["travel"])
async def book(workflow: Workflow, trip: Trip) -> Invoice:
    """Book all parts, and take the money last: it is what cannot be undone for free."""
    flight = await workflow.do("book flight", "flights.book", trip, compensate="flights.cancel")

    # Hotel and car depend on the flight, not on each other. The car is conditional.
    parts = [workflow.do("book hotel", "hotels.book", trip, compensate="hotels.cancel")]
    if trip.with_car:
        parts.append(workflow.do("book car", "cars.book", trip, compensate="cars.cancel"))
    bookings = [flight, *await asyncio.gather(*parts)]

    # The insurance depends on the price of all that was booked before.
    if sum(booking.price for booking in bookings) >= INSURED_FROM:
        bookings.append(await workflow.do("insure", "insurance.buy", bookings, compensate="insurance.cancel"))

    invoice = Invoice(
        trip_id=trip.id,
        total=sum(booking.price for booking in bookings),
        references=[booking.reference for booking in bookings],
    )
    await workflow.do("charge", "payments.charge", invoice)
    return invoice
