"""Runs that begin with the history of another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import ConflictError, InvalidInputError, RunStateError, UnknownRunError, Workflow, define_workflow
from wfgen.checkpoints import copied
from wfgen.engine import Engine
from wfgen.events import Event

from .clocks import AheadClock

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.both_stores

DONE: list[str] = []
DRAWN: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    DONE.clear()
    DRAWN.clear()


def work(name: str) -> str:
    DONE.append(name)
    return f"{name}{DONE.count(name)}"


@define_workflow
async def chain(workflow: Workflow, word: str) -> list[Any]:
    return [word, *[await workflow.do(f"{name}", work, f"{name}{word}") for name in "abc"]]


@define_workflow
async def open_things(workflow: Workflow) -> list[Any]:
    """A hook, a child and a sleep are open when `a` completes."""
    hook = asyncio.ensure_future(workflow.hook("word", str))
    called = asyncio.ensure_future(workflow.call("child", "child"))
    nap = asyncio.ensure_future(workflow.sleep("nap", "80ms"))
    await workflow.sleep("first", "10ms")
    done = await workflow.do("a", work, "a")
    await nap
    return [done, await hook, await called]


@define_workflow
async def child(workflow: Workflow) -> str:
    return str(await workflow.hook("inner", str))


@define_workflow
async def drawing(workflow: Workflow, word: str) -> list[Any]:
    first = workflow.random().randrange(10**9)
    done = await workflow.do("a", work, word)
    second = workflow.random().randrange(10**9)
    DRAWN.append((workflow.run_id, first))
    DRAWN.append((workflow.run_id, second))
    return [done, await workflow.do("b", work, word)]


@define_workflow
async def with_before(workflow: Workflow, left: int) -> list[Any]:
    found = await workflow.do("a", work, f"a{left}")
    if left:
        workflow.continue_as_new(left - 1)
    return [left, found, await workflow.do("b", work, "b")]


@define_workflow(timeout="1h")
async def limited(workflow: Workflow) -> str:
    await workflow.do("a", work, "a")
    return "done"


async def finished(engine: Engine, workflow: str, *data: Any) -> Any:
    run = await engine.start_run(workflow, *data)
    await run.result("60s")
    return run


async def checkpoint(run: Any, name: str) -> int:
    return next(one.seq for one in await run.checkpoints() if one.name == name)


def test_a_fork_begins_with_a_copy(project: Project) -> None:
    """E4: a fork has the history up to the checkpoint, does the rest itself, and leaves the other run as it is."""

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "chain", "x")
        before, record = await run.history(), await run.info()
        fork = await run.fork(await checkpoint(run, "b"))
        assert fork.id != run.id
        result = await fork.result("60s")
        assert await run.history() == before
        assert await run.info() == record
        history = await fork.history()
        assert [e.seq for e in history] == list(range(1, len(history) + 1))
        assert history[0].data["forked_from"] == run.id
        assert history[0].data["forked_at"] == await checkpoint(run, "b")
        assert (await fork.info()).tags == record.tags
        return result

    assert project.scenario(globals(), scenario) == ["x", "ax1", "bx1", "cx2"]
    assert DONE == ["ax", "bx", "cx", "cx"]


def test_a_fork_with_another_input(project: Project) -> None:
    """E4: the input can be changed; completed steps keep their results, and the change is seen in the history."""

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "chain", "x")
        fork = await run.fork(await checkpoint(run, "a"), "y")
        result = await fork.result("60s")
        assert (await fork.info()).input == b'"y"'
        assert [e.key for e in await fork.history() if e.type == "input_changed"] == ["0/a"]
        with pytest.raises(InvalidInputError):
            await run.fork(1, 7)
        return result

    assert project.scenario(globals(), scenario) == ["y", "ax1", "by1", "cy1"]


def test_a_fork_from_the_start(project: Project) -> None:
    """E4: from its start a run is done again as a whole."""

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "chain", "x")
        return await (await run.fork(1)).result("60s")

    assert project.scenario(globals(), scenario) == ["x", "ax2", "bx2", "cx2"]


def test_what_is_open_is_opened_anew(project: Project) -> None:
    """E4: a fork opens hooks and starts children of its own, and both runs go on side by side."""

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("open_things")
        async with asyncio.timeout(60):
            while not any(one.name == "a" for one in await run.checkpoints()):
                await asyncio.sleep(0.005)
        fork = await run.fork(await checkpoint(run, "a"))
        for one in (run, fork):
            async with asyncio.timeout(60):
                while not (await one.waiting() and any(e.type == "child_started" for e in await one.history())):
                    await asyncio.sleep(0.005)
        tokens = {one.id: (await one.waiting())[0].token for one in (run, fork)}
        assert len(set(tokens.values())) == 2
        children = [
            next(e for e in await one.history() if e.type == "child_started").data["run_id"] for one in (run, fork)
        ]
        assert len(set(children)) == 2
        results = []
        for number, one in enumerate((run, fork)):
            await engine.controls.resume_hook(b'"%d"' % number, token=tokens[one.id])
            await engine.run(children[number]).hooks["inner"].resume(f"inner {number}")
            results.append(await one.result("60s"))
        due = [
            e.data["due"] for one in (run, fork) for e in await one.history() if e.key == "0/nap" and "due" in e.data
        ]
        assert due[0] == due[1]
        return results

    assert project.scenario(globals(), scenario) == [["a1", "0", "inner 0"], ["a1", "1", "inner 1"]]
    assert DONE == ["a"]


def test_random_values_are_those_of_the_other_run_up_to_there(project: Project) -> None:
    """E4: what led to the copied history is drawn again as it was; from the checkpoint on the fork draws its own."""

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "drawing", "x")
        fork = await run.fork(await checkpoint(run, "a"))
        await fork.result("60s")
        again = await fork.fork(await checkpoint(fork, "b"))
        await again.result("60s")
        return [run.id, fork.id, again.id]

    ids = project.scenario(globals(), scenario)
    drawn = [[number for one, number in DRAWN if one == id] for id in ids]
    assert drawn[0][0] == drawn[1][0] == drawn[2][0]
    assert drawn[0][1] != drawn[1][1]
    assert drawn[1][1] == drawn[2][1]


def test_an_idempotency_key_gives_one_fork(project: Project) -> None:
    """E4: the same fork with the same key is made once; the key serves nothing else."""

    async def scenario(engine: Engine) -> None:
        run = await finished(engine, "chain", "x")
        at = await checkpoint(run, "a")
        fork = await run.fork(at, idempotency_key="once")
        assert (await run.fork(at, idempotency_key="once")).id == fork.id
        for other, data in ((1, ()), (at, ("y",))):
            with pytest.raises(ConflictError):
                await run.fork(other, *data, idempotency_key="once")
        with pytest.raises(InvalidInputError):
            await run.fork(at, idempotency_key="")

    project.scenario(globals(), scenario)


def test_a_fork_of_a_continued_run(project: Project) -> None:
    """E4: a fork has the part of the history that its checkpoint is in, with that part's input."""

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "with_before", 1)
        names = [(one.name, one.seq) for one in await run.checkpoints()]
        last = [seq for name, seq in names if name == "a"][-1]
        first = next(seq for name, seq in names if name == "a")
        one, other = await run.fork(last), await run.fork(first)
        return [await one.result("60s"), await other.result("60s")]

    assert project.scenario(globals(), scenario) == [[0, "a01", "b2"], [0, "a02", "b3"]]


