"""Hooks: validators, and the timeouts of a workflow's hooks (A9, B12)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wfgen import HookTimeoutError, Workflow, define_workflow
from wfgen.engine import Engine

pytestmark = pytest.mark.both_stores

SEEN: list[Any] = []


def _at_most_ten(amount: int) -> None:
    SEEN.append(amount)
    if amount > 10:
        raise ValueError("at most ten")


@define_workflow
async def validated(workflow: Workflow) -> list[int]:
    first = await workflow.hook("first", int, validator=_at_most_ten)
    hook = workflow.create_hook("second", int, validator=lambda amount: amount % 2 == 0)
    second = await hook
    await workflow.sleep("pause", "1h" if second == 4 else "1ms")
    return [first, second]


@define_workflow(hook_timeout="50ms")
async def impatient(workflow: Workflow) -> list[str]:
    found = []
    try:
        await workflow.hook("by default", int)
    except HookTimeoutError:
        found.append("timed out")
    found.append(await workflow.hook("own", str, timeout="1h"))
    return found


@define_workflow
async def patient(workflow: Workflow) -> int:
    return await workflow.hook("go", int)


def test_a_validator_keeps_the_hook_open(project: Any) -> None:
    """B12: a payload that fits its type and that the validator refuses is recorded as rejected; the next is taken."""
    SEEN.clear()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("validated")
        for amount in (11, 7, 12):  # the second one early, the others in turn
            await run.hooks["first"].resume(amount)
        await run.hooks["second"].resume(3)
        await run.hooks["second"].resume(6)
        assert await run.result() == [7, 6]
        rejected = [event.data["error"] for event in await run.history() if event.type == "hook_rejected"]
        assert rejected == [
            "the payload of hook 'first' was refused by its validator: ValueError: at most ten",
            "the payload of hook 'second' was refused by its validator.",
        ]

    project.scenario(globals(), scenario)
    assert SEEN == [11, 7]


def test_a_validator_is_not_called_in_a_replay(project: Any) -> None:
    """B12: what was taken stays taken, whatever the validator says later."""
    SEEN.clear()

    async def begin(engine: Engine) -> str:
        run = await engine.start_run("validated")
        await run.hooks["first"].resume(1)
        await run.hooks["second"].resume(4)
        while "timer_set" not in [event.type for event in await run.history()]:
            await asyncio.sleep(0.005)
        return run.id

    run_id = project.scenario(globals(), begin)

    async def again(engine: Engine) -> None:
        run = engine.run(run_id)
        await run.cancel()  # claims it, and so replays it
        await engine.finished(run_id)

    project.scenario(globals(), again)
    assert SEEN == [1]


def test_a_workflow_has_a_timeout_for_its_hooks(project: Any) -> None:
    """A9: per workflow, per hook, and 7 days without either."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("impatient")
        await run.hooks["own"].resume("own")
        assert await run.result() == ["timed out", "own"]
        waits = await engine.start_run("patient")
        while not (waiting := await waits.waiting()):
            await asyncio.sleep(0.005)
        assert waiting[0].due is not None
        assert abs(waiting[0].due - waiting[0].created_at - 7 * 86400) < 5
        assert waiting[0].token.startswith("hook_")

    project.scenario(globals(), scenario)
