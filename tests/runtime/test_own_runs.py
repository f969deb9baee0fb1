"""An engine that works the runs that are started through it, and no others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings


@define_workflow
async def leaf(workflow: Workflow, number: int) -> int:
    await workflow.sleep("pause", "20ms")
    added: int = await workflow.do("add", lambda: number + 1)
    return added


@define_workflow
async def middle(workflow: Workflow, number: int) -> int:
    found: int = await workflow.call("leaf", "leaf", number)
    return found


@define_workflow
async def top(workflow: Workflow) -> int:
    return sum(await asyncio.gather(*(workflow.call("middle", "middle", n) for n in range(3))))


def registry() -> Registry:
    known = Registry("none")
    known.register(*globals()[NAMESPACE].values())
    return known


@pytest.mark.parametrize("resident", [1000, 0])
def test_others_are_left_alone(tmp_path: Path, resident: int) -> None:
    """A run and its children and theirs are worked, also when they left memory; what others have started is not."""
    settings = Settings(project=tmp_path, resident=resident)

    async def scenario() -> Any:
        async with open_engine(registry(), settings, work=False) as client:
            other = await client.start_run("leaf", 1)
        async with open_engine(registry(), settings, work="own") as engine, asyncio.timeout(60):
            run = await engine.start_run("top")
            result = await run.result()
            return result, (await engine.run(other.id).info()), await run.entries()

    result, left, entries = asyncio.run(scenario())
    assert result == 6
    assert (left.status, left.claims) == ("pending", 0)
    assert entries[0].process is not None


def test_a_run_that_is_found_by_its_key_is_its_own(tmp_path: Path) -> None:
    """A second start with a key takes up the first run, which nobody works."""
    settings = Settings(project=tmp_path)

    async def scenario() -> Any:
        async with open_engine(registry(), settings, work=False) as client:
            first = await client.start_run("middle", 4, idempotency_key="four")
        async with open_engine(registry(), settings, work="own") as engine:
            again = await engine.start_run("middle", 4, idempotency_key="four")
            assert again.id == first.id
            return await again.result("60s")

    assert asyncio.run(scenario()) == 5
