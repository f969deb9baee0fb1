"""Where steps go: what definitions say, what `do` refuses, and which part of the work a process takes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import DefinitionError, HandleError, RunFailedError, Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE, WorkerDefinition
from wfgen.engine import Engine, open_engine
from wfgen.errors import ConfigurationError
from wfgen.registry import Registry
from wfgen.serving import Serving
from wfgen.settings import Settings

if TYPE_CHECKING:
    from conftest import Project


@define_worker("own")
async def own(data: int) -> int:
    return data + 1


@define_worker("queued", dispatch="queue", expires="1h")
async def queued(data: int) -> int:
    return data * 2


@define_worker("inline", dispatch="inline")
async def inline(data: int) -> int:
    return data


@define_workflow
async def plain(workflow: Workflow, how: str) -> Any:
    match how:
        case "function":
            return await workflow.do("x", lambda: 1, await_result=False)
        case "own":
            return await workflow.do("x", "own", 1, await_result=False)
        case "undone":
            return await workflow.do("x", "queued", 1, await_result=False, compensate="own")
        case "continued":
            return await workflow.do("x", "queued", 1, await_result=False, on_error="continue")
    return None


@define_workflow(execution_mode="remote")
async def remote(workflow: Workflow) -> list[int]:
    return [await workflow.do("own", "own", 1), await workflow.do("inline", "inline", 1)]


def definition(worker: str) -> WorkerDefinition:
    found = globals()[NAMESPACE]["worker", worker, ""]
    assert isinstance(found, WorkerDefinition)
    return found


def test_a_worker_goes_where_its_workflow_says_unless_it_says() -> None:
    """A2, C7: without `dispatch` the workflow's execution mode decides; with it, it does not."""
    found = {
        (w, mode): definition(w).is_queued(mode) for w in ("own", "queued", "inline") for mode in ("inline", "remote")
    }
    assert [pair for pair, is_queued in found.items() if is_queued] == [
        ("own", "remote"), ("queued", "inline"), ("queued", "remote")
    ]  # fmt: skip
    assert (definition("queued").expires, definition("own").expires) == (3600.0, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dispatch": "webhook"}, 'dispatch="webhook" comes later'),
        ({"dispatch": "queued"}, "dispatch='queued' is unknown"),
        ({"dispatch": 3}, "dispatch=3 is unknown"),
    ],
)
def test_unknown_dispatch(options: dict[str, Any], message: str) -> None:
    """A2: a worker that says in an unknown word where its steps go is refused, with its place."""
    with pytest.raises(DefinitionError, match=message) as caught:
        define_worker("other", **options)(own)
    assert "test_dispatch.py" in caught.value.message


def test_unknown_execution_mode() -> None:
    """A workflow too."""
    with pytest.raises(DefinitionError, match="execution_mode='queue' is unknown"):
        define_workflow(name="other", execution_mode="queue")(plain)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("function", "the step is not on a queue"),
        ("own", "the step is not on a queue"),
        ("undone", "compensate needs the step's end"),
        ("continued", 'on_error="continue" needs the step\'s end'),
    ],
)
def test_a_step_without_a_job_of_its_own(project: Project, how: str, message: str) -> None:
    """C7: `await_result=False` is refused where no job could go its own way."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("plain", how)
        with pytest.raises(RunFailedError, match=message):
            await run.result()
        assert (await run.info()).error_code == HandleError.code

    project.scenario(globals(), scenario)


def serving(settings: Settings, part: Serving) -> Any:
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    return open_engine(registry, settings, serving=part)


def test_each_process_takes_its_part(project: Project) -> None:
    """C7, B13: one process works a workflow's runs alone, others the jobs of a worker or of a queue."""

    async def main() -> None:
        settings = project.settings
        async with asyncio.timeout(60), serving(settings, Serving(workflows=["remote"], workers=[])) as runs:
            run = await runs.start_run("remote")
            other = await runs.start_run("plain", "nothing")
            await until(lambda: has_jobs(runs))
            assert [(job.queue, job.status) for job in await run.jobs()] == [("remote.own", "queued")]
            async with serving(settings, Serving(workflows=[], queues=["remote.inline", "plain.*"])):
                async with serving(settings, Serving(workflows=[], workers=["queued"])):
                    assert (await run.info()).status != "completed"
                async with serving(settings, Serving(workflows=[], queues=["remote.o*"])) as jobs:
                    assert await run.result() == [2, 1]
                    (job,) = await run.jobs()
                    assert job.status == "completed"
                    assert jobs.taken == 0
            assert (await other.info()).status == "pending"

    asyncio.run(main())


