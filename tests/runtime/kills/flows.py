"""Workflows of every kind of step and operation, for processes that are killed."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

from wfgen import (
    HookTimeoutError,
    Job,
    NonRetryable,
    Outcome,
    Retry,
    RunFailedError,
    StepInterruptedError,
    StepTimeoutError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.graph import Graph, GraphStep
from wfgen.registry import Registry

from . import effects
from .effects import effect


@define_worker("remote", retry=Retry(attempts=3, delay="1ms"))
async def remote(name: str, job: Job) -> str:
    effect(job.run_id, job.key)
    if name == "flaky" and job.attempt == 1:
        raise ConnectionError("once")
    return name.upper()


@define_worker("blocking")
def blocking(name: str, job: Job) -> str:
    effect(job.run_id, job.key)
    return name.upper()


@define_worker("slow")
async def slow(job: Job) -> None:
    effect(job.run_id, job.key)
    await asyncio.sleep(30)


@define_worker("stuck")
def stuck(job: Job) -> None:
    """A thread that goes on for longer than anybody waits; on a slow machine it fails before that."""
    effect(job.run_id, job.key, late=True)
    time.sleep(0.03)
    raise NonRetryable("stuck")


@define_worker("short")
async def short(job: Job) -> str:
    effect(job.run_id, job.key)
    await asyncio.sleep(0.01)
    return job.step


@define_worker("losing")
async def losing(name: str, job: Job) -> str:
    effect(job.run_id, job.key)
    raise LookupError(name)


@define_worker("fragile")
async def fragile(job: Job) -> str:
    """Fails until somebody mends it."""
    effect(job.run_id, job.key)
    if not (effects.FOLDER / "mended").exists():
        raise NonRetryable("broken")
    return "MENDED"


@define_worker("once", at_most_once=True)
async def once(name: str, job: Job) -> str:
    effect(job.run_id, job.key, once=True)
    return name.upper()


@define_worker("once-in-a-thread", at_most_once=True)
def once_in_a_thread(name: str, job: Job) -> str:
    effect(job.run_id, job.key, once=True)
    return name.upper()


@define_worker("told")
async def told(outcome: Outcome, job: Job) -> None:
    effect(job.run_id, job.key)


AGAIN = Retry(attempts=100, delay="1ms", factor=1)
"""An attempt at a job counts even if its process was killed."""


@define_worker("queued", retry=AGAIN, dispatch="queue")
async def queued(name: str, job: Job) -> str:
    effect(job.run_id, job.key)
    if name == "flaky" and job.attempt == 1:
        raise ConnectionError("once")
    return name.upper()


@define_worker("queued-thread", retry=AGAIN, dispatch="queue")
def queued_thread(name: str, job: Job) -> str:
    effect(job.run_id, job.key)
    return name.upper()


@define_worker("reporting", retry=AGAIN, dispatch="queue")
async def reporting(job: Job) -> str:
    """Reports, and gives the report time to be kept."""
    effect(job.run_id, job.key)
    job.report("half")
    await asyncio.sleep(0.005)
    return "whole"


@define_worker("queued-once", at_most_once=True, dispatch="queue")
async def queued_once(name: str, job: Job) -> str:
    effect(job.run_id, job.key, once=True)
    return name.upper()


@define_worker("queued-slow", retry=AGAIN, dispatch="queue")
async def queued_slow(job: Job) -> None:
    effect(job.run_id, job.key)
    await asyncio.sleep(30)


@define_worker("stubborn", retry=Retry(attempts=100, delay="1h", factor=1), dispatch="queue")
async def stubborn(name: str, job: Job) -> str:
    """Fails until somebody mends it, or for good; and is to be tried again after an hour."""
    effect(job.run_id, job.key)
    if name == "spoilt" or not (effects.FOLDER / "mended").exists():
        raise ConnectionError("not yet")
    return "MENDED"


@define_workflow
async def handed(workflow: Workflow, name: str) -> list[Any]:
    """Steps on queues: one after the other, at once, retried, in a thread, given up, and one that goes its own way."""
    found: list[Any] = [await workflow.do("first", "queued", name)]
    found.append(await workflow.do("reporting", "reporting"))
    await workflow.do("alone", "queued", name, await_result=False)
    both = [workflow.do("flaky", "queued", "flaky"), workflow.do("threaded", "queued-thread", name)]
    found += await asyncio.gather(*both)
    try:
        found.append(await workflow.do("once", "queued-once", name))
    except StepInterruptedError:
        found.append(name.upper())
    losers = {"job": workflow.do("loses", "queued-slow"), "hook": workflow.hook("unheard", str)}
    first = await workflow.parallel({"quick": workflow.do("quick", "short"), **losers}, wait_for="any")
    return [*found, first["quick"]]


@define_workflow
async def stuck_jobs(workflow: Workflow, name: str) -> list[Any]:
    both = [workflow.do(step, "stubborn", step, on_error="continue") for step in ("mended", "spoilt")]
    return [one if isinstance(one, str) else one.error_type for one in await asyncio.gather(*both)]


@define_workflow
async def posted(workflow: Workflow, name: str) -> str:
    await workflow.do("alone", "queued", name, await_result=False)
    return "posted"


@define_workflow
async def steps(workflow: Workflow, name: str) -> list[Any]:
    found: list[Any] = [await workflow.do("async", "remote", name)]
    found.append(await workflow.do("sync", "blocking", name))
    workflow.emit("begun", {"steps": 2})
    await workflow.do("inline", lambda: effect(workflow.run_id, "0/inline"))
    workflow.progress(3, 8)
    found.append(await workflow.do("flaky", "remote", "flaky"))
    for late in ("slow", "stuck"):
        try:
            await workflow.do(late, late, timeout="10ms")
        except StepTimeoutError:
            found.append(late)
    await workflow.do("losing", "losing", name, on_error="continue")
    found.append([error.step for error in workflow.errors])
    found.append(workflow.patched("a new way"))
    found.append(await workflow.do("keyed", "remote", name, idempotency_key="mine"))
    return found


@define_workflow
async def most_once(workflow: Workflow, name: str) -> list[str]:
    """A step that was interrupted gives what it would have given."""
    found = []
    for worker in ("once", "once-in-a-thread"):
        try:
            found.append(await workflow.do(worker, worker, name))
        except StepInterruptedError:
            found.append(name.upper())
    both = [
        workflow.do(f"beside {worker}", worker, name, on_error="continue") for worker in ("once", "once-in-a-thread")
    ]
    return [
        *found,
        *(name.upper() if isinstance(one, StepInterruptedError) else one for one in await asyncio.gather(*both)),
    ]


@define_workflow
async def waits(workflow: Workflow, name: str) -> list[Any]:
    await workflow.sleep("nap", "1ms")
    found: list[Any] = [await workflow.hook("number", int)]
    hook = workflow.create_hook("sent", str)
    await workflow.do("send", "remote", hook.token)
    found.append(await hook)
    try:
        await workflow.hook("silence", str, timeout="1ms")
    except HookTimeoutError:
        found.append("late")
    await workflow.sleep_until("later", workflow.now() + timedelta(milliseconds=1))
    return found


@define_workflow
async def below(workflow: Workflow, name: str) -> str:
    if name == "fail":
        raise ValueError(name)
    if name == "forever":
        await workflow.hook("never", str)
    return str(await workflow.do("inside", "remote", name))


@define_workflow
async def family(workflow: Workflow, name: str) -> list[Any]:
    found: list[Any] = [await workflow.call("called", "below", "called")]
    started = await workflow.start("started", "below", "started", on_parent_end="cancel")
    await workflow.start("alone", "below", "alone", on_parent_end="abandon")
    await workflow.start("kept", "below", "forever", on_parent_end="cancel")
    try:
        await workflow.call("failing", "below", "fail")
    except RunFailedError:
        found.append("failed")
    found.append(await started)
    return found


@define_workflow
async def branches(workflow: Workflow, name: str) -> list[Any]:
    """Several at once, and losers of each kind that are cancelled."""

    async def two(number: str) -> list[str]:
        return [await workflow.do(f"{way} {number}", way, number) for way in ("remote", "blocking")]

    every = await workflow.parallel({"a": two("a"), "b": two("b")})
    losers: dict[str, Any] = {
        "step": workflow.do("loses", "slow"),
        "thread": workflow.do("loses too", "stuck"),
        "nap": workflow.sleep("sleeps on", "1h"),
        "hook": workflow.hook("unheard", str),
        "child": workflow.call("given up", "below", "forever"),
    }
    first = await workflow.parallel({"quick": workflow.do("quick", "short"), **losers}, wait_for="any")
    some = {str(n): workflow.do(f"some {n}", "remote", str(n)) for n in range(3)}
    enough = await workflow.parallel(some, wait_for=2, limit=2)
    gathered = await asyncio.gather(*[workflow.do(f"gathered {n}", "remote", str(n)) for n in range(2)])
    async with asyncio.TaskGroup() as group:
        for n in range(2):
            group.create_task(workflow.do(f"grouped {n}", "blocking", str(n)))
    return [every, first["quick"], len(enough) >= 2, gathered]


@define_workflow(before=["remote"], after=["told"])
async def undone(workflow: Workflow, name: str) -> None:
    workflow.compensate("plain", "blocking", name)
    booked = [workflow.do(f"booked {n}", "remote", f"{name}{n}", compensate="blocking") for n in range(2)]
    await asyncio.gather(*booked)
    await workflow.do("last", "remote", "flaky", compensate="remote")
    await workflow.do("losing", "losing", name, compensate="remote")


@define_workflow
async def guarded(workflow: Workflow, name: str) -> None:
    """Ends with what it does when it is cancelled."""
    await workflow.do("booked", "remote", name, compensate="blocking")
    try:
        await workflow.hook("never", str)
    finally:
        await workflow.do("cleaned up", "remote", name)


@define_workflow
async def parts(workflow: Workflow, left: int) -> str:
    await workflow.do(f"part {left}", "remote", str(left))
    if left:
        workflow.create_hook("open", str)
        await workflow.sleep("nap", "1ms")
        workflow.continue_as_new(left - 1)
    return "done"


@define_workflow(timeout="60ms")
async def bounded(workflow: Workflow, name: str) -> None:
    await workflow.do("first", "remote", name)
    await workflow.do("slow", "slow")


@define_workflow
async def held(workflow: Workflow, name: str) -> list[str]:
    """A step that is at work when the run is paused, and one after it."""
    return [await workflow.do("first", "short"), await workflow.hook("word", str), await workflow.do("last", "short")]


@define_workflow
async def ended(workflow: Workflow, name: str) -> None:
    await workflow.do("first", "remote", name)
    await workflow.start("kept", "below", "forever", on_parent_end="cancel")
    await workflow.hook("never", str)


@define_workflow
async def mended(workflow: Workflow, name: str) -> list[str]:
    both = [workflow.do("first", "remote", name), workflow.call("called", "below", name)]
    return [*await asyncio.gather(*both), await workflow.do("fragile", "fragile")]


@define_workflow
async def chain(workflow: Workflow, name: str) -> list[str]:
    booked = [await workflow.do(step, "remote", step, compensate="blocking") for step in "abc"]
    return [*booked, await workflow.call("called", "below", name)]


@define_workflow
async def wandering(workflow: Workflow, name: str) -> list[str]:
    """Gives its first step another input in each process; its graph has no second one."""
    await workflow.do("first", "remote", str(os.getpid()))
    return [await workflow.do("second", "remote", "b"), await workflow.do("third", "remote", "c")]


def registry() -> Registry:
    """The definitions above."""
    found = Registry("none")
    found.register(*globals()[NAMESPACE].values())
    known = (GraphStep("rpc", "first", "remote", "flows.py:1"), GraphStep("rpc", "third", "remote", "flows.py:3"))
    version = found.workflow("wandering", None).version
    found._graphs["wandering", version] = Graph(known)
    return found
