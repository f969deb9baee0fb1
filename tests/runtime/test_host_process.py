"""The process around an engine: its event loop, its threads, and what happens to those who wait when it closes."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from wfgen import Retry, Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.errors import RunFailedError, StoreError
from wfgen.hooks import OpenHooks
from wfgen.registry import Registry
from wfgen.settings import Settings


@define_workflow(name="waits", version="1")
async def waits(workflow: Workflow, most: int) -> int:
    await workflow.hook("go", int)
    return sum([await workflow.hook("number", int) for _ in range(most)])


async def at_once() -> int:
    return 1


@define_workflow(name="quick", version="1")
async def quick(workflow: Workflow) -> int:
    return int(await workflow.do("one", at_once)) + int(await workflow.do("two", lambda: 2))


ATTEMPTS: list[int] = []


def exhausted() -> int:
    ATTEMPTS.append(1)
    return int(next(iter(())))


def interrupted() -> int:
    raise KeyboardInterrupt


@define_workflow(name="raises", version="1")
async def raises(workflow: Workflow) -> str:
    error = await workflow.do("interrupted", interrupted, on_error="continue")
    await workflow.do("exhausted", exhausted, retry=Retry(attempts=2, delay="1ms"))
    return str(error)


def test_what_a_future_cannot_hold(project: Any) -> None:
    """A17: a plain function that raises StopIteration or KeyboardInterrupt has failed, and is retried as usual."""

    async def scenario(engine: Engine) -> None:
        ATTEMPTS.clear()
        run = await engine.start_run("raises")
        with pytest.raises(RunFailedError, match="after 2 attempts: RuntimeError: the function raised StopIteration"):
            await run.result("60s")
        assert len(ATTEMPTS) == 2
        (first, *_) = [event for event in await run.history() if event.type == "step_failed"]
        assert first.data["error"] == "the function raised KeyboardInterrupt"

    project.scenario(globals(), scenario)


def test_an_eager_task_factory(project: Any) -> None:
    """A step that ends without ever waiting is recorded, also where tasks begin at once (Python 3.12 and later)."""

    async def scenario(engine: Engine) -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
        assert await (await engine.start_run("quick")).result("60s") == 3

    project.scenario(globals(), scenario)


def test_another_event_loop_is_refused(project: Any) -> None:
    """Who calls the engine on another loop, of a thread or another `asyncio.run`, is told and does not hang."""

    async def scenario(engine: Engine) -> None:
        def call() -> None:
            with pytest.raises(StoreError, match=r"another event loop .*run_coroutine_threadsafe"):
                asyncio.run(engine.start_run("quick"))
            with pytest.raises(StoreError, match="another event loop"):
                asyncio.run(engine.run("run_1").info())

        await asyncio.to_thread(call)
        assert await engine.store.list_runs() == []

    project.scenario(globals(), scenario)


def test_who_waits_while_the_engine_closes(project: Any) -> None:
    """B10: who waits for a result is told that the engine was closed; nobody has cancelled them."""
    waiting: list[asyncio.Task[Any]] = []

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("waits", 0)
        waiting.append(asyncio.create_task(run.result()))
        while not await run.waiting():
            await asyncio.sleep(0.005)

    project.scenario(globals(), scenario)
    error = waiting[0].exception()
    assert isinstance(error, StoreError)
    assert "was closed" in str(error)


def test_a_result_without_waiting(project: Any) -> None:
    """B10: no time at all is enough for a finished run; for another one the error says where it stands."""

    async def scenario(engine: Engine) -> None:
        done = await engine.start_run("quick")
        await done.result("60s")
        assert await done.result("0s") == 3
        run = await engine.start_run("waits", 0)
        while not await run.waiting():
            await asyncio.sleep(0.005)
        with pytest.raises(TimeoutError, match=f"run {run.id} is waiting after 0 s; it goes on."):
            await run.result("0s")

    project.scenario(globals(), scenario)


def test_a_backlog_of_messages(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """B12: payloads for hooks that are not there yet are looked at when they come, not again with each later one."""
    looks = 0
    take = OpenHooks.take

    def counting(self: OpenHooks) -> Any:
        nonlocal looks
        looks += 1
        return take(self)

    monkeypatch.setattr(OpenHooks, "take", counting)

    async def scenario(engine: Engine) -> None:
        most = 100
        run = await engine.start_run("waits", most)
        for number in range(most):
            await run.hooks["number"].resume(number)
        assert looks < 3 * most
        await run.hooks["go"].resume(0)
        assert await run.result("60s") == sum(range(most))

    project.scenario(globals(), scenario)


HELD: list[bool] = []


@define_workflow(name="stubborn", version="1")
async def stubborn(workflow: Workflow) -> None:
    async def hold_on() -> None:
        HELD.append(True)
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    await workflow.do("hold on", hold_on)


def test_a_step_that_goes_on_when_the_engine_closes(
    project: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """B3: a step that catches its cancellation keeps its process from giving runs back for a while only."""
    monkeypatch.setattr("wfgen.step_runner.GRACE", 0.1)
    HELD.clear()

    async def main() -> None:
        registry = Registry("none")
        registry.register(*globals()[NAMESPACE].values())
        async with open_engine(registry, project.settings) as engine:
            run = await engine.start_run("stubborn")
            while not HELD:
                await asyncio.sleep(0.005)
        async with open_engine(registry, project.settings, work=False) as engine:
            assert (await engine.run(run.id).info()).owner is None

    asyncio.run(main())  # ends, though the step never does
    assert "step 'hold on' (inline) at" in caplog.text
    assert "is left behind" in caplog.text


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store stays where it was when the process changes its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()

    async def main() -> None:
        registry = Registry("none")
        registry.register(*globals()[NAMESPACE].values())
        async with open_engine(registry, Settings(project=Path())) as engine:
            await (await engine.start_run("quick")).result("60s")
            monkeypatch.chdir(tmp_path / "below")
            await (await engine.start_run("quick")).result("60s")
            assert len(await engine.store.list_runs()) == 2

    asyncio.run(main())


@define_workflow(name="collides", version="1")
async def collides(workflow: Workflow) -> None:
    workflow.emit("told#2", 1)
    workflow.emit("told", 2)
    workflow.emit("told", 3)


def test_an_event_that_is_called_like_the_second_of_another(project: Any) -> None:
    """D6: each event has a key of its own, whatever its name."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("collides")
        await run.result("60s")
        keys = [event.key for event in await run.history() if event.type == "emitted"]
        assert keys == ["0/emit:told#2", "0/emit:told", "0/emit:told#3"]

    project.scenario(globals(), scenario)