async def has_jobs(engine: Engine) -> bool:
    return bool(await engine.store.waiting_jobs())


async def until(condition: Any) -> None:
    while not await condition():
        await asyncio.sleep(0.01)


def test_parts() -> None:
    """A part says which workflows and workers of a registry are meant, and describes itself to others."""
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())
    everything, nothing = Serving(), Serving(workflows=(), workers=())
    assert (everything.takes_runs, everything.takes_jobs) == (True, True)
    assert (nothing.takes_runs, nothing.takes_jobs) == (False, False)
    assert not Serving(queues=()).takes_jobs
    assert Serving(workflows=["plain"]).pairs(registry) == [("plain", "1")]
    assert Serving(workers=["own", "gone"]).worker_ids(registry) == ["own"]
    assert everything.limited(None) is everything
    assert everything.limited(3).concurrency == 3
    with pytest.raises(ConfigurationError, match="concurrency=0 is too small"):
        everything.limited(0)


EVENTS: list[str] = []
GATE = threading.Event()
BEGUN = threading.Event()


def slow() -> str:
    BEGUN.set()
    assert GATE.wait(60)
    EVENTS.append("slow")
    return "slow"


@define_workflow
async def two_steps(workflow: Workflow) -> str:
    first: str = await workflow.do("first", slow)
    await workflow.do("second", lambda: EVENTS.append("second"))
    return first


@define_workflow
async def waits(workflow: Workflow) -> str:
    return str(await workflow.hook("word", str))


@define_worker("slow", dispatch="queue")
def slow_job() -> str:
    return slow()


@define_workflow
async def hands_over(workflow: Workflow) -> str:
    return str(await workflow.do("slow", "slow"))


def test_a_process_comes_to_rest(project: Project) -> None:
    """B14, A6: a process that is drained begins nothing new, ends what it has begun, and gives its runs back."""
    EVENTS.clear(), GATE.clear(), BEGUN.clear()  # type: ignore[func-returns-value]

    async def main() -> None:
        settings = project.settings
        async with asyncio.timeout(60):
            async with serving(settings, Serving()) as engine:
                two, waiting = await engine.start_run("two_steps"), await engine.start_run("waits")
                await asyncio.to_thread(BEGUN.wait)
                await until(lambda: is_waiting(waiting))
                draining = asyncio.ensure_future(engine.drain("20s"))
                await until(lambda: is_free(waiting))  # at once: nothing of it is at work
                assert engine.under_way[0] == (1, "step")
                late = await engine.start_run("waits")
                assert (await late.info()).owner is None
                GATE.set()
                await draining
                assert not engine.executions
                assert [e.type for e in await two.history()] == ["run_started", "step_completed"]
            async with serving(settings, Serving(workflows=[], workers=[])) as engine:
                info = await engine.run(two.id).info()
                assert (info.status, info.owner, EVENTS) == ("pending", None, ["slow"])
            async with serving(settings, Serving()) as engine:
                assert await engine.run(two.id).result() == "slow"
                assert EVENTS == ["slow", "second"]

    asyncio.run(main())


async def is_waiting(run: Any) -> bool:
    return str((await run.info()).status) == "waiting"


async def is_free(run: Any) -> bool:
    return (await run.info()).owner is None


def test_jobs_come_to_their_end_too(project: Project) -> None:
    """B14, A6: a job that is at work when its process is drained ends and is recorded; no other one is taken."""
    EVENTS.clear(), GATE.clear(), BEGUN.clear()  # type: ignore[func-returns-value]

    async def main() -> None:
        settings = project.settings
        async with asyncio.timeout(60), serving(settings, Serving(workers=[])) as runs:
            one = await runs.start_run("hands_over")
            async with serving(settings, Serving(workflows=[], concurrency=1)) as engine:
                await asyncio.to_thread(BEGUN.wait)
                other = await runs.start_run("hands_over")
                await until(lambda: has_jobs(runs))
                assert engine.under_way[1] == (1, "job")
                draining = asyncio.ensure_future(engine.drain("20s"))
                GATE.set()
                await draining
            assert await one.result() == "slow"
            assert [job.status for job in await other.jobs()] == ["queued"]

    asyncio.run(main())
