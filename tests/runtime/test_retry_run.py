"""Failed runs that are retried from the step that failed them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    HookTimeoutError,
    Retry,
    RunCancelledError,
    RunFailedError,
    RunStateError,
    UnknownRunError,
    Workflow,
    define_workflow,
)
from wfgen.engine import Engine

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

DONE: list[str] = []
BROKEN: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    DONE.clear()
    BROKEN.clear()


def work(name: str) -> str:
    DONE.append(name)
    if name in BROKEN:
        raise ValueError(f"{name} is broken")
    return name


def undo(name: str) -> None:
    work(f"undo {name}")


@define_workflow
async def chain(workflow: Workflow) -> list[Any]:
    found = [await workflow.do(name, work, name) for name in "abc"]
    return [*found, workflow.uuid().hex]


@define_workflow
async def wrapped(workflow: Workflow) -> str:
    """Fails with an error of its own, after a step for the error."""
    await workflow.do("a", work, "a")
    try:
        await asyncio.gather(workflow.do("b", work, "b"))
    except Exception as error:
        await workflow.do("tidy", work, "tidy")
        raise RuntimeError("it did not work") from error
    return "done"


@define_workflow
async def grouped(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    async with asyncio.TaskGroup() as group:
        group.create_task(workflow.do("b", work, "b"))
    return "done"


@define_workflow
async def own_error(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    if "own" in BROKEN:
        raise LookupError("a bug")
    await workflow.do("b", work, "b")
    return "done"


@define_workflow
async def hooked(workflow: Workflow) -> Any:
    await workflow.do("a", work, "a")
    return await workflow.hook("word", str, timeout="100ms" if BROKEN else "1m")


@define_workflow
async def child(workflow: Workflow) -> str:
    return str(await workflow.do("c", work, "c"))


@define_workflow
async def family(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    return str(await workflow.call("child", "child"))


async def nap() -> None:
    if BROKEN:
        DONE.append("nap")
        await asyncio.sleep(60)


@define_workflow(timeout="1h")
async def limited(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    await workflow.do("nap", nap)
    return "done"


@define_workflow
async def saga(workflow: Workflow) -> str:
    await workflow.do("a", work, "a", compensate=undo)
    await workflow.do("b", work, "b", compensate=undo)
    await workflow.do("c", work, "c")
    return "done"


@define_workflow
async def patient(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    return str(await workflow.do("b", work, "b", retry=Retry(attempts=2, delay="1ms")))


async def failed(engine: Engine, workflow: str) -> Any:
    run = await engine.start_run(workflow)
    with pytest.raises(RunFailedError):
        await run.result("60s")
    return run


def retried(project: Project, workflow: str, *broken: str, again: Any = None) -> tuple[Any, list[str]]:
    """Fail a run, mend what is broken, retry it; its result, and what was done in the retry."""
    BROKEN.update(broken)

    async def scenario(engine: Engine) -> Any:
        run = await failed(engine, workflow)
        DONE.clear()
        BROKEN.clear()
        await run.retry()
        if again is not None:
            await again(run)
        return await run.result("60s")

    return project.scenario(globals(), scenario), list(DONE)


def test_a_retry_begins_with_the_failed_step(project: Project) -> None:
    """E5: what completed before the failed step is not done again, and its results are the same."""
    BROKEN.add("b")

    async def scenario(engine: Engine) -> Any:
        run = await failed(engine, "chain")
        assert DONE == ["a", "b"]
        end = (await run.history())[-1]
        assert (end.type, end.data["step"]) == ("run_failed", "0/b")
        BROKEN.clear()
        await run.retry()
        result = await run.result("60s")
        assert result[:3] == ["a", "b", "c"]
        record = await run.info()
        assert (record.status, record.error_type, record.error) == ("completed", None, None)
        return [(event.type, event.key, event.data.get("to")) for event in await run.history()]

    history = [one for one in project.scenario(globals(), scenario) if one[0] != "run_claimed"]
    assert DONE == ["a", "b", "b", "c"]
    assert [one[0] for one in history] == [
        "run_started", "step_completed", "step_failed", "run_failed", "run_retried",
        "step_completed", "step_completed", "run_completed",
    ]  # fmt: skip


def test_a_retry_that_fails_can_be_retried(project: Project) -> None:
    """E5: as often as it takes, with another process each time."""
    BROKEN.add("b")
    run_id = project.scenario(globals(), lambda engine: failed(engine, "chain")).id

    async def again(engine: Engine) -> None:
        await engine.run(run_id).retry()
        with pytest.raises(RunFailedError):
            await engine.run(run_id).result("60s")

    project.scenario(globals(), again)
    project.scenario(globals(), again)
    BROKEN.clear()

    async def last(engine: Engine) -> Any:
        await engine.run(run_id).retry()
        return await engine.run(run_id).result("60s")

    assert project.scenario(globals(), last)[:3] == ["a", "b", "c"]
    assert DONE == ["a", "b", "b", "b", "b", "c"]


@pytest.mark.parametrize("workflow", ["wrapped", "grouped"])
def test_the_failed_step_is_found_behind_other_errors(project: Project, workflow: str) -> None:
    """E5: also behind an error that was raised from it, or in a group; what was done for the error is taken back."""
    assert retried(project, workflow, "b") == ("done", ["b"])


def test_a_failure_of_the_code_itself(project: Project) -> None:
    """E5: without a failed step the code is run again, on all that is recorded."""
    assert retried(project, "own_error", "own") == ("done", ["b"])


def test_attempts_count_anew(project: Project) -> None:
    """E5: a retried step has all its attempts."""
    BROKEN.add("b")

    async def scenario(engine: Engine) -> None:
        run = await failed(engine, "patient")
        await run.retry()
        with pytest.raises(RunFailedError):
            await run.result("60s")

    project.scenario(globals(), scenario)
    assert DONE == ["a", "b", "b", "b", "b"]


def test_a_hook_that_timed_out_is_opened_anew(project: Project) -> None:
    """E5: a run that failed for a hook nobody resumed waits for it again, under another token."""

    async def again(run: Any) -> None:
        async with asyncio.timeout(60):
            while not (hooks := await run.waiting()):
                await asyncio.sleep(0.005)
        tokens = [event.data["token"] for event in await run.history() if event.type == "hook_created"]
        assert len(set(tokens)) == 2
        assert hooks[0].token == tokens[-1]
        await run.hooks["word"].resume("hello")

    assert retried(project, "hooked", "hook", again=again) == ("hello", [])
    assert HookTimeoutError.code == "WF712"


def test_a_failed_child_is_started_anew(project: Project) -> None:
    """E5: a run that failed with its child starts another child."""
    assert retried(project, "family", "c") == ("c", ["c"])


@define_workflow
async def named(workflow: Workflow, name: str) -> str:
    if name == "patient":
        await workflow.hook("word", str)
    return str(await workflow.do(name, work, name, compensate=undo))


@define_workflow
async def siblings(workflow: Workflow) -> list[str]:
    await workflow.do("a", work, "a")
    return list(await asyncio.gather(*[workflow.call(name, "named", name) for name in ("patient", "c")]))


async def answer(engine: Engine, run: Any) -> None:
    """Resume the patient child that was started last, once there are two."""
    async with asyncio.timeout(60):
        while len(started := [e for e in await run.history() if (e.type, e.key) == ("child_started", "0/patient")]) < 2:
            await asyncio.sleep(0.005)
    await engine.run(started[-1].data["run_id"]).hooks["word"].resume("go")


def test_children_that_were_cancelled_with_a_failed_run_are_started_anew(project: Project) -> None:
    """E5: one retry is enough: the other children of a gather, cancelled by the failure, do not fail the run again."""
    BROKEN.add("c")

    async def scenario(engine: Engine) -> Any:
        run = await failed(engine, "siblings")
        BROKEN.clear()
        await run.retry()
        await answer(engine, run)
        return await run.result("60s"), [e.data["anew"] for e in await run.history() if e.type == "run_retried"]

    result, anew = project.scenario(globals(), scenario)
    assert result == ["patient", "c"]
    assert anew == [["0/patient"]]


@pytest.mark.parametrize("compensate", [False, True])
def test_children_that_were_cancelled_with_their_run_start_anew_after_a_rollback(
    project: Project, compensate: bool
) -> None:
    """E4: a cancelled run whose child waited is taken back, and does not hear that the child was cancelled."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("siblings")
        async with asyncio.timeout(60):
            while not (done := [c.seq for c in await run.checkpoints() if c.name == "c"]):
                await asyncio.sleep(0.005)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result("60s")
        await run.rollback(done[0], compensate=compensate)
        await answer(engine, run)
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["patient", "c"]
    assert DONE == ["a", "c", "patient"]


