"""Workflows on the embedded engine, with a real store file."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from wfgen import (
    ConflictError,
    HookTimeoutError,
    InvalidInputError,
    Job,
    Retry,
    RunCancelledError,
    RunFailedError,
    RunStateError,
    StepError,
    StepTimeoutError,
    UnknownRunError,
    UnknownWorkerError,
    UnknownWorkflowError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine

from .clocks import AheadClock


class Order(BaseModel):
    id: str
    amount: float = 1.0


@dataclasses.dataclass
class Receipt:
    order: str
    at: datetime


CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@define_worker("pay.charge")
async def charge(order: Order) -> Receipt:
    CALLS.append(order.id)
    order.id = "changed by the worker"
    return Receipt(order.id, datetime(2026, 1, 1, tzinfo=UTC))


@define_worker("pay.blocking", retry=Retry(attempts=3, delay="1ms"))
def blocking(order: Order, job: Job) -> str:
    CALLS.append((job.step, job.attempt, threading.current_thread() is threading.main_thread()))
    if job.attempt < 3:
        raise ConnectionError(f"attempt {job.attempt}")
    return order.id


@define_worker("no.input")
def no_input() -> int:
    return 42


@define_workflow
async def all_forms(workflow: Workflow, order: Order) -> list[str]:
    receipt = await workflow.do("charge", "pay.charge", order)
    assert isinstance(receipt, Receipt)
    assert order.id == "o-1", "the worker works on a copy"
    tax = await workflow.do("tax", lambda: order.amount * 0.5)
    blocked = await workflow.do("blocking", blocking, order)
    answer = await workflow.do("partial", functools.partial(max, 1, 2))
    await workflow.sleep("nap", "10ms")
    await workflow.sleep_until("until", workflow.now() + timedelta(milliseconds=5))
    plain = await workflow.do("no input", "no.input")
    doubled = await workflow.do("with data", lambda n: n * 2, 21)
    return [receipt.order, str(tax), blocked, str(answer), str(plain), str(doubled), workflow.run_id]


def test_every_form_of_step(project: Any) -> None:
    """Workers by id and by function, inline functions, sleeps and inputs give typed results; threads run plain ones."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("all_forms", Order(id="o-1"))
        result = await run.result()
        assert result == ["changed by the worker", "0.5", "o-1", "2", "42", "42", run.id]
        assert ["o-1", *[("blocking", n, False) for n in (1, 2, 3)]] == CALLS
        types = [e.type for e in await run.history()]
        assert types.count("step_retrying") == 2
        assert types[0] == "run_started"
        assert types[-1] == "run_completed"

    project.scenario(globals(), scenario)


@define_workflow
async def failing(workflow: Workflow, kind: str) -> Any:
    async def boom() -> None:
        CALLS.append("boom")
        raise LookupError("nothing there")

    async def slow() -> None:
        await asyncio.sleep(30)

    def never() -> None:
        raise ValueError("not retried")

    if kind == "retried":
        await workflow.do("boom", boom, retry=Retry(attempts=4, delay="1ms"))
    if kind == "by type":
        await workflow.do("never", never, retry=Retry(attempts=4, delay="1ms", never=(ValueError,)))
    if kind == "timeout":
        await workflow.do("slow", slow, timeout="20ms")
    if kind == "caught":
        try:
            await workflow.do("boom", boom)
        except StepError as error:
            return [error.step, error.error_type, error.error, error.attempts]
    if kind == "not encodable":
        await workflow.do("object", lambda: object())
    if kind == "lossy":
        await workflow.do("lossy", lambda: {"at": datetime.now(UTC)})
    if kind == "unknown":
        await workflow.do("unknown", "pay.chrage", 1)
    if kind == "bad input":
        await workflow.do("bad", "pay.charge", {"amount": "much"})
    return None


