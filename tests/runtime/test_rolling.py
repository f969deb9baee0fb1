"""Workers of two releases on one store: a release is rolled out, taken back, and rolled out again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from wfgen import Run, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

Release = Callable[[], AbstractAsyncContextManager[Engine]]


@define_worker("note", dispatch="queue")
async def note(what: str) -> str:
    return what


@define_workflow(name="parcel", version="1")
async def first(workflow: Workflow) -> list[str]:
    begun = await workflow.do("note", "note", "first")
    return [begun, await workflow.hook("word", str), await workflow.do("again", "note", "first")]


@define_workflow(name="parcel", version="2")
async def second(workflow: Workflow) -> list[str]:
    begun = await workflow.do("note", "note", "second")
    return [begun, await workflow.hook("word", str), await workflow.do("more", "note", "second")]


@pytest.fixture(params=["sqlite", "postgres"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Release]:
    """Gives what opens a worker of a release that has these versions of the workflow."""
    on_file = request.param == "sqlite"
    url = "sqlite:///store.db" if on_file else request.getfixturevalue("postgres_url")

    def of(*versions: str) -> Release:
        registry = Registry("none")
        registry.register(
            *[one for one in globals()[NAMESPACE].values() if getattr(one, "version", None) in (None, *versions)]
        )
        return lambda: open_engine(registry, Settings(project=tmp_path, engine=url))

    return of


async def waiting(engine: Engine) -> Run[Any]:
    """A new run of the newest version, at its hook."""
    run = await engine.start_run("parcel")
    while not await engine.store.hooks(run_id=run.id):
        await asyncio.sleep(0.005)
    return run


async def word(engine: Engine, run: Run[Any]) -> None:
    await engine.controls.resume_hook_json('"now"', run_id=run.id, name="word")


def test_forwards_and_back(release: Callable[..., Release]) -> None:
    """A1, B13, B27: a run goes on where its version is; jobs go wherever their worker is."""
    old, new = release("1"), release("2")

    async def main() -> None:
        async with old() as one:
            before, still = await waiting(one), await waiting(one)
            async with new() as two:  # both are there
                after = await waiting(two)
                assert [(await run.info()).version for run in (before, after)] == ["1", "2"]
                for run in (before, after):
                    await word(one, run)
                assert await before.result(timeout="60s") == ["first", "now", "first"]
                assert await after.result(timeout="60s") == ["second", "now", "second"]
        async with new() as two:  # forwards: the old one is gone
            await word(two, still)
            left = await waiting(two)
            other = await waiting(two)
            await word(two, other)
            assert await two.run(other.id).result(timeout="60s") == ["second", "now", "second"]
            assert (await two.run(still.id).info()).status in ("pending", "waiting")
        async with old() as one:  # and back
            assert await one.run(still.id).result(timeout="60s") == ["first", "now", "first"]
            await word(one, left)
            newest = await waiting(one)
            await word(one, newest)
            assert await one.run(newest.id).result(timeout="60s") == ["first", "now", "first"]
            assert (await one.run(left.id).info()).status in ("pending", "waiting")
        async with release("1", "2")() as both:  # the next release has both
            assert await both.run(left.id).result(timeout="60s") == ["second", "now", "second"]
            assert (await (await waiting(both)).info()).version == "2"

    asyncio.run(main())