@define_workflow
async def early_start(workflow: Workflow) -> str:
    kid = await workflow.start("kid", "child")
    await workflow.do("b", work, "b")
    return str(await kid)


def test_a_child_of_a_failed_run_is_kept_for_its_retry(project: Project) -> None:
    """A19: pruning leaves a finished child while its parent is there; else the retried parent would wait for ever."""
    BROKEN.add("b")

    async def scenario(engine: Engine) -> Any:
        run = await failed(engine, "early_start")
        (kid,) = [e.data["run_id"] for e in await run.history() if e.type == "child_started"]
        await engine.run(kid).result("60s")
        await asyncio.sleep(0.01)
        assert await engine.prune("0s", ["completed"]) == 0
        BROKEN.clear()
        await run.retry()
        result, removed = await run.result("60s"), 0
        while removed < 2:  # they may have ended this very moment
            await asyncio.sleep(0.01)
            removed += await engine.prune("0s", ["completed"])
        return result, removed

    assert project.scenario(globals(), scenario) == ("c", 2)


@define_workflow
async def busy_family(workflow: Workflow) -> list[Any]:
    return list(await asyncio.gather(workflow.call("kid", "named", "patient"), workflow.do("busy", GATE[0].wait)))


GATE: list[asyncio.Event] = []