def test_the_timeout_of_a_fork_counts_from_its_start(project: Project) -> None:
    """E4: a fork of an old run has the whole time of its workflow."""
    clock = AheadClock()

    async def scenario(engine: Engine) -> Any:
        run = await finished(engine, "limited")
        clock.go_on(engine, 7200)
        return await (await run.fork(await checkpoint(run, "a"))).result("60s")

    assert project.scenario(globals(), scenario, environment=clock.environment) == "done"
    assert DONE == ["a"]


def test_what_cannot_be_forked(project: Project) -> None:
    """E4: a place that is no checkpoint, or an unknown run, is refused with advice, and no run is made."""

    async def scenario(engine: Engine) -> None:
        run = await finished(engine, "chain", "x")
        last = (await run.history())[-1].seq
        with pytest.raises(RunStateError, match="no checkpoint") as raised:
            await run.fork(last)
        assert raised.value.code == "WF727"
        with pytest.raises(UnknownRunError):
            await engine.controls.fork("run_nowhere", 1)
        assert len(await engine.store.list_runs()) == 1

    project.scenario(globals(), scenario)


def test_what_a_fork_copies() -> None:
    """E4: numbered anew, without what concerns the other run alone and without what is open."""

    def event(seq: int, type: Any, key: str | None = None, **data: Any) -> Event:
        return Event(seq, type, float(seq), key, data)

    events = [
        event(1, "run_started", workflow="w", version="1"),
        event(2, "timer_set", None, due=9.0),
        event(3, "hook_created", "0/done", token="t"),
        event(4, "hook_created", "0/open", token="u"),
        event(5, "run_paused"),
        event(6, "timer_set", "0/nap", due=8.0),
        event(7, "step_completed", "0/undone"),
        event(8, "rolled_back", to=6),
        event(9, "step_retrying", "0/a", attempt=1),
        event(10, "hook_resumed", "0/done"),
        event(11, "step_completed", "0/later"),
    ]
    found = copied(events, 10, "run_x", "salt/1", 100.0)
    assert [(e.seq, e.type, e.key) for e in found] == [
        (1, "run_started", None),
        (2, "hook_created", "0/done"),
        (3, "timer_set", "0/nap"),
        (4, "hook_resumed", "0/done"),
    ]
    assert found[0].data["seeds"] == [["salt/1", 4]]
    assert [e.seq for e in events] == list(range(1, 12))


def test_a_fork_taken_back_waits_for_what_is_its_own(project: Project) -> None:
    """E4: what had ended when the run was forked, and is open again, is another hook and another child."""

    async def answer(engine: Engine, run: Any) -> None:
        """Resume both hooks by their tokens, first the child's, and after its end the run's own."""
        ended = await ends(run)
        async with asyncio.timeout(60):
            for name in ("inner", "word"):
                while True:
                    children = await engine.store.list_runs(parent=run.id)
                    ids = [run.id, *(one.run_id for one in children)]
                    hooks = [hook for id in ids for hook in await engine.store.hooks(run_id=id) if hook.name == name]
                    if hooks:
                        break
                    await asyncio.sleep(0.01)
                await engine.controls.resume_hook_json('"now"', token=hooks[0].token)
                while name == "inner" and await ends(run) == ended:
                    await asyncio.sleep(0.005)

    async def ends(run: Any) -> int:
        return [event.type for event in await run.history()].count("child_completed")

    async def scenario(engine: Engine) -> Any:
        run = await engine.start_run("open_things")
        async with asyncio.timeout(60):
            while not any(one.name == "a" for one in await run.checkpoints()):
                await asyncio.sleep(0.005)
        await answer(engine, run)
        await run.result("60s")
        fork = await run.fork(await checkpoint(run, "word"))
        assert await fork.result("60s") == ["a1", "now", "now"]
        await fork.rollback(await checkpoint(fork, "a"))
        await answer(engine, fork)
        return await fork.result("60s")

    assert project.scenario(globals(), scenario) == ["a1", "now", "now"]