@pytest.mark.parametrize(
    ("kind", "error_type", "words", "calls"),
    [
        ("retried", "wfgen.errors.StepError", "'boom' failed after 4 attempts: LookupError: nothing there", 4),
        ("by type", "wfgen.errors.StepError", "ValueError: not retried", 0),
        ("timeout", "wfgen.errors.StepTimeoutError", "longer than 0.02 s", 0),
        ("not encodable", "wfgen.errors.StepError", "SerializationError", 0),
        ("lossy", "wfgen.errors.StepError", "does not survive its encoding", 0),
        ("unknown", "wfgen.errors.UnknownWorkerError", "Did you mean 'pay.charge'?", 0),
        ("bad input", "wfgen.errors.InvalidInputError", "amount: Input should be a valid number", 0),
    ],
)
def test_failures_are_recorded_and_told(project: Any, kind: str, error_type: str, words: str, calls: int) -> None:
    """A11, A12, B4: a step that fails for good fails the run with its type, message and stable code."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("failing", kind)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_type == error_type
        assert words in caught.value.error
        assert caught.value.error_code is not None
        assert len(CALLS) == calls

    project.scenario(globals(), scenario)


class Silent(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@define_workflow
async def odd_errors(workflow: Workflow, kind: str) -> None:
    if kind == "long":
        raise ValueError("x" * 1_000_000)
    await workflow.hook("refused", str, validator=_refuse)


def _refuse(word: str) -> bool:
    raise Silent


@pytest.mark.parametrize("kind", ["long", "silent"])
def test_errors_with_odd_messages_are_recorded(project: Any, kind: str) -> None:
    """A very long message is cut, one that cannot be told is replaced: the run goes on or ends all the same."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("odd_errors", kind)
        if kind == "silent":
            await run.hooks["refused"].resume("word")
            async with asyncio.timeout(60):
                while not (found := [e for e in await run.history() if e.type == "hook_rejected"]):
                    await asyncio.sleep(0.005)
            assert "cannot be shown" in found[0].data["error"]
            return
        with pytest.raises(RunFailedError) as caught:
            await run.result("60s")
        assert len(caught.value.error) == 4000

    project.scenario(globals(), scenario)


@define_workflow
async def raises_silently(workflow: Workflow, undo: bool) -> None:
    if undo:
        workflow.compensate("undo", lambda: None)
    raise Silent


@pytest.mark.parametrize("undo", [False, True])
def test_a_workflow_whose_error_has_no_text_fails(project: Any, undo: bool) -> None:
    """A failure is recorded as one, whatever its exception does: the run is not taken up for ever."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("raises_silently", undo)
        with pytest.raises(RunFailedError, match="cannot be shown") as caught:
            await run.result("60s")
        assert caught.value.error_type.endswith("Silent")

    project.scenario(globals(), scenario)


def test_a_failure_can_be_caught(project: Any) -> None:
    """A17: the code sees StepError with the recorded type, message and number of attempts."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("failing", "caught")
        assert await run.result() == ["boom", "LookupError", "nothing there", 1]

    project.scenario(globals(), scenario)


@define_workflow(timeout="1h")
async def times_out(workflow: Workflow) -> None:
    try:
        await workflow.sleep("long", "1d")
    finally:
        CALLS.append("cleaned up")


def test_a_workflow_timeout_cancels_its_code_and_fails_the_run(project: Any) -> None:
    """A12, B4: after the timeout the code gets one CancelledError and the run fails with WF723."""

    clock = AheadClock()

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("times_out")
        while (await run.info()).status != "waiting":
            await asyncio.sleep(0.005)
        clock.go_on(engine, 7200)
        with pytest.raises(RunFailedError, match=r"exceeded its timeout of 3600 s") as caught:
            await run.result()
        assert caught.value.error_code == "WF723"
        assert CALLS == ["cleaned up"]

    project.scenario(globals(), scenario, environment=clock.environment)


@define_workflow
async def waits(workflow: Workflow) -> str:
    try:
        order = await workflow.hook("approval", Order, timeout="1h")
    except asyncio.CancelledError:
        await workflow.do("undo", lambda: CALLS.append("undone"))
        raise
    return order.id


