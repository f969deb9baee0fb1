"""Handlers that are told of the turns of a run."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    LifecycleHandlers,
    RunCancelledError,
    RunFailedError,
    RunUpdate,
    WorkerProcess,
    Workflow,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry

if TYPE_CHECKING:
    from conftest import Project

TOLD: list[tuple[str, RunUpdate]] = []
THREADS: list[bool] = []


def _plain(moment: str) -> Any:
    def handler(update: RunUpdate) -> None:
        THREADS.append(threading.current_thread() is threading.main_thread())
        TOLD.append((moment, update))

    return handler


def _async(moment: str) -> Any:
    async def handler(update: RunUpdate) -> None:
        await asyncio.sleep(0)
        THREADS.append(threading.current_thread() is threading.main_thread())
        TOLD.append((moment, update))

    return handler


@define_workflow(
    tags=["told"],
    on_start=_plain("start"),
    on_sleep=_async("sleep"),
    on_resume=_plain("resume"),
    on_complete=_async("complete"),
    on_error=_plain("error"),
    on_cancel=_async("cancel"),
)
async def told(workflow: Workflow, how: str) -> str:
    if how == "fail":
        raise ValueError("the end")
    if how == "sleep":
        await workflow.sleep("pause", "5ms")
    if how in ("hook", "twice"):
        await workflow.hook("word", str)
    if how == "twice":
        await workflow.sleep("long", "1h")
    return how


def _broken(update: RunUpdate) -> None:
    raise OSError("the pager is down")


@define_workflow(on_start=_broken, on_complete=_broken)
async def badly_told(workflow: Workflow) -> str:
    return "done"


@define_workflow
async def plain(workflow: Workflow) -> str:
    return "done"


@define_workflow(on_start=_plain("start"), on_complete=_plain("complete"))
async def in_parts(workflow: Workflow, left: int) -> int:
    if left:
        workflow.continue_as_new(left - 1)
    return left


@pytest.fixture(autouse=True)
def forget() -> None:
    TOLD.clear()
    THREADS.clear()


def _moments() -> list[str]:
    return [moment for moment, _ in TOLD]


def test_a_run_that_sleeps_and_completes(project: Project) -> None:
    """B9: each handler is told once, in order; plain ones in a thread, the others on the engine's loop."""

    async def scenario(engine: Engine) -> str:
        run = await engine.start_run("told", "sleep")
        assert await run.result() == "sleep"
        return run.id

    run_id = project.scenario(globals(), scenario)
    assert _moments() == ["start", "sleep", "resume", "complete"]
    assert THREADS == [False, True, False, True]
    for (_, update), status in zip(TOLD, ("running", "waiting", "running", "completed"), strict=True):
        assert (update.run_id, update.workflow, update.version, update.tags) == (run_id, "told", "1", ("told",))
        assert (update.status, update.claims, update.error) == (status, 1, None)
    assert TOLD[1][1].wake_at is not None
    assert TOLD[3][1].wake_at is None


def test_a_run_that_fails(project: Project) -> None:
    """B9: on_error is told of the error."""

    async def scenario(engine: Engine) -> None:
        with pytest.raises(RunFailedError):
            await (await engine.start_run("told", "fail")).result()

    project.scenario(globals(), scenario)
    assert _moments() == ["start", "error"]
    update = TOLD[-1][1]
    assert (update.status, update.error_type, update.error, update.code) == ("failed", "ValueError", "the end", None)


def test_a_run_that_is_cancelled(project: Project) -> None:
    """B9: a hook has a deadline, of which on_sleep is told; on_cancel ends it."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("told", "hook")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()

    project.scenario(globals(), scenario)
    assert _moments() == ["start", "sleep", "resume", "cancel"]


def test_another_process_goes_on_telling(project: Project) -> None:
    """B9: a start is told once, and not again by the process that takes the run over."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("told", "twice")
        while not await run.waiting():
            await asyncio.sleep(0.002)
        return run.id

    async def second(engine: Engine) -> None:
        run = engine.run(run_id)
        await engine.controls.resume_hook_json('"go on"', run_id=run.id, name="word")
        while _moments().count("sleep") < 2:
            await asyncio.sleep(0.002)

    run_id = project.scenario(globals(), first)
    assert _moments() == ["start", "sleep"]
    project.scenario(globals(), second)
    assert _moments() == ["start", "sleep", "resume", "sleep"]


def test_handlers_that_fail_touch_no_run(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """B9: what they raise is logged."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("badly_told")).result() == "done"

    project.scenario(globals(), scenario)
    assert [record.getMessage().endswith("the handler _broken failed") for record in caplog.records] == [True] * 2


def test_a_run_in_parts_starts_and_ends_once(project: Project) -> None:
    """B9: to continue with a new input is neither."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("in_parts", 3)).result() == 0

    project.scenario(globals(), scenario)
    assert _moments() == ["start", "complete"]


def test_handlers_of_the_process(project: Project) -> None:
    """B9: they are told of all runs, before the workflow's own."""
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    handlers = LifecycleHandlers(on_start=_plain("process start"), on_complete=_async("process complete"))

    async def main() -> None:
        process = WorkerProcess(handlers=handlers)
        async with open_engine(registry, project.settings, process=process) as engine, asyncio.timeout(60):
            for name, data in (("plain", ()), ("in_parts", (0,))):
                await (await engine.start_run(name, *data)).result()

    asyncio.run(main())
    assert _moments() == ["process start", "process complete", "process start", "start", "process complete", "complete"]
