"""Runs that are taken back to a checkpoint, and what counts of a history then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    Job,
    RunCancelledError,
    RunFailedError,
    RunStateError,
    UnknownHookError,
    UnknownRunError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.checkpoints import checkpoints, effective, undone
from wfgen.engine import Engine, open_engine
from wfgen.events import Event
from wfgen.registry import Registry

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

DONE: list[str] = []
BROKEN: set[str] = set()
DRAWN: list[int] = []
KEYS: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    for one in (DONE, BROKEN, DRAWN, KEYS):
        one.clear()


def work(name: str) -> str:
    DONE.append(name)
    if name in BROKEN:
        raise ValueError(f"{name} is broken")
    return f"{name}{DONE.count(name)}"


@define_worker("keyed")
def keyed(name: str, job: Job) -> str:
    KEYS.append(job.idempotency_key)
    return work(name)


def undo(result: str) -> None:
    work(f"undo {result}")


@define_workflow
async def chain(workflow: Workflow) -> list[Any]:
    return [await workflow.do(name, work, name) for name in "abc"]


@define_workflow
async def hooks(workflow: Workflow) -> list[Any]:
    first = await workflow.hook("first", str)
    done = await workflow.do("a", work, "a")
    second = await workflow.hook("second", str)
    return [first, done, second]


@define_workflow
async def waiting(workflow: Workflow) -> str:
    return await workflow.hook("word", str)


@define_workflow
async def saga(workflow: Workflow) -> list[Any]:
    found = [await workflow.do(name, "keyed", name, compensate=undo) for name in "abc"]
    return [*found, await workflow.hook("word", str)]


@define_workflow
async def child(workflow: Workflow, name: str) -> str:
    if name == "waits":
        await workflow.hook("word", str)
    return str(await workflow.do(name, work, name))


@define_workflow
async def family(workflow: Workflow) -> list[Any]:
    first = await workflow.call("first", "child", "quick")
    done = await workflow.do("a", work, "a")
    return [first, done, await workflow.call("second", "child", "waits")]


@define_workflow
async def drawing(workflow: Workflow) -> list[Any]:
    DRAWN.append(workflow.random().randrange(10**9))
    return [await workflow.do("a", work, "a"), await workflow.do("b", work, "b")]


@define_workflow
async def continued(workflow: Workflow, left: int) -> list[Any]:
    found = await workflow.do("a", work, f"a{left}")
    if left:
        workflow.continue_as_new(left - 1)
    return [found, await workflow.do("b", work, "b")]


@define_workflow(timeout="1h")
async def limited(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    return "done"


def event(seq: int, type: Any, key: str | None = None, **data: Any) -> Event:
    return Event(seq, type, float(seq), key, data)


def at(history: Any, key: str) -> int:
    """Seq of the last completion of an operation."""
    return int(
        [e.seq for e in history if e.key == key and e.type in ("step_completed", "hook_resumed", "child_completed")][-1]
    )


async def open_hook(run: Any, name: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            found = [hook for hook in await run.waiting() if hook.name == name]
            if found:
                return found[0]
            await asyncio.sleep(0.005)


def test_what_counts_of_a_history() -> None:
    """E4: a marker undoes what lies between it and its goal; a later one may undo markers too."""
    start, a, b = event(1, "run_started"), event(2, "step_completed", "0/a"), event(3, "step_completed", "0/b")
    back = event(4, "rolled_back", to=2)
    b2, c = event(5, "step_completed", "0/b"), event(6, "step_completed", "0/c")
    assert effective([start, a, b]) == [start, a, b]
    assert effective([start, a, b, back]) == [start, a, back]
    assert effective([start, a, b, back, b2, c]) == [start, a, back, b2, c]
    again = event(7, "rolled_back", to=5)
    assert effective([start, a, b, back, b2, c, again]) == [start, a, back, b2, again]
    outer = event(8, "rolled_back", to=1)
    assert effective([start, a, b, back, b2, c, again, outer]) == [start, outer]
    assert undone([start, a, b, back, b2, c, again]) == {3, 6}
    opened = event(2, "hook_created", "0/h", token="t")
    retried = event(5, "run_retried", to=2, step="0/h")
    late = event(3, "hook_timed_out", "0/h")
    assert effective([start, opened, late, event(4, "run_failed"), retried]) == [start, retried]


def test_checkpoints_are_starts_and_delivered_completions() -> None:
    """E4: each completed step is a checkpoint; what was not delivered, or undoes and ends the run, is none."""
    events = [
        event(1, "run_started"),
        event(2, "timer_set", "0/nap"),
        event(3, "timer_fired", "0/nap"),
        event(4, "step_completed", "0.1/charge#2"),
        event(5, "step_completed", "0/given up", after_cancel=True),
        event(6, "compensation_started"),
        event(7, "step_completed", "undo/charge"),
        event(8, "step_completed", "after/alert"),
        event(9, "run_failed"),
    ]
    found = checkpoints(events)
    assert [(one.seq, one.name, one.time) for one in found] == [(1, None, 1.0), (3, "nap", 3.0), (4, "charge#2", 4.0)]
    assert [one.seq for one in checkpoints(events, 2)] == [3, 4]


@pytest.mark.parametrize("key", ["0/a", "0/b", "0/c", None])
def test_a_finished_run_goes_on_from_any_checkpoint(project: Project, key: str | None) -> None:
    """E4: what came before the checkpoint keeps its results, what came after it is done again."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("chain")
        assert await run.result("60s") == ["a1", "b1", "c1"]
        to = 1 if key is None else at(await run.history(), key)
        ended = (await run.info()).finished_at
        await run.rollback(to)
        assert (await run.info()).finished_at != ended, "it goes on, if it has not ended once more by now"
        result = await run.result("60s")
        history = await run.history()
        assert [e.seq for e in history] == list(range(1, len(history) + 1))
        assert any(e.type == "rolled_back" and e.data == {"to": to} for e in history)
        return result

    kept = 0 if key is None else "abc".index(key[-1]) + 1
    assert project.scenario(globals(), scenario) == [f"{name}{1 if n < kept else 2}" for n, name in enumerate("abc")]
    assert "".join(DONE) == "abc" + "abc"[kept:]


