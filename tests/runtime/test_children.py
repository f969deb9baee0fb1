"""Runs that start other runs (A8, B1)."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from wfgen import RunCancelledError, RunFailedError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine
from wfgen.references import WorkflowRef
from wfgen.registry import Registry

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores


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
    await workflow.sleep("longer", "1h")
    return "never"


@define_workflow
async def tower(workflow: Workflow, height: int) -> int:
    return 1 if height == 0 else 1 + int(await workflow.call("below", "tower", height - 1))


@define_workflow
async def wrong(workflow: Workflow, what: str) -> None:
    await workflow.call("x", "nobody" if what == "name" else "ship", {"id": "seven"})


SHIP: WorkflowRef[Parcel, Label] = WorkflowRef("ship", Registry("none"))
"""As the generated package gives it."""


@define_workflow
async def by_reference(workflow: Workflow, id: int) -> list[str]:
    called = await workflow.call("call", SHIP, Parcel(id=id))
    started = await workflow.start("start", SHIP, Parcel(id=id + 1))
    return [called.text, (await started).text]


async def _leave(workflow: Workflow, given: tuple[str, Any]) -> None:
    """Calls or starts a child that waits, and fails when a short sleep is over."""
    form, policy = given
    parcel = Parcel(id=1, weight=500)
    if form == "call":
        task = asyncio.create_task(workflow.call("ship", "ship", parcel, on_parent_end=policy))
        await workflow.sleep("pause", "20ms")
        assert not task.done()
    else:
        await workflow.start("ship", "ship", parcel, on_parent_end=policy)
    await workflow.sleep("longer", "20ms")


@define_workflow
async def leaves_by_failing(workflow: Workflow, given: tuple[str, Any]) -> None:
    await _leave(workflow, given)
    raise ValueError("no more")


@define_workflow(timeout="1h")
async def leaves_by_timeout(workflow: Workflow, given: tuple[str, Any]) -> None:
    await _leave(workflow, given)
    await workflow.sleep("longest", "1d")


@define_workflow
async def needs_both(workflow: Workflow, given: tuple[str, bool]) -> list[str]:
    """The second depends on the first, the third is there on a condition."""
    name, urgent = given
    first = await workflow.call("print", "ship", Parcel(id=len(name)))
    second = await workflow.do("pack", lambda label: f"packed {label}", first.text)
    return [second, await workflow.do("hurry", lambda: "by air")] if urgent else [second]


async def recorded(run: Any, key: str) -> bool:
    """Whether there is an event of an operation."""
    return any(event.key == key for event in await run.history())


async def until(condition: Any) -> Any:
    async with asyncio.timeout(60):
        while not (found := await condition()):
            await asyncio.sleep(0.005)
        return found


async def child_of(engine: Engine, run_id: str) -> Any:
    async def look() -> Any:
        return [run for run in await engine.store.list_runs() if run.parent == run_id]

    return (await until(look))[0]


@define_workflow
async def starts_last(workflow: Workflow, fails: bool) -> str:
    child = await workflow.start("ship", "ship", Parcel(id=1))
    if fails:
        raise ValueError("on purpose")
    return child.run_id


@pytest.mark.parametrize("fails", [False, True])
def test_a_child_that_is_started_last_is_started(project: Project, fails: bool) -> None:
    """A8: also when the code ends at once after it, with a result or an error."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("starts_last", fails)
        if fails:
            with pytest.raises(RunFailedError):
                await run.result()
        else:
            await run.result()
        (started,) = [event for event in await run.history() if event.type == "child_started"]
        assert await engine.run(started.data["run_id"]).result() == Label(text="label 1")

    project.scenario(globals(), scenario)


def test_children_run_and_give_typed_results(project: Project) -> None:
    """A8, B1: each is a run of its own, its result is typed; the parent's history has its start and its end."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("order", [1, 2, 3])
        assert await run.result() == ["label 1", "label 2", "label 3"]
        types = [event.type for event in await engine.store.history(run.id)]
        assert types.count("child_started") == types.count("child_completed") == 3
        children = [child for child in await engine.store.list_runs(workflow="ship") if child.parent == run.id]
        assert [child.status for child in children] == ["completed"] * 3

    project.scenario(globals(), scenario)


def test_a_childs_failure_is_an_error_to_catch(project: Project) -> None:
    """A8, B1: it carries the type and message that were recorded."""

    async def scenario(engine: Engine) -> None:
        found = await (await engine.start_run("careful", -1)).result()
        assert found == "wfgen.errors.StepError step 'print' failed: ValueError: no such parcel"

    project.scenario(globals(), scenario)


def test_a_child_that_somebody_cancels_is_an_error_to_catch(project: Project) -> None:
    """B1, B3: the parent hears of it, and goes on."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("careful", 101)
        child = await child_of(engine, run.id)
        await engine.controls.cancel(child.run_id)
        assert await run.result() == f"cancelled {child.run_id}"

    project.scenario(globals(), scenario)


