"""C1: middleware around the attempts of steps and around workflows."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest

from wfgen import (
    Middleware,
    NonRetryable,
    Proceed,
    Retry,
    RunFailedError,
    StepCall,
    StepTimeoutError,
    WorkerProcess,
    Workflow,
    WorkflowCall,
    define_worker,
    define_workflow,
)
from wfgen.errors import DefinitionError

traced: contextvars.ContextVar[str] = contextvars.ContextVar("traced", default="nothing")


class Tracing(Middleware):
    """Writes down what it is around."""

    def __init__(self, name: str, log: list[Any]) -> None:
        self.name = name
        self.log = log

    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        self.log.append((self.name, "before", call.step, call.attempt))
        try:
            return await proceed()
        finally:
            self.log.append((self.name, "after", call.step, call.attempt))

    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        self.log.append((self.name, "before", call.run.workflow))
        result = await proceed()
        self.log.append((self.name, "after", call.run.workflow))
        return result


inner_log: list[Any] = []


@define_worker("greet")
async def greet(name: str) -> str:
    return f"hello {name}"


@define_workflow(middleware=[Tracing("inner", inner_log), Tracing("innermost", inner_log)])
async def ordered(workflow: Workflow, name: str) -> str:
    greeting: str = await workflow.do("greet", "greet", name)
    await workflow.hook("go on", str)
    return greeting


def test_the_order_and_a_replay(project: Any) -> None:
    """C1: outermost first, the process's outside the workflow's; a replay runs that of the workflow, not of steps."""
    inner_log.clear()
    process = WorkerProcess(middleware=[Tracing("outer", inner_log)])

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("ordered", "you")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin, process=process)
    names = ["outer", "inner", "innermost"]
    started = [(name, "before", "ordered") for name in names]
    assert inner_log == [
        *started,
        *[(name, "before", "greet", 1) for name in names],
        *[(name, "after", "greet", 1) for name in reversed(names)],
    ]
    inner_log.clear()

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert await run.result() == "hello you"

    project.scenario(globals(), finish, process=process)
    assert inner_log == [*started, *[(name, "after", "ordered") for name in reversed(names)]]


calls: list[StepCall | WorkflowCall] = []


class Kept(Middleware):
    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        calls.append(call)
        return await proceed()

    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        calls.append(call)
        return await proceed()


@define_workflow(middleware=[Kept()], version="2", tags=["a tag"])
async def told(workflow: Workflow, numbers: list[int]) -> int:
    total: int = await workflow.do("sum", sum, numbers)
    await workflow.do("greet", "greet", "you")
    await workflow.do("none", lambda: None)
    return total


def test_what_middleware_is_told(project: Any) -> None:
    """C1: run, step, key, attempt, worker, input and context of a step; run, handle and input of a workflow."""
    calls.clear()

    async def scenario(engine: Any) -> Any:
        run = await engine.start_run("told", [1, 2])
        assert await run.result() == 3
        return run.id

    run_id = project.scenario(globals(), scenario, process=WorkerProcess(context=lambda: "the context"))
    whole, first, second, third = calls
    assert isinstance(whole, WorkflowCall)
    assert (whole.run.run_id, whole.run.version, whole.run.tags, whole.input) == (run_id, "2", ("a tag",), [1, 2])
    assert whole.workflow.run_id == run_id
    told_steps = [(c.step, c.key, c.worker, c.input) for c in (first, second, third) if isinstance(c, StepCall)]
    assert told_steps == [
        ("sum", "0/sum", None, [1, 2]),
        ("greet", "0/greet", "greet", "you"),
        ("none", "0/none", None, None),
    ]
    assert {(c.run.run_id, c.context, c.attempt) for c in calls if isinstance(c, StepCall)} == {
        (run_id, "the context", 1)
    }


class Changing(Middleware):
    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        match call.step:
            case "changed":
                return await proceed() + 1
            case "replaced":
                return 7
            case "broken":
                raise NonRetryable("not today")
            case "wrong":
                return "no number"
        return await proceed()

    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        return {"wrapped": await proceed()}


def one() -> int:
    return 1


def never() -> int:
    raise AssertionError("the middleware does not go on")


@define_workflow(middleware=[Changing()])
async def changed(workflow: Workflow) -> Any:
    numbers = [await workflow.do("changed", one), await workflow.do("replaced", never), await workflow.do("kept", one)]
    await workflow.hook("go on", str)
    return numbers


@define_workflow(middleware=[Changing()], retry=Retry(attempts=3, delay="1ms"))
async def failing(workflow: Workflow, step: str) -> int:
    return await workflow.do(step, one)  # type: ignore[no-any-return]


def test_it_may_change_a_result_or_fail(project: Any) -> None:
    """C1: what it returns is recorded as the result, a replay gives the same; what it raises is the attempt's error."""

    async def begin(engine: Any) -> Any:
        for step, message in (("broken", "NonRetryable: not today"), ("wrong", "cannot be recorded as int")):
            with pytest.raises(RunFailedError, match=message):
                await (await engine.start_run("failing", step)).result()
        run = await engine.start_run("changed")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin)

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert await run.result() == {"wrapped": [2, 7, 1]}

    project.scenario(globals(), finish)


