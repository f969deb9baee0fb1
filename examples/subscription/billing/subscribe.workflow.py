"""Charge every month until the customer cancels or does not pay; begin anew each year, with a fresh history."""

from billing.models import Cancellation, Charge, End, Subscription
from billing.wfgen_gen import Workflow
from wfgen import HookTimeoutError, StepError, define_workflow

MONTHS = 12
"""After which the history is left behind."""


@define_workflow(name="subscribe")
async def subscribe(workflow: Workflow, subscription: Subscription) -> End:
    """One year of a subscription, and then the next."""
    for _ in range(MONTHS):
        charge = Charge(customer=subscription.customer, period=subscription.period, amount=subscription.price)
        try:
            await workflow.do("charge", "cards.charge", charge)
        except StepError:
            await workflow.do("say that it ends", "mail.farewell", subscription.customer)
            return End(customer=subscription.customer, periods=subscription.period - 1, why="not paid")
        try:
            # The month goes by here, unless the customer cancels first.
            await workflow.hook("cancellation", Cancellation, timeout="30d")
        except HookTimeoutError:
            subscription.period += 1
        else:
            await workflow.do("say goodbye", "mail.farewell", subscription.customer)
            return End(customer=subscription.customer, periods=subscription.period, why="cancelled")
    workflow.continue_as_new(subscription)
