"""Claiming: what a process cannot read is left alone, and nothing goes on once an engine is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.environment import Environment
from wfgen.registry import Registry
from wfgen.timers import Alarms, Timers

pytestmark = pytest.mark.both_stores


def step() -> str:
    return "done"


def no_context(dependencies: Any, run: Any) -> Any:
    raise RuntimeError("no context here")


@define_workflow
async def plain(workflow: Workflow) -> str:
    result: str = await workflow.do("step", step)
    return result


@define_workflow(context=no_context)
async def impossible(workflow: Workflow) -> None:
    await workflow.do("step", step)


@define_workflow
async def waiting(workflow: Workflow) -> int:
    return await workflow.hook("wanted", int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE events SET data = '{broken' WHERE run = (SELECT min(run) FROM runs)", "event 1 of it is damaged"),
        (
            "INSERT INTO events (run, seq, type, time, key) SELECT min(run), 2, 'patched', 1.0, NULL FROM runs",
            "what is recorded of it cannot be understood",
        ),
    ],
    ids=["damaged", "not understood"],
)
def test_a_run_that_cannot_be_read_holds_up_no_other(
    project: Any, caplog: pytest.LogCaptureFixture, change: str, message: str
) -> None:
    """Two runs are claimed together; the history of the first one is damaged: it is named, and the second completes."""

    async def prepare(engine: Any) -> Any:
        return [(await engine.start_run("plain")).id for _ in range(2)]

    bad, good = project.scenario(globals(), prepare, work=False)
    project.execute(change)

    async def work(engine: Any) -> Any:
        result = await engine.run(good).result()
        while not caplog.records:
            await asyncio.sleep(0.01)
        return result, (await engine.store.get_run(bad)).status

    result, status = project.scenario(globals(), work)
    assert result == "done"
    assert status in ("pending", "running")
    (record,) = [r for r in caplog.records if "is left alone" in r.getMessage()]
    assert bad in record.getMessage()
    assert message in record.getMessage()


def test_a_closed_engine_does_nothing_more(
    project: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was to be given back later is the next process's: nothing is tried in vain after the end."""
    monkeypatch.setattr("wfgen.engine.LAST_RETRY", 0.2)
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())

    async def main() -> None:
        async with open_engine(registry, project.settings) as engine:
            await engine.start_run("impossible")
            while not caplog.records:
                await asyncio.sleep(0.01)
        caplog.clear()
        await asyncio.sleep(0.4)  # twice the time after which the run would have been given back

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == []


def test_a_message_reads_no_other_runs_messages(project: Any) -> None:
    """A run keeps payloads that nobody waits for; others that are resumed meanwhile read what is new alone."""
    counted: list[int] = []

    async def scenario(engine: Any) -> int:
        keeper, other = await engine.start_run("waiting"), await engine.start_run("waiting")
        for number in range(50):
            await keeper.hooks["unknown"].resume(number)
        read = engine.store.messages

        async def counting(process_id: str, **options: Any) -> Any:
            found = await read(process_id, **options)
            counted.append(len(found[0]))
            return found

        engine.store.messages = counting
        await other.hooks["wanted"].resume(7)
        result: int = await other.result()
        return result

    assert project.scenario(globals(), scenario) == 7
    assert counted
    assert max(counted) <= 1


def test_a_timer_that_raises_holds_up_no_other() -> None:
    """What one callback raises is the loop's to tell; the timers after it go off."""
    heard: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(str(context["exception"])))
        clock = Environment().clock
        timers, gone = Timers(loop, clock), asyncio.Event()

        def fail() -> None:
            raise ValueError("broken")

        timers.at(clock.time() + 0.01, fail)
        timers.at(clock.time() + 0.02, gone.set)
        async with asyncio.timeout(60):
            await gone.wait()

    asyncio.run(main())
    assert heard == ["broken"]


def test_the_next_alarm_is_the_first_that_is_set() -> None:
    """Alarms that are stopped, or set anew, do not count."""
    stopped: list[float] = []
    alarms = Alarms(lambda due, callback: lambda: stopped.append(due))
    assert alarms.next_due == float("inf")
    for key, due in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        alarms.set(key, due, lambda: None)
    assert alarms.next_due == 1.0
    assert alarms.stop("b")
    assert alarms.next_due == 2.0
    alarms.stop("c")
    alarms.set("c", 5.0, lambda: None)
    assert alarms.next_due == 3.0
    alarms.stop_all()
    assert alarms.next_due == float("inf")
    assert stopped == [1.0, 2.0, 3.0, 5.0]


@define_workflow
async def parent(workflow: Workflow) -> str:
    result: str = await workflow.call("child", "plain")
    return result


def test_the_history_tells_which_process_worked_a_run(project: Any) -> None:
    """A19: also of runs that nobody held when they were started: by a client, or as a child."""

    async def start(engine: Any) -> Any:
        return (await engine.start_run("parent")).id

    run_id = project.scenario(globals(), start, work=False)

    async def work(engine: Any) -> Any:
        await engine.run(run_id).result()
        (child,) = [record for record in await engine.store.list_runs() if record.parent == run_id]
        entries = [*await engine.run(run_id).entries(), *await engine.run(child.run_id).entries()]
        return engine.process_id, [(entry.type, entry.process) for entry in entries]

    process, entries = project.scenario(globals(), work)
    assert entries == [
        ("run_started", None),
        ("child_started", process),
        ("child_completed", process),
        ("run_completed", process),
        ("run_started", None),
        ("step_completed", process),
        ("run_completed", process),
    ]