def test_rolled_back_again_and_worked_by_another_process(project: Project) -> None:
    """E4: the effective history is what another process goes by, also after several rollbacks."""

    async def first(engine: Engine) -> Any:
        run = await engine.start_run("chain")
        await run.result("60s")
        await run.rollback(at(await run.history(), "0/b"))
        await run.result("60s")
        await run.rollback(at(await run.history(), "0/a"))
        return run.id

    run_id = project.scenario(globals(), first)

    async def other(engine: Engine) -> Any:
        run = engine.run(run_id)
        result = await run.result("60s")
        seqs = [one.seq for one in await run.checkpoints()]
        assert seqs == sorted(seqs)
        assert not undone(await run.history()) & set(seqs)
        return result

    assert project.scenario(globals(), other)[0] == "a1"


def test_hooks_are_open_again(project: Project) -> None:
    """E4: a hook answered after the checkpoint waits again under its token; one opened after it is closed for good."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("hooks")
        first = await open_hook(run, "first")
        await run.hooks["first"].resume("one")
        second = await open_hook(run, "second")
        await run.rollback(1)
        again = await open_hook(run, "first")
        assert again.token != first.token
        with pytest.raises(UnknownHookError):
            await engine.controls.resume_hook(b'"late"', token=second.token)
        await run.hooks["first"].resume("two")
        newer = await open_hook(run, "second")
        assert newer.token != second.token
        await run.hooks["second"].resume("three")
        assert await run.result("60s") == ["two", "a2", "three"]
        await run.rollback(at(await run.history(), "0/a"))
        last = await open_hook(run, "second")
        assert last.token not in (second.token, newer.token)
        await run.hooks["second"].resume("four")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["two", "a2", "four"]


@define_workflow
async def early_hook(workflow: Workflow) -> list[Any]:
    hook = workflow.create_hook("word", str)
    opened = asyncio.ensure_future(hook)
    done = await workflow.do("a", work, "a")
    return [done, await opened]


def test_a_hook_opened_before_the_checkpoint_keeps_its_token(project: Project) -> None:
    """E4: who holds the token of a hook that was open at the checkpoint can resume it again."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("early_hook")
        token = (await open_hook(run, "word")).token
        await engine.controls.resume_hook(b'"one"', token=token)
        assert await run.result("60s") == ["a1", "one"]
        await run.rollback(at(await run.history(), "0/a"))
        assert (await open_hook(run, "word")).token == token
        assert await engine.controls.resume_hook(b'"two"', token=token) == "sent"
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a1", "two"]