@define_workflow
async def two_hooks(workflow: Workflow) -> list[Any]:
    first = workflow.create_hook("first", Order)
    await workflow.do("send", lambda token: CALLS.append(token), first.token)
    try:
        await workflow.hook("short", int, timeout="20ms")
    except HookTimeoutError:
        CALLS.append("timed out")
    return [(await first).id, await workflow.hook("second", int)]


def test_cancel_is_delivered_once_and_clean_up_may_take_steps(project: Any) -> None:
    """B3: a cancelled run may still run steps in its clean-up, then ends as cancelled."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("waits")
        while not await run.waiting():
            await asyncio.sleep(0.005)
        assert (await run.info()).status == "waiting"
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        assert CALLS == ["undone"]
        with pytest.raises(RunStateError):
            await run.cancel()
        assert not await run.waiting()

    project.scenario(globals(), scenario)


def test_hooks_take_payloads_by_name_by_token_and_before_anybody_waits(project: Any) -> None:
    """B12: a payload that comes early is kept, one that does not fit is refused and the hook stays open."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("two_hooks")
        await run.hooks["second"].resume(7)
        while not CALLS:
            await asyncio.sleep(0.005)
        token = CALLS[0]
        assert await engine.controls.resume_hook_json('{"amount": "no id"}', token=token) == "sent"
        while "hook_rejected" not in [e.type for e in await run.history()]:
            await asyncio.sleep(0.005)
        assert await engine.controls.resume_hook_json('{"id": "right"}', token=token) == "sent"
        assert await run.result() == ["right", 7]
        assert CALLS[1:] == ["timed out"]
        with pytest.raises(InvalidInputError):
            await engine.controls.resume_hook_json("{not json", token=token)

    project.scenario(globals(), scenario)


