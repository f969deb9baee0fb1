"""Several versions of a workflow at once: which one a run has, and what becomes of it when another one comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from wfgen import ConflictError, RunFailedError, UnknownWorkflowError, Workflow, define_workflow
from wfgen.definitions import NAMESPACE, WorkerDefinition, WorkflowDefinition
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings


class Old(BaseModel):
    amount: int


class New(BaseModel):
    text: str


@define_workflow(name="greet", version="1")
async def greet_1(workflow: Workflow) -> str:
    return f"one {await workflow.hook('name', str)}"


@define_workflow(name="greet", version="2")
async def greet_2(workflow: Workflow) -> str:
    return f"two {await workflow.hook('name', str)}"


@define_workflow(name="greet", version="10")
async def greet_10(workflow: Workflow) -> str:
    return f"ten {await workflow.hook('name', str)}"


@define_workflow(name="count", version="1")
async def count_old(workflow: Workflow, given: Old) -> Old:
    await workflow.hook("go on", str)
    return given


@define_workflow(name="count", version="2")
async def count_new(workflow: Workflow, given: New) -> New:
    return given


@define_workflow
async def parent(workflow: Workflow) -> str:
    found = await workflow.call("count", "count", {"amount": 3})
    return repr(found)


DEFINITIONS: dict[Any, WorkflowDefinition | WorkerDefinition] = globals()[NAMESPACE]


def registry(*known: tuple[str, str]) -> Registry:
    """With these names and versions alone."""
    found = Registry("none")
    found.register(*[DEFINITIONS["workflow", name, version] for name, version in known])
    return found


def play(folder: Path, known: Registry, scenario: Callable[[Engine], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with open_engine(known, Settings(project=folder), work=True) as engine, asyncio.timeout(60):
            return await scenario(engine)

    return asyncio.run(main())


async def until_waiting(engine: Engine, run_id: str) -> None:
    while not await engine.store.hooks(run_id=run_id):
        await asyncio.sleep(0.005)


def test_a_registry_holds_several_versions() -> None:
    """A1, B27: each is found by its version, the latest without one; versions are ordered as numbers."""
    known = registry(("greet", "10"), ("greet", "2"), ("greet", "1"), ("parent", "1"))
    assert known.workflows == (("greet", "1"), ("greet", "2"), ("greet", "10"), ("parent", "1"))
    assert known.workflow("greet").version == "10"
    assert known.workflow("greet", "2").function is greet_2
    with pytest.raises(UnknownWorkflowError, match=r"no version '3' of workflow 'greet'\. There is 1, 2, 10\."):
        known.workflow("greet", "3")


def test_a_run_stays_on_the_version_that_it_started_with(tmp_path: Path) -> None:
    """A1, B27: several versions run at once in one process; a new one changes nothing for runs in flight."""

    async def before(engine: Engine) -> str:
        run = await engine.start_run("greet")
        await until_waiting(engine, run.id)
        return str(run.id)

    first = play(tmp_path, registry(("greet", "1")), before)

    async def after(engine: Engine) -> list[tuple[str, Any]]:
        runs = [engine.run(first), await engine.start_run("greet"), await engine.start_run("greet", version="2")]
        for run in runs:
            await run.hooks["name"].resume("Ada")
        return [((await run.info()).version, await run.result()) for run in runs]

    every = registry(("greet", "1"), ("greet", "2"), ("greet", "10"))
    assert play(tmp_path, every, after) == [("1", "one Ada"), ("10", "ten Ada"), ("2", "two Ada")]


def test_a_worker_without_the_version_leaves_the_run_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """B27: it says so, touches nothing, and works what it knows; a worker that has the version goes on."""
    caplog.set_level(logging.WARNING, "wfgen.engine")

    async def before(engine: Engine) -> str:
        run = await engine.start_run("greet")
        await until_waiting(engine, run.id)
        return str(run.id)

    run_id = play(tmp_path, registry(("greet", "1")), before)
    assert "not defined" not in caplog.text

    async def without(engine: Engine) -> None:
        await engine.run(run_id).hooks["name"].resume("Ada")
        other = await engine.start_run("greet")
        await other.hooks["name"].resume("Bob")
        assert await other.result() == "two Bob"
        while "not defined" not in caplog.text:
            await asyncio.sleep(0.005)
        assert [event.type for event in await engine.store.history(run_id)] == ["run_started", "hook_created"]

    play(tmp_path, registry(("greet", "2")), without)
    assert "1 unfinished run of workflow 'greet' version '1'" in caplog.text

    async def again(engine: Engine) -> Any:
        return await engine.run(run_id).result()

    assert play(tmp_path, registry(("greet", "1"), ("greet", "2")), again) == "one Ada"


@pytest.mark.parametrize("ended", [False, True])
def test_a_child_stays_on_its_version_too(tmp_path: Path, ended: bool) -> None:
    """A8, B27: a new version with another input does not touch a parent whose child has the old one."""

    async def before(engine: Engine) -> tuple[str, str]:
        run = await engine.start_run("parent")
        while not (hooks := await engine.store.hooks()):
            await asyncio.sleep(0.005)
        return str(run.id), str(hooks[0].run_id)

    run_id, child_id = play(tmp_path, registry(("parent", "1"), ("count", "1")), before)

    async def end_child(engine: Engine) -> None:
        await engine.run(child_id).hooks["go on"].resume("now")
        await engine.finished(child_id)

    if ended:
        play(tmp_path, registry(("count", "1")), end_child)

    async def after(engine: Engine) -> Any:
        if not ended:
            await end_child(engine)
        return await engine.run(run_id).result()

    both = registry(("parent", "1"), ("count", "1"), ("count", "2"))
    assert play(tmp_path, both, after) == "Old(amount=3)"


def test_the_result_of_a_child_whose_version_is_gone(tmp_path: Path) -> None:
    """A8, B27: it cannot be loaded, so the parent fails and says which version is missing; retried with it, it ends."""

    async def before(engine: Engine) -> tuple[str, str]:
        run = await engine.start_run("parent")
        while not (hooks := await engine.store.hooks()):
            await asyncio.sleep(0.005)
        return str(run.id), str(hooks[0].run_id)

    run_id, child_id = play(tmp_path, registry(("parent", "1"), ("count", "1")), before)

    async def end_child(engine: Engine) -> None:
        await engine.run(child_id).hooks["go on"].resume("now")
        await engine.finished(child_id)

    play(tmp_path, registry(("count", "1")), end_child)

    async def without(engine: Engine) -> None:
        with pytest.raises(RunFailedError, match="no version '1' of workflow 'count'") as caught:
            await engine.run(run_id).result()
        assert caught.value.error_code == UnknownWorkflowError.code

    play(tmp_path, registry(("parent", "1"), ("count", "2")), without)

    async def retried(engine: Engine) -> Any:
        await engine.run(run_id).retry()
        return await engine.run(run_id).result()

    assert play(tmp_path, registry(("parent", "1"), ("count", "1"), ("count", "2")), retried) == "Old(amount=3)"


def test_a_start_is_the_same_after_a_deployment(project: Any) -> None:
    """B17, A1: a start that is repeated with its key after a new version came gives the first run, unless it asks."""

    async def scenario(engine: Engine) -> None:
        first = await engine.start_run("greet", version="1", idempotency_key="k")
        assert (await engine.start_run("greet", idempotency_key="k")).id == first.id
        assert (await engine.start_run("greet", version="1", idempotency_key="k")).id == first.id
        with pytest.raises(ConflictError, match="version 1"):
            await engine.start_run("greet", version="2", idempotency_key="k")

    project.scenario(globals(), scenario)