def test_children_are_cancelled_or_heard_again(project: Project) -> None:
    """E4: a child started after the checkpoint is cancelled and not heard of; the redone call starts another one."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("family")
        async with asyncio.timeout(60):
            while not (started := [e for e in await run.history() if e.key == "0/second"]):
                await asyncio.sleep(0.005)
        old = started[0].data["run_id"]
        await open_hook(engine.run(old), "word")
        await run.rollback(at(await run.history(), "0/first"))
        with pytest.raises(RunCancelledError):
            await engine.run(old).result("60s")
        async with asyncio.timeout(60):
            while (new := [e for e in await run.history() if e.key == "0/second"][-1].data["run_id"]) == old:
                await asyncio.sleep(0.005)
        await open_hook(engine.run(new), "word")
        await engine.run(new).hooks["word"].resume("go")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["quick1", "a2", "waits1"]


def test_the_end_of_a_child_is_told_again(project: Project) -> None:
    """E4: a child that was started before the checkpoint and ended after it is not started again."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("beside_child")
        await run.result("60s")
        await run.rollback(at(await run.history(), "0/a"))
        result = await run.result("60s")
        assert sum(e.type == "child_started" for e in await run.history()) == 1
        return result

    assert project.scenario(globals(), scenario) == ["a1", "late1"]
    assert DONE == ["a", "late"]


@define_workflow
async def late_child(workflow: Workflow) -> str:
    await workflow.sleep("nap", "50ms")
    return str(await workflow.do("late", work, "late"))


@define_workflow
async def beside_child(workflow: Workflow) -> list[Any]:
    called = asyncio.ensure_future(workflow.call("late", "late_child"))
    return [await workflow.do("a", work, "a"), await called]


def test_random_values_before_the_checkpoint_stay(project: Project) -> None:
    """E4: a replay of what counts draws what was drawn before."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("drawing")
        await run.result("60s")
        await run.rollback(at(await run.history(), "0/a"))
        await run.result("60s")

    project.scenario(globals(), scenario)
    assert len(DRAWN) == 2
    assert len(set(DRAWN)) == 1


def test_back_before_a_continuation(project: Project) -> None:
    """E4: also to a checkpoint before the run was continued with another input."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("continued", 2)
        assert await run.result("60s") == ["a01", "b1"]
        a1 = [one.seq for one in await run.checkpoints() if one.name == "a"][1]
        await run.rollback(a1)
        result = await run.result("60s")
        assert [e.data.get("to") for e in await run.history() if e.type == "rolled_back"] == [a1]
        return result

    assert project.scenario(globals(), scenario) == ["a02", "b2"]
    assert DONE == ["a2", "a1", "a0", "b", "a0", "b"]


