"""What the workers work: steps in the run's process and on queues, threads, sleeps, hooks, children."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from wfgen import Job, Retry, StepError, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.registry import Registry

from . import effects
from .effects import noted

AGAIN = Retry(attempts=100, delay="10ms", factor=1)
"""However often its process dies."""

ONCE = frozenset({"once", "queued-once"})
"""Names of the steps that run at most once."""
JOBS = {"chaotic": frozenset({"queued", "queued-thread", "queued-once"}), "below": frozenset({"queued"})}
"""Names of the steps on queues."""
STEPS = {
    "chaotic": frozenset({"here", "thread", "plain"}) | ONCE | JOBS["chaotic"],
    "below": frozenset({"here"}) | JOBS["below"],
}
"""Names of all steps that have an effect."""


def pause(number: int) -> float:
    """How long steps take, in seconds: most are brief, some are at work when something happens to their process."""
    return 0.4 if number % 7 == 0 else 0.01 * (number % 3)


def fail_at_first(number: int, job: Job) -> None:
    if number % 5 == 0 and job.attempt == 1:
        raise ConnectionError("once")


@define_worker("here", retry=AGAIN)
async def here(number: int, job: Job) -> int:
    await noted(job)
    fail_at_first(number, job)
    await asyncio.sleep(pause(number))
    return number * 2


@define_worker("thread", retry=AGAIN)
def thread(number: int, job: Job) -> int:
    effects.note(job.run_id, job.key, job)
    time.sleep(pause(number))
    return number * 3


@define_worker("queued", retry=AGAIN, dispatch="queue")
async def queued(number: int, job: Job) -> int:
    await noted(job)
    fail_at_first(number, job)
    await asyncio.sleep(pause(number))
    return number * 5


@define_worker("queued-thread", retry=AGAIN, dispatch="queue")
def queued_thread(number: int, job: Job) -> int:
    effects.note(job.run_id, job.key, job)
    time.sleep(pause(number))
    return number * 7


@define_worker("once", at_most_once=True)
async def once(number: int, job: Job) -> int:
    await noted(job)
    return number


@define_worker("queued-once", at_most_once=True, dispatch="queue")
async def queued_once(number: int, job: Job) -> int:
    await noted(job)
    return number


@define_workflow
async def below(workflow: Workflow, number: int) -> list[int]:
    return [await workflow.do("here", "here", number), await workflow.do("queued", "queued", number)]


@define_workflow
async def chaotic(workflow: Workflow, number: int) -> list[Any]:
    found: list[Any] = [await workflow.do("here", "here", number)]
    found += await asyncio.gather(
        workflow.do("queued", "queued", number),
        workflow.do("thread", "thread", number),
        workflow.do("queued-thread", "queued-thread", number),
    )
    await workflow.sleep("rest", "30ms")
    found.append(await workflow.hook("early", str))
    for name in ("once", "queued-once"):
        result = await workflow.do(name, name, number, on_error="continue")
        found.append(result.error_type if isinstance(result, StepError) else result)
    found.append(await workflow.call("child", "below", number))
    await workflow.do("plain", lambda: effects.note(workflow.run_id, "0/plain"))
    found.append(await workflow.hook("late", str))
    return found


def expected(number: int) -> list[Any]:
    """The result of a run, undisturbed."""
    return [number * 2, number * 5, number * 3, number * 7, "early", number, number, [number * 2, number * 5], "late"]


def registry() -> Registry:
    found = Registry("none")
    found.register(*globals()[NAMESPACE].values())
    return found