class Setting(Middleware):
    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        traced.set(f"{call.step} in {threading.current_thread() is threading.main_thread()}")
        return await proceed()


def in_a_thread() -> list[Any]:
    return [traced.get(), threading.current_thread() is threading.main_thread()]


async def on_the_loop() -> list[Any]:
    return [traced.get(), threading.current_thread() is threading.main_thread()]


@define_workflow(middleware=[Setting()])
async def threads(workflow: Workflow) -> list[Any]:
    return [
        await workflow.do("plain", in_a_thread),
        await workflow.do("async", on_the_loop),
        await workflow.do("nothing", lambda: traced.get()),
    ]


def test_it_is_around_plain_functions_too(project: Any) -> None:
    """A step that runs in a thread has the middleware around it, and sees the context variables that it sets."""

    async def scenario(engine: Any) -> None:
        traced.set("the engine's")
        assert await (await engine.start_run("threads")).result() == [
            ["plain in True", False],
            ["async in True", True],
            "nothing in True",
        ]

    project.scenario(globals(), scenario)


class Slow(Middleware):
    async def step(self, call: StepCall, proceed: Proceed) -> Any:
        await asyncio.sleep(30)


@define_workflow(middleware=[Slow()])
async def late(workflow: Workflow) -> bool:
    try:
        await workflow.do("late", one, timeout="20ms")
    except StepTimeoutError:
        return True
    return False


def test_it_counts_towards_the_timeout(project: Any) -> None:
    """The timeout of an attempt holds for its middleware as well."""

    async def scenario(engine: Any) -> None:
        assert await (await engine.start_run("late")).result() is True

    project.scenario(globals(), scenario)


class Impure(Middleware):
    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        Path(__file__).read_text()
        return await proceed()


@define_workflow(middleware=[Impure()])
async def impure(workflow: Workflow) -> None: ...


def test_around_a_workflow_the_rules_of_workflows_hold(project: Any) -> None:
    """Middleware that does input or output around a workflow fails as the workflow's own code would."""

    async def scenario(engine: Any) -> None:
        with pytest.raises(RunFailedError, match="opens a file") as caught:
            await (await engine.start_run("impure")).result()
        assert caught.value.error_code == "WF706"

    project.scenario(globals(), scenario)


class Handled(Middleware):
    """Uses the handle around the workflow."""

    async def workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        allowed = await call.workflow.do("allowed", "greet", "you")
        return [allowed, await proceed()]


@define_workflow(middleware=[Handled()])
async def handled(workflow: Workflow) -> Any:
    return await workflow.hook("go on", str)


def test_around_a_workflow_the_handle_works(project: Any) -> None:
    """Middleware may ask for steps of its own: they are recorded, and not run again in a replay."""

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("handled")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin)

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert await run.result() == ["hello you", "now"]
        assert [e.key for e in await run.history() if e.type == "step_completed"] == ["0/allowed"]

    project.scenario(globals(), finish)


def test_what_is_no_middleware_is_refused() -> None:
    """A function in its place is a DefinitionError that says what to give, for a workflow and for a process."""
    wrong: Any = [print]
    with pytest.raises(DefinitionError, match=r"<built-in function print> of workflow 'bad' .*wfgen.Middleware"):

        @define_workflow(name="bad", middleware=wrong)
        async def bad(workflow: Workflow) -> None: ...

    with pytest.raises(DefinitionError, match=r"<built-in function print> of the worker process .*wfgen.Middleware"):
        WorkerProcess(middleware=wrong)


def test_it_costs_nothing_where_there_is_none(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without middleware around steps no call is made up for them, and the workflow's function runs by itself."""

    class Idle(Middleware):
        """Overrides nothing."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("there is no middleware")

    for name in ("StepCall", "WorkflowCall"):
        monkeypatch.setattr(f"wfgen.surroundings.{name}", refuse)

    async def scenario(engine: Any) -> None:
        assert await (await engine.start_run("bare")).result() == 1

    project.scenario(globals(), scenario, process=WorkerProcess(middleware=[Idle()]))


@define_workflow
async def bare(workflow: Workflow) -> int:
    return await workflow.do("one", one)  # type: ignore[no-any-return]
