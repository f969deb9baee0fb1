"""Idle processes take runs from loaded ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wfgen import Workflow, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

pytestmark = pytest.mark.both_stores

RUNS = 60
OPEN = asyncio.Event()


async def wait(number: int) -> int:
    if number == 0:
        await asyncio.sleep(0.02)
        return 0 if not OPEN.is_set() else 1
    return number


@define_workflow
async def patient(workflow: Workflow) -> int:
    """One short step after the other, until the test says that it is enough; then a last one."""
    while not await workflow.do("wait", wait, 0):
        pass
    return await workflow.do("last", wait, 7)


@define_workflow
async def other(workflow: Workflow) -> int:
    return await workflow.do("last", wait, 7)


def _registry(*names: str) -> Registry:
    registry = Registry("none")
    registry.collect(globals())
    for name in {"patient", "other"} - set(names):
        registry._workflows.pop(name)
    return registry


def test_an_idle_process_takes_runs_from_a_loaded_one(tmp_path: Path, engine_url: str) -> None:
    """B13: it gets its share, and no step that was recorded runs again; a process without the workflow gets none."""
    settings = Settings(project=tmp_path, engine=engine_url)

    async def scenario() -> None:
        OPEN.clear()
        async with (
            asyncio.timeout(60),
            open_engine(_registry("patient", "other"), settings) as loaded,
            open_engine(_registry("other"), settings) as stranger,
        ):
            runs = [await loaded.start_run("patient") for _ in range(RUNS)]
            assert len(loaded.executions) == RUNS
            async with open_engine(_registry("patient"), settings) as idle:
                while len(idle.executions) < RUNS // 3:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1.2)  # it looks again, and finds that all is well
                shares = len(loaded.executions), len(idle.executions)
                OPEN.set()
                assert [await run.result() for run in runs] == [7] * RUNS
                assert min(shares) >= RUNS // 3
                assert sum(shares) <= RUNS
            assert stranger.taken == 0
            moved = 0
            for run in runs:
                events = await run.history()
                ends = [event.key for event in events if event.type == "step_completed"]
                assert len(ends) == len(set(ends))
                assert [event.seq for event in events] == list(range(1, len(events) + 1))
                moved += sum(event.type == "run_claimed" for event in events)
            assert RUNS // 3 <= moved <= RUNS  # it does not go back and forth

    asyncio.run(scenario())
