"""What a step costs: writes, and work that must not grow with the run. `make bench` measures the time."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wfgen import Workflow, define_worker, define_workflow
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project

STEPS = 600
CALLS: list[int] = []
"""How many calls of Python functions there had been when each step began."""


class Counter:
    """Counts calls of Python functions on this thread."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            self.count += 1


counter = Counter()


@define_worker("nothing")
async def nothing() -> None:
    CALLS.append(counter.count)


@define_workflow
async def many(workflow: Workflow, steps: int) -> None:
    for _ in range(steps):
        await workflow.do("nothing", "nothing")


def test_a_run_of_ten_steps_is_eleven_writes(project: Project) -> None:
    """F8: one write a step, and one with which the run is created; its end is written with the last step."""

    async def scenario(engine: Engine) -> int:
        writes = 0
        append = engine.store.append

        def counted(*arguments: Any) -> None:
            nonlocal writes
            writes += 1
            append(*arguments)

        engine.store.append = counted  # type: ignore[assignment, method-assign]
        await (await engine.start_run("many", 10)).result()
        return writes

    assert project.scenario(globals(), scenario) == 10


def test_the_work_for_a_step_does_not_grow(project: Project) -> None:
    """F8: the last hundred steps of a run take as many calls of functions as its first hundred."""
    CALLS.clear()

    async def scenario(engine: Engine) -> None:
        sys.setprofile(counter)
        try:
            await (await engine.start_run("many", STEPS)).result()
        finally:
            sys.setprofile(None)

    project.scenario(globals(), scenario)
    assert len(CALLS) == STEPS
    first, last = CALLS[110] - CALLS[10], CALLS[-1] - CALLS[-101]
    assert last <= first * 1.05, (first, last)


class Parcel(BaseModel):
    content: str


@define_worker("pack")
async def pack(parcel: Parcel) -> Parcel:
    return parcel


@define_workflow
async def packing(workflow: Workflow) -> str:
    for number in range(20):
        await workflow.do("pack", "pack", Parcel(content=str(number)))
    return await workflow.hook("enough", str)


def test_what_steps_were_given_and_gave_leaves_memory(project: Project) -> None:
    """A run in memory holds of its steps what the code holds: with large results it does not grow by them."""

    async def scenario(engine: Engine) -> int:
        run = await engine.start_run("packing")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        gc.collect()
        held = sum(isinstance(known, Parcel) for known in gc.get_objects())
        await run.hooks["enough"].resume("yes")
        assert await run.result() == "yes"
        return held

    assert project.scenario(globals(), scenario) <= 1
