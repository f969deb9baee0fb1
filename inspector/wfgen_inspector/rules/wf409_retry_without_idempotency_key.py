"""WF409: a worker that is retried sends something without a key that makes it count once."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen_inspector.contracts.judging import repeated
from wfgen_inspector.facts import Project
from wfgen_inspector.rules.rule import Finding, Rule, sample


def check(project: Project) -> Iterator[Finding]:
    """One finding for each worker."""
    for facts, worker, effect in repeated(project):
        yield Finding(
            facts.path,
            effect.span,
            f"worker {worker.entry.id!r} is retried, and each attempt calls `{effect.called}` again.",
            "Take the worker's `Job` and send its `idempotency_key`.",
        )


RULE = Rule(
    code="WF409",
    name="retry-without-idempotency-key",
    severity="info",
    summary="A worker that is retried sends something without a key that makes it count once.",
    what="Reports workers that are tried more than once and send an HTTP POST or PATCH, a mail or a payment, when "
    "neither a `Job` is taken nor anything like an idempotency key is mentioned. This is advice.",
    why="An attempt may fail after its effect: a timeout, a lost answer, a crash before the result is recorded. "
    "The next attempt then has the effect a second time.",
    remedy="Take the `Job` (`async def charge(order: Order, job: Job)`) and send `job.idempotency_key`: it is the same "
    "in every attempt, also in another process.",
    check=check,
    invalid=(
        sample(
            """\
import httpx

from wfgen import Retry, define_worker


@define_worker("payments.charge", retry=Retry(attempts=3))
def charge(amount: int) -> int:
    return httpx.post("https://pay.example/charges", json={"amount": amount}).status_code  # <- here
""",
            path="payments.worker.py",
        ),
    ),
    valid=(
        sample(
            """\
import httpx

from wfgen import Job, Retry, define_worker


@define_worker("payments.charge", retry=Retry(attempts=3))
def charge(amount: int, job: Job) -> int:
    headers = {"Idempotency-Key": job.idempotency_key}
    return httpx.post("https://pay.example/charges", json={"amount": amount}, headers=headers).status_code


@define_worker("payments.log")
def log(amount: int) -> int:
    return httpx.post("https://pay.example/log", json={"amount": amount}).status_code


@define_worker("payments.look", retry=Retry(attempts=3))
def look(number: int) -> str:
    return httpx.get(f"https://pay.example/charges/{number}").text
""",
            path="payments.worker.py",
        ),
    ),
)
