"""Cards and mail."""

from billing.models import Charge
from wfgen import Job, Retry, define_worker


@define_worker("cards.charge", retry=Retry(attempts=4, delay="1d", factor=2, maximum="7d"))
async def charge(charge: Charge, job: Job) -> str:
    """Try for a week. The key keeps a month from being paid twice."""
    return f"{job.idempotency_key}: {charge.amount:.2f}"


@define_worker("mail.farewell", retry=Retry(attempts=5, delay="1m"))
async def farewell(customer: str) -> None:
    print(f"goodbye, {customer}")