def test_the_timeout_of_the_run_counts_from_the_rollback(project: Project) -> None:
    """E4: a run that is taken back after its time does not time out at once."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("limited")
        await run.result("60s")
        clock.go_on(engine, 7200)
        await run.rollback(1)
        return await run.result("60s")

    assert project.scenario(globals(), scenario, environment=clock.environment) == "done"


def test_failed_cancelled_and_terminated_runs(project: Project) -> None:
    """E4, E5: any end is taken back."""

    async def scenario(engine: Engine) -> None:
        BROKEN.add("b")
        failed = await engine.start_run("chain")
        with pytest.raises(RunFailedError):
            await failed.result("60s")
        BROKEN.clear()
        await failed.rollback(at(await failed.history(), "0/a"))
        assert await failed.result("60s") == ["a1", "b2", "c1"]
        for end in ("cancel", "terminate"):
            run = await engine.start_run("hooks")
            await open_hook(run, "first")
            await getattr(run, end)()
            with pytest.raises(RunCancelledError):
                await run.result("60s")
            await run.rollback(1)
            await open_hook(run, "first")
            await run.hooks["first"].resume("one")
            await open_hook(run, "second")
            await run.hooks["second"].resume("two")
            assert (await run.result("60s"))[::2] == ["one", "two"]

    project.scenario(globals(), scenario)


def test_compensated_effects_do_not_count_as_done(project: Project) -> None:
    """B23: a run that has undone its steps goes back to before them, or not at all; then they have other keys."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("saga")
        await open_hook(run, "word")
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result("60s")
        assert DONE == ["a", "b", "c", "undo c1", "undo b1", "undo a1"]
        with pytest.raises(RunStateError, match="undone effects"):
            await run.rollback(at(await run.history(), "0/b"))
        await run.rollback(1)
        await open_hook(run, "word")
        await run.hooks["word"].resume("fine")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a2", "b2", "c2", "fine"]
    assert len(set(KEYS)) == 6


def test_effects_that_stand_keep_their_keys(project: Project) -> None:
    """E4: without compensation a step that is done again has the key under which its effect was made before."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("saga")
        await open_hook(run, "word")
        await run.rollback(at(await run.history(), "0/a"))
        await open_hook(run, "word")

    project.scenario(globals(), scenario)
    assert KEYS[3:] == KEYS[1:3]


def test_what_cannot_be_taken_back(project: Project) -> None:
    """E4: an event that is no checkpoint, is undone or is not there is refused with advice; nothing changes."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("chain")
        await run.result("60s")
        before = await run.history()
        for seq in (0, before[-1].seq, 99):
            with pytest.raises(RunStateError, match="is no checkpoint") as raised:
                await run.rollback(seq)
            assert raised.value.code == "WF727"
            assert raised.value.hint
        assert await run.history() == before
        assert (await run.info()).status == "completed"
        await run.rollback(2)
        await run.result("60s")
        with pytest.raises(RunStateError, match="is undone"):
            await run.rollback(3)
        with pytest.raises(UnknownRunError):
            await engine.controls.rollback("run_nowhere", 1)

    project.scenario(globals(), scenario)


def test_how_many_checkpoints_are_kept(project: Project) -> None:
    """E4: the setting bounds them; what is further back is refused and not listed."""
    project.settings = project.settings.model_copy(update={"checkpoints_kept": 2})

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("chain")
        await run.result("60s")
        assert [one.name for one in await run.checkpoints()] == ["b", "c"]
        with pytest.raises(RunStateError, match="only the last 2") as raised:
            await run.rollback(at(await run.history(), "0/a"))
        assert "checkpoints_kept" in str(raised.value)
        with pytest.raises(RunStateError, match="only the last 2"):
            await run.fork(1)
        await run.rollback(at(await run.history(), "0/b"))
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a1", "b1", "c2"]


def test_another_process_takes_a_run_away(project: Project) -> None:
    """E4: the process that works a run drops it soon after another one has taken it back, and records nothing more."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("hooks")
        await open_hook(run, "first")
        held = engine.executions[run.id]
        async with open_engine(Registry("none"), engine.settings, work=False) as other:
            await other.run(run.id).terminate("enough")
            async with asyncio.timeout(60):
                while not held.closed:
                    await asyncio.sleep(0.01)
        assert run.id not in engine.executions
        with pytest.raises(RunCancelledError):
            await run.result("60s")

    project.scenario(globals(), scenario)


def test_rolling_back_undoes_steps(project: Project) -> None:
    """E4, B23: with compensations what was completed after the checkpoint is undone, the last first, and done again."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("saga")
        token = (await open_hook(run, "word")).token
        await run.rollback(at(await run.history(), "0/a"), compensate=True)
        async with asyncio.timeout(60):
            while (await open_hook(run, "word")).token == token:
                await asyncio.sleep(0.005)
        await run.hooks["word"].resume("fine")
        result = await run.result("60s")
        kinds = [e.type for e in await run.history()]
        assert kinds.index("rollback_requested") < kinds.index("rolled_back")
        return result

    assert project.scenario(globals(), scenario) == ["a1", "b2", "c2", "fine"]
    assert DONE == ["a", "b", "c", "undo c1", "undo b1", "b", "c"]
    assert len(set(KEYS)) == 5


