"""Fulfil an order: reserve, charge, approve, ship; undo when it cannot be shipped."""

import asyncio

from orders.models import Approval, Order, Outcome, Reservation
from orders.wfgen_gen import Workflow, workers
from wfgen import StepError, define_workflow


@define_workflow(name="fulfil", version="1", tags=["shop"], timeout="30d")
async def fulfil(workflow: Workflow, order: Order) -> Outcome:
    """Reserve stock for each item, charge, wait for approval, ship."""
    reservations = [Reservation(order_id=order.id, item=item) for item in order.items]
    await asyncio.gather(
        *[
            workflow.do(f"reserve {r.item.sku}", "stock.reserve", r, description="Set one item aside")
            for r in reservations
        ]
    )
    payment = await workflow.do("charge", "payments.charge", order)

    approval = await workflow.hook("approval", Approval, timeout="7d")
    if approval.ok:
        try:
            tracking = await workflow.do("ship", workers.shipping.ship, order)
            return Outcome(order_id=order.id, status="shipped", tracking=tracking)
        except StepError as error:
            workflow.log.warning("order %s cannot be shipped: %s", order.id, error)

    await workflow.do("refund", "payments.refund", payment)
    for reservation in reservations:
        await workflow.do(
            f"release {reservation.item.sku}", "stock.release", reservation, description="Put one item back"
        )
    return Outcome(order_id=order.id, status="refunded" if approval.ok else "declined")