def test_a_started_child_outlives_its_parent(project: Project) -> None:
    """A8, B1: a child that is started and not awaited goes on alone by default."""

    async def scenario(engine: Engine) -> None:
        child_id = await (await engine.start_run("starter", False)).result()
        assert (await engine.store.get_run(child_id)).finished_at is None
        await engine.controls.resume_hook_json('"ready"', run_id=child_id, name="crane")
        assert (await engine.run(child_id).result()).text == "label 7"

    project.scenario(globals(), scenario)


def test_a_started_child_may_be_awaited_later(project: Project) -> None:
    """A8, B10: what `start` gives is awaited for the result, also after another process has taken over."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("starter", True)
        await child_of(engine, run.id)
        return run.id

    async def second(engine: Engine) -> None:
        child = await child_of(engine, run_id)
        await engine.controls.resume_hook_json('"ready"', run_id=child.run_id, name="crane")
        assert await engine.run(run_id).result() == "label 7"

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)


def test_the_end_of_a_child_waits_for_its_parent(project: Project) -> None:
    """B1, B10: a child may end while nobody works the parent: its end stands in the inbox."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("careful", 101)
        await child_of(engine, run.id)
        return run.id

    async def second(engine: Engine) -> None:
        child = await child_of(engine, run_id)
        await engine.controls.resume_hook_json('"ready"', run_id=child.run_id, name="crane")
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
    """A8, B3: its child is cancelled, or goes on, as the policy says, while the parent lives."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("losing", policy)

        await until(functools.partial(recorded, run, "0/longer"))
        child = await child_of(engine, run.id)

        async def settled() -> bool:
            return (await engine.store.get_run(child.run_id)).status == status

        await until(settled)
        assert await (await engine.start_run("tower", 1)).result() == 2  # another child comes and goes meanwhile
        assert (await engine.store.get_run(child.run_id)).status == status
        assert (await run.info()).finished_at is None

    project.scenario(globals(), scenario)


def test_cancelling_the_parent_cancels_what_it_calls(project: Project) -> None:
    """B1, B3: the request reaches the child that is waited for."""

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
    """B1: one run at a time, and yet a tower of calls is built."""
    project.settings = project.settings.model_copy(update={"concurrency": 1})

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("tower", 20)).result() == 21

    project.scenario(globals(), scenario)


@pytest.mark.parametrize(("what", "code"), [("name", "WF701"), ("input", "WF703")])
def test_a_child_that_cannot_be_started_fails_the_run(project: Project, what: str, code: str) -> None:
    """A8: before anything of it is recorded."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("wrong", what)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_code == code
        assert len(await engine.store.list_runs()) == 1

    project.scenario(globals(), scenario)


def test_a_child_by_reference(project: Project) -> None:
    """A8, B1: `workflows.ship` of the generated package serves in place of the id, for `call` and `start`."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("by_reference", 4)).result() == ["label 4", "label 5"]

    project.scenario(globals(), scenario)


@pytest.mark.parametrize("workflow", ["leaves_by_failing", "leaves_by_timeout"])
@pytest.mark.parametrize(
    ("form", "policy", "status"),
    [("call", "cancel", "cancelled"), ("call", "abandon", "waiting"),
     ("start", "cancel", "cancelled"), ("start", "abandon", "waiting")],
)  # fmt: skip
def test_the_end_of_the_parent(project: Project, workflow: str, form: str, policy: str, status: str) -> None:
    """A8, B1, B4: a failure or a timeout of the parent reaches its children as their policy says."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run(workflow, (form, policy))
        if workflow == "leaves_by_timeout":
            await until(functools.partial(recorded, run, "0/longest"))
            clock.go_on(engine, 7200)
        with pytest.raises(RunFailedError):
            await run.result()
        child = await child_of(engine, run.id)

        async def settled() -> bool:
            return (await engine.store.get_run(child.run_id)).status == status

        await until(settled)
        if policy == "abandon":
            await engine.controls.resume_hook_json('"ready"', run_id=child.run_id, name="crane")
            assert (await engine.run(child.run_id).result()).text == "label 1"

    project.scenario(globals(), scenario, environment=clock.environment)


def test_tasks_that_depend_on_each_other(project: Project) -> None:
    """B7: what needs the result of another one comes after it, and a condition is an `if`."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("needs_both", ("tea", True))).result() == ["packed label 3", "by air"]
        run = await engine.start_run("needs_both", ("tea", False))
        assert await run.result() == ["packed label 3"]
        ends = [event.key for event in await run.history() if event.type.endswith("_completed") and event.key]
        assert ends == ["0/print", "0/pack"]

    project.scenario(globals(), scenario)
