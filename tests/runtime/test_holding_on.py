"""Code that holds on when its run leaves the process: it catches whatever closes its coroutines, and asks again."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.runs import Run
from wfgen.settings import Settings


@define_workflow(name="hooks", version="1")
async def hooks(workflow: Workflow) -> None:
    while True:
        try:
            await workflow.hook("word", str)
        except:  # noqa: E722
            continue


kept: list[BaseException] = []


@define_workflow(name="keeps", version="1")
async def keeps(workflow: Workflow) -> None:
    while True:
        try:
            await workflow.sleep("nap", "1h")
        except BaseException as error:
            caught = error  # a cycle: the frame lives until garbage is collected
            kept[:] = [type(caught)()]


@define_workflow(name="events", version="1")
async def events(workflow: Workflow) -> None:
    event = asyncio.Event()

    async def wait() -> None:
        while True:
            try:
                await event.wait()
            except BaseException:
                asyncio.current_task()

    beside = asyncio.create_task(wait())
    await workflow.sleep("nap", "1h")
    await beside


async def _evicted(engine: Engine) -> None:
    while engine.executions:
        await asyncio.sleep(0.005)


LEAVING: dict[str, Callable[[Engine, Run[Any]], Any]] = {
    "terminated": lambda engine, run: run.terminate(),
    "evicted": lambda engine, run: _evicted(engine),
    "closed": lambda engine, run: asyncio.sleep(0),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("leaving", LEAVING)
@pytest.mark.parametrize("name", ["hooks", "keeps", "events"])
def test_the_process_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, leaving: str) -> None:
    """Such a run hangs neither its process nor the other runs there, and the log says what is wrong with it."""
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    settings = Settings(project=tmp_path, resident=0 if leaving == "evicted" else 10)

    async def main() -> None:
        async with open_engine(registry, settings) as engine:
            run = await engine.start_run(name)
            while (await run.info()).status != "waiting":
                await asyncio.sleep(0.005)
            await LEAVING[leaving](engine, run)
        gc.collect()

    with caplog.at_level(logging.WARNING, "wfgen.engine"):
        asyncio.run(main())
    assert "catches GeneratorExit" in caplog.text