def test_the_end_of_a_child_that_is_retried_is_not_believed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """E5: a parent that has read it, but not recorded, when the child is retried waits for the child's next end."""
    monkeypatch.setattr("wfgen.engine.LAST_RETRY", 0.05)
    BROKEN.add("patient")

    async def scenario(engine: Engine) -> Any:
        GATE[:] = [asyncio.Event()]
        run = await engine.start_run("busy_family")
        async with asyncio.timeout(60):
            while not (started := [e for e in await run.history() if e.type == "child_started"]):
                await asyncio.sleep(0.005)
            await run.pause()  # it takes no messages until the step that is at work has ended
            kid = engine.run(started[0].data["run_id"])
            await kid.hooks["word"].resume("go")
            with pytest.raises(RunFailedError):
                await kid.result()
            await asyncio.sleep(0.05)  # its end is read
        BROKEN.clear()
        await kid.retry()
        await run.resume()
        GATE[0].set()
        result = await run.result("60s")
        return result, [e.type for e in await run.history() if e.type in ("child_failed", "child_completed")]

    assert project.scenario(globals(), scenario) == (["patient", True], ["child_completed"])


def test_the_timeout_of_a_run_counts_anew(project: Project) -> None:
    """E5: a run that took too long has its whole time again, also when it is taken over after that."""
    clock = AheadClock()
    BROKEN.add("nap")

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("limited")
        while "nap" not in DONE:
            await asyncio.sleep(0.005)
        clock.go_on(engine, 7200)
        with pytest.raises(RunFailedError, match="exceeded its timeout"):
            await run.result("60s")
        BROKEN.clear()
        await run.retry()
        return await run.result("60s")

    assert project.scenario(globals(), scenario, environment=clock.environment) == "done"
    assert DONE == ["a", "nap"]


def test_compensations_that_failed_go_on(project: Project) -> None:
    """B23: what is undone stays undone; the failed compensation runs again, the others do not."""
    BROKEN.update({"c", "undo b"})

    async def scenario(engine: Engine) -> None:
        run = await failed(engine, "saga")
        assert DONE == ["a", "b", "c", "undo b", "undo a"]
        DONE.clear()
        BROKEN.remove("undo b")
        await run.retry()
        with pytest.raises(RunFailedError, match="c is broken") as raised:
            await run.result("60s")
        assert raised.value.error_code == "WF710"
        assert DONE == ["undo b"]
        with pytest.raises(RunStateError, match="undone already"):
            await run.retry()

    project.scenario(globals(), scenario)


def test_what_cannot_be_retried(project: Project) -> None:
    """E5: a run that has not failed, or whose steps are undone, is refused with advice and left as it is."""
    BROKEN.update({"c"})

    async def scenario(engine: Engine) -> None:
        undone = await failed(engine, "saga")
        done = await engine.start_run("own_error")
        await done.result("60s")
        BROKEN.clear()  # a hook waits for a minute then
        cancelled = await engine.start_run("hooked")
        await cancelled.cancel()
        with pytest.raises(RunCancelledError):
            await cancelled.result("60s")
        terminated = await engine.start_run("hooked")
        await terminated.terminate()
        at_work = await engine.start_run("hooked")
        while (await at_work.info()).status != "waiting":
            await asyncio.sleep(0.005)
        for run in (undone, done, cancelled, terminated, at_work):
            before = await run.info()
            with pytest.raises(RunStateError) as raised:
                await run.retry()
            assert raised.value.code == "WF727"
            assert raised.value.hint
            assert (await run.info()).status == before.status
            assert all(event.type != "run_retried" for event in await run.history())
        with pytest.raises(UnknownRunError):
            await engine.controls.retry("run_nowhere")

    project.scenario(globals(), scenario)
