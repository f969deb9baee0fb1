"""Runs that start other runs (A8, B1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from wfgen import RunCancelledError, RunFailedError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project


class Parcel(BaseModel):
    id: int
    weight: float = 1.0


class Label(BaseModel):
    text: str


@define_worker("print")
async def print_label(parcel: Parcel) -> Label:
    if parcel.id < 0:
        raise ValueError("no such parcel")
    return Label(text=f"label {parcel.id}")


@define_workflow
async def ship(workflow: Workflow, parcel: Parcel) -> Label:
    if parcel.weight > 100:
        await workflow.hook("crane", str)
    return Label.model_validate(await workflow.do("print", "print", parcel))


@define_workflow
async def order(workflow: Workflow, ids: list[int]) -> list[str]:
    labels = await asyncio.gather(*[workflow.call(f"ship {n}", "ship", Parcel(id=n)) for n in ids])
    assert all(isinstance(label, Label) for label in labels)
    return [label.text for label in labels]


@define_workflow
async def careful(workflow: Workflow, id: int) -> str:
    try:
        label: Label = await workflow.call("ship", "ship", Parcel(id=id, weight=500 if id > 100 else 1))
    except RunFailedError as error:
        return f"{error.error_type} {error.error}"
    except RunCancelledError as error:
        return f"cancelled {error.run_id}"
    return label.text


@define_workflow
async def starter(workflow: Workflow, wait: bool) -> str:
    child = await workflow.start("ship", "ship", Parcel(id=7, weight=500))
    await workflow.do("note", lambda: None)
    return (await child).text if wait else child.run_id


@define_workflow
async def losing(workflow: Workflow, policy: Any) -> str:
    """Gives a call up when a sleep is over."""
    call = asyncio.create_task(workflow.call("ship", "ship", Parcel(id=1, weight=500), on_parent_end=policy))
    await workflow.sleep("pause", "50ms")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await workflow.sleep("longer", "10s")
    return "never"


@define_workflow
async def tower(workflow: Workflow, height: int) -> int:
    return 1 if height == 0 else 1 + int(await workflow.call("below", "tower", height - 1))


@define_workflow
async def wrong(workflow: Workflow, what: str) -> None:
    await workflow.call("x", "nobody" if what == "name" else "ship", {"id": "seven"})


async def until(condition: Any) -> Any:
    async with asyncio.timeout(10):
        while not (found := await condition()):
            await asyncio.sleep(0.005)
        return found


async def child_of(engine: Engine, run_id: str) -> Any:
    async def look() -> Any:
        return [run for run in await engine.store.list_runs() if run.parent == run_id]

    return (await until(look))[0]


def test_children_run_and_give_typed_results(project: Project) -> None:
    """Each is a run of its own; the parent's history has its start and its end."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("order", [1, 2, 3])
        assert await run.result() == ["label 1", "label 2", "label 3"]
        types = [event.type for event in await engine.store.history(run.id)]
        assert types.count("child_started") == types.count("child_completed") == 3
        children = [child for child in await engine.store.list_runs(workflow="ship") if child.parent == run.id]
        assert [child.status for child in children] == ["completed"] * 3

    project.scenario(globals(), scenario)


def test_a_childs_failure_is_an_error_to_catch(project: Project) -> None:
    """It carries the type and message that were recorded."""

    async def scenario(engine: Engine) -> None:
        found = await (await engine.start_run("careful", -1)).result()
        assert found == "wfgen.errors.StepError step 'print' failed: ValueError: no such parcel"

    project.scenario(globals(), scenario)


def test_a_child_that_somebody_cancels_is_an_error_to_catch(project: Project) -> None:
    """The parent hears of it, and goes on."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("careful", 101)
        child = await child_of(engine, run.id)
        await engine.cancel(child.run_id)
        assert await run.result() == f"cancelled {child.run_id}"

    project.scenario(globals(), scenario)


def test_a_started_child_outlives_its_parent(project: Project) -> None:
    """It goes on alone by default."""

    async def scenario(engine: Engine) -> None:
        child_id = await (await engine.start_run("starter", False)).result()
        assert (await engine.store.get_run(child_id)).finished_at is None
        await engine.resume_json('"ready"', run_id=child_id, name="crane")
        assert (await engine.run(child_id).result()).text == "label 7"

    project.scenario(globals(), scenario)


def test_a_started_child_may_be_awaited_later(project: Project) -> None:
    """What `start` gives is awaited for the result, also after another process has taken over."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("starter", True)
        await child_of(engine, run.id)
        return run.id

    async def second(engine: Engine) -> None:
        child = await child_of(engine, run_id)
        await engine.resume_json('"ready"', run_id=child.run_id, name="crane")
        assert await engine.run(run_id).result() == "label 7"

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)


def test_the_end_of_a_child_waits_for_its_parent(project: Project) -> None:
    """A child may end while nobody works the parent: its end stands in the inbox."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("careful", 101)
        await child_of(engine, run.id)
        return run.id

    async def second(engine: Engine) -> None:
        child = await child_of(engine, run_id)
        await engine.resume_json('"ready"', run_id=child.run_id, name="crane")
        await engine.run(child.run_id).result()

    async def third(engine: Engine) -> None:
        assert await engine.run(run_id).result() == "label 101"

    run_id = project.scenario(globals(), first)
    only_ship = {k: v for k, v in globals().items() if k not in ("careful",)}
    from wfgen.definitions import NAMESPACE

    only_ship[NAMESPACE] = {key: value for key, value in globals()[NAMESPACE].items() if "careful" not in str(key)}
    project.scenario(only_ship, second)
    project.scenario(globals(), third)


@pytest.mark.parametrize(("policy", "status"), [("cancel", "cancelled"), ("abandon", "waiting")])
def test_a_call_that_is_given_up(project: Project, policy: str, status: str) -> None:
    """Its child is cancelled, or goes on, as the policy says, while the parent lives."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("losing", policy)

        async def past_the_pause() -> bool:
            return any(e.key == "0/longer" for e in await engine.store.history(run.id))

        await until(past_the_pause)
        child = await child_of(engine, run.id)

        async def settled() -> bool:
            return (await engine.store.get_run(child.run_id)).status == status

        await until(settled)
        await asyncio.sleep(0.05)
        assert (await engine.store.get_run(child.run_id)).status == status
        assert (await run.info()).finished_at is None

    project.scenario(globals(), scenario)


def test_cancelling_the_parent_cancels_what_it_calls(project: Project) -> None:
    """Down to the last generation."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("careful", 101)
        child = await child_of(engine, run.id)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        with pytest.raises(RunCancelledError):
            await engine.run(child.run_id).result()

    project.scenario(globals(), scenario)


def test_parents_do_not_take_the_places_of_their_children(project: Project) -> None:
    """One run at a time, and yet a tower of calls is built."""
    project.settings = project.settings.model_copy(update={"concurrency": 1})

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("tower", 20)).result() == 21

    project.scenario(globals(), scenario)


@pytest.mark.parametrize(("what", "code"), [("name", "WF701"), ("input", "WF703")])
def test_a_child_that_cannot_be_started_fails_the_run(project: Project, what: str, code: str) -> None:
    """Before anything of it is recorded."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("wrong", what)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_code == code
        assert len(await engine.store.list_runs()) == 1

    project.scenario(globals(), scenario)