def test_rolling_back_a_finished_run_undoes_its_steps(project: Project) -> None:
    """E4, B23: the same for a run that has ended."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("saga")
        await run.hooks["word"].resume("one")
        assert await run.result("60s") == ["a1", "b1", "c1", "one"]
        await run.rollback(1, compensate=True)
        await run.hooks["word"].resume("two")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a2", "b2", "c2", "two"]
    assert DONE == ["a", "b", "c", "undo c1", "undo b1", "undo a1", "a", "b", "c"]


def test_a_rollback_whose_compensation_fails(project: Project) -> None:
    """E4, B23: the run fails; when it is retried it goes on undoing what is not undone, and is taken back then."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("saga")
        await run.hooks["word"].resume("one")
        await run.result("60s")
        BROKEN.add("undo b1")
        await run.rollback(1, compensate=True)
        with pytest.raises(RunFailedError, match="rolled back to 1, and a compensation failed") as raised:
            await run.result("60s")
        assert raised.value.error_code == "WF729"
        BROKEN.clear()
        with pytest.raises(RunStateError, match="begun to undo"):
            await run.rollback(1, compensate=True)
        await run.retry()
        await run.hooks["word"].resume("two")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a2", "b2", "c2", "two"]
    assert DONE == ["a", "b", "c", "undo c1", "undo b1", "undo a1", "undo b1", "a", "b", "c"]


def test_undoing_stops_at_a_continuation(project: Project) -> None:
    """E4: compensations of a part that the run has left behind are not at hand, so they are not pretended."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("continued", 1)
        await run.result("60s")
        with pytest.raises(RunStateError, match="was continued"):
            await run.rollback(1, compensate=True)
        assert (await run.info()).status == "completed"

    project.scenario(globals(), scenario)


def test_the_steps_of_a_terminated_run_are_undone(project: Project) -> None:
    """E4, B23: a run that was ended where it stood is undone and done again."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("saga")
        await open_hook(run, "word")
        await run.terminate()
        assert DONE == ["a", "b", "c"]
        await run.rollback(1, compensate=True)
        await run.hooks["word"].resume("fine")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == ["a2", "b2", "c2", "fine"]
    assert DONE == ["a", "b", "c", "undo c1", "undo b1", "undo a1", "a", "b", "c"]


def test_an_answered_message_that_is_read_late_is_not_answered_again(project: Project) -> None:
    """B10, E4: what was read of the inbox before the run was taken back, and is answered since, concerns it no more."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("waiting")
        read, told = engine.store.messages, asyncio.Event()

        async def opened(times: int) -> None:
            async with asyncio.timeout(60):
                while [e.type for e in await run.history()].count("hook_created") < times:
                    await asyncio.sleep(0.005)

        async def slow(*arguments: Any, **options: Any) -> Any:
            found = await read(*arguments, **options)
            if found:
                await told.wait()
            return found

        await opened(1)
        engine.store.messages = slow  # type: ignore[method-assign]
        sending = asyncio.ensure_future(run.hooks["word"].resume("first"))
        async with asyncio.timeout(60):
            while not await read(engine.process_id):
                await asyncio.sleep(0.005)
        await run.rollback(1)
        assert await run.result("60s") == "first"
        await run.rollback(1)
        await opened(3)
        told.set()
        await sending
        await asyncio.sleep(0.05)
        assert (await run.info()).status == "waiting"
        await run.hooks["word"].resume("second")
        return await run.result("60s")

    assert project.scenario(globals(), scenario) == "second"