@define_workflow
async def parallel(workflow: Workflow, count: int) -> int:
    async def one(number: int) -> int:
        return int(await workflow.do("one", lambda: number))

    gathered = await asyncio.gather(*[one(n) for n in range(count)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(workflow.do(f"two {n}", lambda n=n: n)) for n in range(count)]
    return sum(gathered) + sum(t.result() for t in tasks)


def test_parallel_runs_of_parallel_steps(project: Any) -> None:
    """Many runs at once, each with parallel branches, all give their result."""

    async def scenario(engine: Any) -> None:
        runs = [await engine.start_run("parallel", 10) for _ in range(30)]
        assert await asyncio.gather(*[run.result() for run in runs]) == [90] * 30

    project.scenario(globals(), scenario)


def test_a_start_is_idempotent_by_key(project: Any) -> None:
    """B17: the same key gives the same run; with another input it is a conflict; what is no key is refused."""

    async def scenario(engine: Any) -> None:
        first = await engine.start_run("parallel", 2, idempotency_key="k")
        second = await engine.start_run("parallel", 2, idempotency_key="k")
        assert first.id == second.id
        assert await second.result() == await first.result()
        with pytest.raises(ConflictError):
            await engine.start_run("parallel", 3, idempotency_key="k")
        with pytest.raises(InvalidInputError):
            await engine.start_run("parallel", 3, idempotency_key="")

    project.scenario(globals(), scenario)


def test_bad_input_is_refused_before_anything_is_recorded(project: Any) -> None:
    """A1: unknown names and inputs that do not fit raise at once, and no run exists afterwards."""

    async def scenario(engine: Any) -> None:
        with pytest.raises(UnknownWorkflowError, match="Did you mean 'parallel'"):
            await engine.start_run("paralel", 1)
        with pytest.raises(UnknownWorkflowError, match="no version '9'"):
            await engine.start_run("parallel", 1, version="9")
        with pytest.raises(InvalidInputError, match="the value: Input should be a valid integer"):
            await engine.start_run("parallel", "many")
        with pytest.raises(InvalidInputError, match="missing"):
            await engine.start_run("parallel")
        with pytest.raises(InvalidInputError, match="takes none"):
            await engine.start_run("waits", 1)
        with pytest.raises(InvalidInputError):
            await engine.start_run_json("parallel", "[1,")
        assert await engine.store.list_runs() == []
        with pytest.raises(UnknownRunError):
            await engine.run("run_none").result()

    project.scenario(globals(), scenario)


@define_workflow
async def inspected(workflow: Workflow) -> list[str]:
    before = workflow.now()
    identifier = workflow.uuid()
    drawn = workflow.random("dice").randint(1, 6)
    workflow.log.info("drawn %s", drawn)
    await workflow.do("one", lambda: 1)
    assert workflow.now() > before
    assert workflow.uuid() != identifier
    return [str(identifier), str(drawn)]


def test_a_client_alone_does_not_work_runs(project: Any) -> None:
    """Without work=True runs stay pending; a later worker takes them, with the same random values on each replay."""

    async def start(engine: Any) -> Any:
        run = await engine.start_run("inspected")
        await asyncio.sleep(0.1)
        assert (await run.info()).status == "pending"
        return run.id

    run_id = project.scenario(globals(), start, work=False)

    async def finish(engine: Any) -> None:
        identifier, drawn = await engine.run(run_id).result()
        assert len(identifier) == 36
        assert 1 <= int(drawn) <= 6

    project.scenario(globals(), finish)


def test_definitions_are_kept_by_module() -> None:
    """A1: define_workflow and define_worker leave the function alone and keep the definition in its module."""
    assert globals()[NAMESPACE][("worker", "no.input", "")].function is no_input
    assert no_input() == 42


def test_unknown_worker_names_the_nearest() -> None:
    """A1: the registry suggests the nearest id."""
    from wfgen.registry import Registry

    registry = Registry("none")
    registry.collect(globals())
    with pytest.raises(UnknownWorkerError, match=r"Did you mean 'no\.input'"):
        registry.worker("no.inptu")


def test_step_timeout_is_a_step_error() -> None:
    """A12: who catches StepError catches timeouts too."""
    assert issubclass(StepTimeoutError, StepError)


def test_a_run_that_is_cancelled_before_anybody_works_it_does_nothing(project: Any) -> None:
    """B3: the request to cancel goes before the first step."""

    async def start(engine: Any) -> Any:
        run = await engine.start_run("all_forms", Order(id="o-1"))
        await run.cancel()
        return run.id

    run_id = project.scenario(globals(), start, work=False)

    async def work(engine: Any) -> None:
        with pytest.raises(RunCancelledError):
            await engine.run(run_id).result()
        assert CALLS == []

    project.scenario(globals(), work)


def test_a_client_alone_is_told_of_a_result_by_another_process(project: Any) -> None:
    """B10: without work=True, result() returns when whoever works the store has finished the run."""

    async def scenario(client: Any) -> None:
        async with open_engine(client.registry, client.settings):
            run = await client.start_run("parallel", 2)
            assert await run.result(timeout="60s") == 2

    project.scenario(globals(), scenario, work=False)


class Unencodable:
    pass


@define_workflow
async def result_cannot_be_encoded(workflow: Workflow) -> Unencodable:
    await workflow.do("effect", lambda: CALLS.append("effect"))
    return Unencodable()


def test_a_result_type_that_cannot_be_encoded_fails_before_the_first_step(project: Any) -> None:
    """A declared type that pydantic cannot encode is told of before anything has an effect."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("result_cannot_be_encoded")
        with pytest.raises(RunFailedError, match="Unencodable"):
            await run.result()
        assert CALLS == []

    project.scenario(globals(), scenario)


def test_a_cancelled_start_strands_no_run(project: Any) -> None:
    """Who is cancelled while starting a run leaves either no run or one that is worked."""

    async def scenario(engine: Any) -> None:
        for delay in range(5):
            starting = asyncio.create_task(engine.start_run("parallel", 2))
            for _ in range(delay):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        while {run.status for run in await engine.store.list_runs()} - {"completed"}:
            await asyncio.sleep(0.01)

    project.scenario(globals(), scenario)
