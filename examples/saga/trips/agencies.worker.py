"""The agencies. Each booking is made under the step's own key, so that a repeated step books once."""

from trips.models import Booking, Invoice, Trip
from wfgen import Job, Retry, define_worker

PATIENT = Retry(attempts=10, delay="1m", maximum="1h")
"""Of what undoes: it must happen, be it hours later."""


@define_worker("flights.book", retry=Retry(attempts=3, delay="10s"))
async def book_flight(trip: Trip, job: Job) -> Booking:
    return Booking(trip_id=trip.id, what="flight", reference=f"FL-{job.idempotency_key[-4:]}", price=320.0)


@define_worker("flights.cancel", retry=PATIENT)
async def cancel_flight(booking: Booking) -> None:
    print("cancelled", booking.reference)


@define_worker("hotels.book", retry=Retry(attempts=3, delay="10s"))
async def book_hotel(trip: Trip, job: Job) -> Booking:
    return Booking(trip_id=trip.id, what="hotel", reference=f"HO-{job.idempotency_key[-4:]}", price=90.0 * trip.nights)


@define_worker("hotels.cancel", retry=PATIENT)
async def cancel_hotel(booking: Booking) -> None:
    print("cancelled", booking.reference)


@define_worker("cars.book", retry=Retry(attempts=3, delay="10s"))
async def book_car(trip: Trip, job: Job) -> Booking:
    return Booking(trip_id=trip.id, what="car", reference=f"CA-{job.idempotency_key[-4:]}", price=35.0 * trip.nights)


@define_worker("cars.cancel", retry=PATIENT)
async def cancel_car(booking: Booking) -> None:
    print("cancelled", booking.reference)


@define_worker("insurance.buy")
async def insure(bookings: list[Booking], job: Job) -> Booking:
    price = round(sum(booking.price for booking in bookings) * 0.05, 2)
    return Booking(
        trip_id=bookings[0].trip_id, what="insurance", reference=f"IN-{job.idempotency_key[-4:]}", price=price
    )


@define_worker("insurance.cancel", retry=PATIENT)
async def cancel_insurance(booking: Booking) -> None:
    print("cancelled", booking.reference)


@define_worker("payments.charge", retry=Retry(attempts=3, delay="10s"), timeout="30s")
async def charge(invoice: Invoice) -> None:
    print("charged", invoice.total)
