"""Hooks as they are seen from outside: several at once, with token and deadline, resumed once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import Run, RunStateError, UnknownHookError, Workflow, define_workflow
from wfgen.engine import Engine
from wfgen.waits import Hook

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores


async def _answer(hook: Hook[str]) -> str:
    return await hook


@define_workflow
async def three(workflow: Workflow) -> list[str]:
    first = workflow.create_hook("first", str, timeout="1h")
    second = workflow.create_hook("second", str)
    found = await asyncio.gather(_answer(first), _answer(second), workflow.hook("third", str, timeout="2d"))
    await workflow.sleep("pause", "20ms")
    return list(found)


async def until_waiting(run: Run[Any], count: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while len(found := await run.waiting()) < count:
            await asyncio.sleep(0.005)
    return {hook.name: hook for hook in found}


def test_several_hooks_are_read_from_the_run(project: Project) -> None:
    """A16, A9, B12: name, token and deadline of each; the steps show the same; those that are answered are gone."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("three")
        hooks = await until_waiting(run, 3)
        assert {name: round(hook.due - hook.created_at) for name, hook in hooks.items()} == {
            "first": 3600,
            "second": 7 * 86400,
            "third": 2 * 86400,
        }
        assert len({hook.token for hook in hooks.values()}) == 3
        states = {step.name: (step.status, step.due) for step in await run.steps()}
        assert states == {name: ("waiting", hook.due) for name, hook in hooks.items()}
        assert await engine.controls.resume_hook_json('"b"', token=hooks["second"].token) == "sent"
        while "second" in [hook.name for hook in await run.waiting()]:
            await asyncio.sleep(0.005)
        assert set(await until_waiting(run, 2)) == {"first", "third"}
        await run.hooks["third"].resume("c")
        await run.hooks["first"].resume("a")
        assert await run.result() == ["a", "b", "c"]
        assert list(await run.waiting()) == []

    project.scenario(globals(), scenario)


def test_a_hook_is_resumed_once(project: Project) -> None:
    """B12: a second payload for a token changes nothing, before and after the run has taken the first one."""

    async def before(engine: Engine) -> tuple[str, str]:
        run = await engine.start_run("three")
        return str(run.id), (await until_waiting(run, 3))["first"].token

    run_id, token = project.scenario(globals(), before)

    async def nobody_works(engine: Engine) -> list[str]:
        return [await engine.controls.resume_hook_json(text, token=token) for text in ('"one"', '"two"', '"two"')]

    assert project.scenario(globals(), nobody_works, work=False) == ["sent", "duplicate", "duplicate"]

    async def after(engine: Engine) -> None:
        run = engine.run(run_id)
        while len(await run.waiting()) > 2:
            await asyncio.sleep(0.005)
        assert await engine.controls.resume_hook_json('"three"', token=token) == "duplicate"
        await run.hooks["second"].resume("b")
        await run.hooks["third"].resume("c")
        assert await run.result() == ["one", "b", "c"]
        history = [(event.type, event.key) for event in await run.history()]
        assert history.count(("hook_resumed", "0/first")) == 1
        assert await engine.controls.resume_hook_json('"four"', token=token) == "duplicate"
        with pytest.raises(RunStateError):
            await run.hooks["first"].resume("five")
        with pytest.raises(UnknownHookError):
            await engine.controls.resume_hook_json('"six"', token="hook_of_nobody")
        assert [(event.type, event.key) for event in await run.history()] == history

    project.scenario(globals(), after)
