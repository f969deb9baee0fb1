"""Waiting for the end of a run, and what is kept of it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from wfgen import RunFailedError, UnknownRunError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project


@dataclasses.dataclass
class Receipt:
    number: int


@define_worker("number")
async def number(word: str) -> int:
    return len(word)


@define_workflow
async def waits(workflow: Workflow) -> Receipt:
    word = await workflow.hook("word", str)
    return Receipt(await workflow.do("number", "number", word))


@define_workflow
async def fails(workflow: Workflow) -> None:
    raise LookupError("nothing there")


def test_all_who_wait_are_told(project: Project) -> None:
    """B10: before the end, at it and after it, as often as one asks; the result has its type."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waits")
        waiting = [asyncio.create_task(engine.run(run.id).result("60s")) for _ in range(5)]
        while not await run.waiting():
            await asyncio.sleep(0.002)
        assert not any(task.done() for task in waiting)
        await run.hooks["word"].resume("tea")
        assert await asyncio.gather(*waiting) == [Receipt(3)] * 5
        assert await run.result() == await run.result("1ms") == Receipt(3)

    project.scenario(globals(), scenario)


def test_waiting_has_a_timeout(project: Project) -> None:
    """B10: it ends the waiting and not the run; the message says where the run stands."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waits")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        with pytest.raises(TimeoutError, match=r"is waiting after 0\.05 s; it goes on"):
            await run.result("50ms")
        await run.hooks["word"].resume("tea")
        assert await run.result("60s") == Receipt(3)
        with pytest.raises(UnknownRunError):
            await engine.run("run_of_nobody").result("1s")

    project.scenario(globals(), scenario)


@define_workflow
async def again(workflow: Workflow, left: int) -> int:
    await workflow.do("number", "number", "word")
    if left:
        workflow.continue_as_new(left - 1)
    return left


@pytest.mark.parametrize(("workflow", "data"), [("waits", []), ("fails", []), ("again", [1])])
def test_who_waits_is_told_what_the_store_keeps(project: Project, workflow: str, data: list[int]) -> None:
    """B10: the record that the end of a run gives is the one that anybody reads later: times, error, input."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run(workflow, *data)
        if workflow == "waits":
            async with asyncio.timeout(60):
                while (await run.info()).status != "waiting":
                    await asyncio.sleep(0.005)
            await run.hooks["word"].resume("hello")
        told = await engine.finished(run.id, 60)
        kept = await run.info()
        assert told == dataclasses.replace(kept, claims=told.claims)
        assert told.finished_at == told.updated_at == (await run.history())[-1].time

    project.scenario(globals(), scenario)


def test_results_are_kept(project: Project) -> None:
    """B10, B21: a result, a failure, and how it came to them are there in other processes, also in one without work."""

    async def before(engine: Engine) -> tuple[str, str]:
        run, failed = await engine.start_run("waits"), await engine.start_run("fails")
        await run.hooks["word"].resume("tea")
        await asyncio.gather(run.result(), failed.result(), return_exceptions=True)
        return str(run.id), str(failed.id)

    run_id, failed_id = project.scenario(globals(), before)

    async def after(engine: Engine) -> None:
        run = engine.run(run_id)
        assert await run.result() == Receipt(3)
        info = await run.info()
        assert info.status == "completed"
        assert info.finished_at is not None
        assert info.finished_at >= info.created_at
        trail = [(entry.type, entry.step, entry.payload) for entry in await run.entries()]
        assert trail == [
            ("run_started", None, None),
            ("hook_created", "word", None),
            ("hook_resumed", "word", "tea"),
            ("step_completed", "number", 3),
            ("run_completed", None, {"number": 3}),
        ]
        assert [entry.seq for entry in await run.entries()] == [1, 2, 3, 4, 5]
        with pytest.raises(RunFailedError, match="nothing there") as caught:
            await engine.run(failed_id).result()
        assert caught.value.error_type == "LookupError"

    project.scenario(globals(), after, work=False)
