"""Runs that start again with a new input and leave their history behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import InvalidInputError, RunCancelledError, RunFailedError, Workflow, define_workflow
from wfgen.engine import Engine
from wfgen.testing import TestEngine

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

SEEN: list[Any] = []


@define_workflow
async def counting(workflow: Workflow, left: int) -> str:
    """Counts down, one part of history a number."""
    SEEN.append((left, workflow.uuid()))
    word = await workflow.hook("word", str)
    await workflow.do("say", lambda: word)
    if left:
        workflow.continue_as_new(left - 1)
    return word


@define_workflow
async def endless(workflow: Workflow, turn: int) -> None:
    workflow.continue_as_new(turn + 1)


@define_workflow
async def wrong_input(workflow: Workflow, turn: int) -> None:
    workflow.continue_as_new("not a number")


@define_workflow
async def in_a_task(workflow: Workflow, turn: int) -> None:
    async def branch() -> None:
        workflow.continue_as_new(turn + 1)

    await asyncio.gather(branch())


@define_workflow(timeout="40m")
async def limited(workflow: Workflow, left: int) -> int:
    await workflow.sleep("pause", "25m")
    if left:
        workflow.continue_as_new(left - 1)
    return left


@define_workflow
async def with_clean_up(workflow: Workflow, left: int) -> int:
    try:
        if left:
            workflow.continue_as_new(left - 1)
    except Exception:
        return -1
    finally:
        await workflow.do("clean up", lambda: SEEN.append(left))
    return left


def test_a_run_goes_on_with_a_new_input_under_its_id(project: Project) -> None:
    """Each part has hooks and random values of its own; messages for hooks by name wait for whichever comes next."""
    SEEN.clear()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("counting", 2, idempotency_key="k")
        for word in ("one", "two", "three"):
            await engine.controls.resume_hook_json(f'"{word}"', run_id=run.id, name="word")
        assert await run.result() == "three"
        assert [left for left, _ in SEEN] == [2, 1, 0]
        assert len({value for _, value in SEEN}) == 3
        events = await engine.store.history(run.id)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert [e.payload for e in events if e.type in ("run_started", "run_continued")] == [b"2", b"1", b"0"]
        assert len({e.data["token"] for e in events if e.type == "hook_created"}) == 3
        assert (await run.info()).input == b"0"
        again = await engine.start_run("counting", 2, idempotency_key="k")
        assert again.id == run.id

    project.scenario(globals(), scenario)


def test_another_process_replays_the_last_part_alone(project: Project) -> None:
    """What was left behind is neither loaded nor run again."""
    SEEN.clear()

    async def first(engine: Engine) -> str:
        run = await engine.start_run("counting", 1)
        await engine.controls.resume_hook_json('"one"', run_id=run.id, name="word")
        while len(SEEN) < 2 or not await engine.store.hooks(run_id=run.id):
            await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> None:
        run = engine.run(run_id)
        (hook,) = await engine.store.hooks(run_id=run_id)
        await engine.controls.resume_hook_json('"two"', token=hook.token)
        assert await run.result() == "two"
        assert SEEN[1] == SEEN[2], "the same input, and the same random values"
        assert len(SEEN) == 3

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)


def test_an_endless_run_can_be_cancelled(project: Project) -> None:
    """Between two parts a request to cancel is heard, although the code never waits."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("endless", 0)
        while len(await engine.store.history(run.id)) < 5:
            await asyncio.sleep(0.01)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()

    project.scenario(globals(), scenario)


@pytest.mark.parametrize(
    ("name", "error"), [("wrong_input", InvalidInputError.code), ("in_a_task", "WF707")], ids=["input", "task"]
)
def test_a_call_that_cannot_work_fails_the_run(project: Project, name: str, error: str) -> None:
    """Input of another type, and a call beside the main branch, are errors of the code."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run(name, 0)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_code == error

    project.scenario(globals(), scenario)


def test_a_timeout_counts_anew_in_each_part() -> None:
    """Three parts of 25 minutes each stay below a limit of 40 minutes."""
    assert TestEngine(limited).run_scenario(lambda wf: wf.execute("limited", 2)) == 0


def test_except_exception_lets_it_through_and_finally_runs(project: Project) -> None:
    """Steps in `finally` belong to the part that ends."""
    SEEN.clear()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("with_clean_up", 2)
        assert await run.result() == 0
        assert SEEN == [2, 1, 0]

    project.scenario(globals(), scenario)


@define_workflow
async def same_name(workflow: Workflow, count: int) -> list[str]:
    return [await workflow.hook("word", str) for _ in range(count)]


def test_a_message_answers_one_hook(project: Project) -> None:
    """However often the inbox is read meanwhile, hooks of one name get the payloads in order, each once."""

    async def scenario(engine: Engine) -> None:
        words = [str(n) for n in range(40)]
        run = await engine.start_run("same_name", len(words))
        await asyncio.gather(
            *[engine.controls.resume_hook_json(f'"{word}"', run_id=run.id, name="word") for word in words]
        )
        assert sorted(await run.result(), key=int) == words

    project.scenario(globals(), scenario)
