"""Stock, payments and shipping. Each takes a little while, as the real ones do."""

import asyncio
import os
import time

from orders.database import happen
from orders.models import Order, Payment, Reservation
from wfgen import Job, Retry, define_worker

PAUSE = float(os.environ.get("ORDERS_PAUSE", "0.3"))


class OutOfTruck(Exception):
    """Nobody drives there."""


@define_worker("stock.reserve", retry=Retry(attempts=5, delay="100ms"))
def reserve(reservation: Reservation, job: Job) -> int:
    """Set items aside; gives how many."""
    happen(job, "reserved", f"{reservation.item.count} x {reservation.item.sku}")
    time.sleep(PAUSE)
    return reservation.item.count


@define_worker("stock.release")
def release(reservation: Reservation, job: Job) -> None:
    """Put items back."""
    happen(job, "released", f"{reservation.item.count} x {reservation.item.sku}")


@define_worker("payments.charge", retry=Retry(attempts=3, delay="100ms"), timeout="30s")
def charge(order: Order, job: Job) -> Payment:
    """Take the money."""
    happen(job, "charged", f"{order.total:.2f} from {order.customer}")
    time.sleep(PAUSE)
    return Payment(order_id=order.id, amount=order.total)


@define_worker("payments.refund", retry=Retry(attempts=10, delay="100ms"))
def refund(payment: Payment, job: Job) -> None:
    """Give the money back."""
    happen(job, "refunded", f"{payment.amount:.2f}")


@define_worker("shipping.ship", retry=Retry(attempts=2, delay="50ms"))
async def ship(order: Order, job: Job) -> str:
    """Hand the parcel over; gives its tracking number. Nobody ships to the moon."""
    await asyncio.to_thread(happen, job, "shipped", order.id)
    await asyncio.sleep(PAUSE)
    if order.customer == "the moon":
        raise OutOfTruck(order.customer)
    return f"TRACK-{order.id}"
