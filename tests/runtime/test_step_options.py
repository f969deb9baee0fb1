"""Options of `do`: going on after an error, results that do not fit, idempotency keys, what was reported."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    DefinitionError,
    HandleError,
    InvalidInputError,
    Job,
    NonRetryable,
    Retry,
    RunFailedError,
    StepError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project


@dataclasses.dataclass
class Order:
    id: str
    count: int = 1


@dataclasses.dataclass
class Progress:
    rows: int
    table: str


CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@define_worker("copy", retry=Retry(attempts=2, delay="1ms"))
async def copy(order: Order, job: Job) -> int:
    """Copies rows, and fails at the last one."""
    CALLS.append(job.idempotency_key)
    for row in range(3):
        job.report({"row": row})
    report = Progress(job.attempt, "orders")
    job.report(report)
    report.rows = 99  # what was reported stays as it was
    raise ConnectionError(f"attempt {job.attempt}")


@define_worker("blocking")
def blocking(job: Job) -> int:
    job.report("half")
    raise ValueError("no more")


@define_worker("keyed", retry=Retry(attempts=3, delay="1ms"))
async def keyed(job: Job) -> str:
    CALLS.append(job.idempotency_key)
    if job.attempt < 3:
        raise ConnectionError("again")
    return job.idempotency_key


def shown(errors: Sequence[StepError]) -> list[list[Any]]:
    return [
        [type(e).__name__, e.step, e.key, e.error_type, e.error, e.attempts, repr(e.input), repr(e.partial)]
        for e in errors
    ]


async def _wrong(workflow: Workflow) -> None:
    raise LookupError("outside of steps")


@define_workflow
async def tolerant(workflow: Workflow) -> list[Any]:
    assert len(workflow.errors) == 0
    first = await workflow.do("copy", "copy", Order("o-1"), on_error="continue")
    assert isinstance(first, StepError)
    assert workflow.errors[0] is first
    both = await workflow.parallel(
        {
            "good": workflow.do("good", lambda: 1),
            "bad": workflow.do("bad", blocking),
            "wrong": _wrong(workflow),
            "tolerant": workflow.do("tolerant", blocking, on_error="continue"),
        },
        errors="collect",
    )
    assert [name for name, value in both.items() if isinstance(value, StepError)] == ["bad", "wrong", "tolerant"]
    await workflow.hook("go on", str)
    last = await workflow.do("slow", lambda: asyncio.sleep(60), timeout="10ms", on_error="continue")
    assert workflow.errors[-1] is last
    assert next(iter(workflow.errors)) is workflow.errors[:1][0] is first
    return shown(workflow.errors)


async def wait_for_hook(run: Any) -> None:
    async with asyncio.timeout(60):
        while not await run.waiting():
            await asyncio.sleep(0.005)


def in_two_processes(project: Project, workflow: str, *data: Any) -> tuple[list[Any], Any]:
    """Work a run up to its hook, drop the engine, and finish it with another one; gives its events and its result."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run(workflow, *data)
        await wait_for_hook(run)
        return run.id

    async def second(engine: Engine) -> tuple[list[Any], Any]:
        run = engine.run(run_id)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        result = await run.result()
        return list(await run.history()), result

    run_id = project.scenario(globals(), first)
    return project.scenario(globals(), second)  # type: ignore[no-any-return]


def events_of(events: list[Any], type: str) -> list[Any]:
    return [event for event in events if event.type == type]


def test_a_run_goes_on_from_errors_and_has_them_all(project: Project) -> None:
    """A10, A11, A17: each error is there once, with step, type, input and partial output, also after a replay."""
    events, result = in_two_processes(project, "tolerant")
    copied = "Progress(rows=2, table='orders')"
    order = "Order(id='o-1', count=1)"
    assert result[0] == ["StepError", "copy", "0/copy", "ConnectionError", "attempt 2", 2, order, copied]
    middle = sorted(result[1:4], key=lambda error: error[1])
    assert middle == [
        ["StepError", "bad", "0/bad", "ValueError", "no more", 1, "None", "'half'"],
        ["StepError", "tolerant", "0/tolerant", "ValueError", "no more", 1, "None", "'half'"],
        ["StepError", "wrong", None, "LookupError", "outside of steps", 1, "None", "None"],
    ]
    assert result[4][:5] == [
        "StepTimeoutError",
        "slow",
        "0/slow",
        "TimeoutError",
        "the attempt took longer than 0.01 s",
    ]
    assert len(result) == 5
    failed = events_of(events, "step_failed")[0]
    assert failed.payload == b'{"rows":2,"table":"orders"}'
    assert failed.data["attempt"] == 2
    assert failed.data["started_at"] <= failed.time
    assert len(CALLS) == 2, "a recorded failure is not tried again in a replay"


@define_workflow
async def kinds(workflow: Workflow) -> list[Any]:
    await workflow.parallel(
        {
            "by id": workflow.do("by id", blocking, on_error="continue"),
            "function": workflow.do("function", lambda order: 1 // 0, Order("o-2"), on_error="continue"),
            "outside": _wrong(workflow),
        },
        errors="collect",
    )
    await workflow.hook("go on", str)
    return sorted([e.step, e.form, e.target, repr(e.input)] for e in workflow.errors)


def test_an_error_says_of_which_kind_its_step_is(project: Project) -> None:
    """A10, A17: name, form, worker and input of the failed step, the same in a replay; a branch is no step."""
    _, result = in_two_processes(project, "kinds")
    assert result == [
        ["by id", "rpc", "blocking", "None"],
        ["function", "inline", None, "Order(id='o-2', count=1)"],
        ["outside", None, None, "None"],
    ]


def test_the_same_errors_with_and_without_a_replay(project: Project) -> None:
    """A17: order and contents of `workflow.errors` come from the record."""

    async def at_once(engine: Engine) -> Any:
        run = await engine.start_run("tolerant")
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        return await run.result()

    _, replayed = in_two_processes(project, "tolerant")
    live = project.scenario(globals(), at_once)
    order = sorted
    assert order(map(repr, live)) == order(map(repr, replayed))


@define_worker("strict.result")
async def strict_result() -> int:
    CALLS.append("strict")
    return "7 of 9"  # type: ignore[return-value]


@define_worker("warned.result", validate="warn")
async def warned_result() -> int:
    CALLS.append("warned")
    return ["7", "of", 9]  # type: ignore[return-value]


@define_worker("warned.model", validate="warn")
async def warned_model() -> int:
    return Order("o-9")  # type: ignore[return-value]


@define_workflow
async def lenient(workflow: Workflow) -> list[Any]:
    values = [
        await workflow.do("warned", "warned.result"),
        await workflow.do("model", "warned.model"),
        await workflow.do("let through", "strict.result", validate="warn"),
        await workflow.do("fits", lambda: 5, validate="warn"),
    ]
    await workflow.hook("go on", str)
    return [repr(value) for value in values]


def test_a_result_that_does_not_fit_goes_on_with_a_warning(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """A13, B5: the value is the same in the live run and in a replay; the record and the log say what is wrong."""
    caplog.set_level(logging.WARNING, "wfgen.step")
    events, result = in_two_processes(project, "lenient")
    assert result == ["['7', 'of', 9]", "Order(id='o-9', count=1)", "'7 of 9'", "5"]
    warned = {event.key: event.data.get("warning") for event in events_of(events, "step_completed")}
    assert warned["0/fits"] is None
    for key in ("0/warned", "0/model", "0/let through"):
        assert "cannot be recorded as int" in warned[key]
    assert len([record for record in caplog.records if "cannot be recorded as int" in record.message]) == 3
    assert CALLS == ["warned", "strict"]


@define_workflow
async def checked(workflow: Workflow, case: str) -> str | None:
    def unfit() -> int:
        CALLS.append("unfit")
        return "text"  # type: ignore[return-value]

    def unrecordable() -> int:
        return object()  # type: ignore[return-value]

    match case:
        case "strict":
            await workflow.do("unfit", unfit, retry=Retry(attempts=5, delay="1ms"))
        case "strict wins":
            await workflow.do("warned", "warned.result", validate="strict")
        case "unrecordable":
            await workflow.do("unrecordable", unrecordable, validate="warn")
        case "continue":
            error = await workflow.do("unfit", unfit, on_error="continue")
            return str(error.error_type)
    return None


@pytest.mark.parametrize("case", ["strict", "strict wins", "unrecordable"])
def test_a_result_that_cannot_go_on_fails_the_step_at_once(project: Project, case: str) -> None:
    """A13: strict is the default, and never tried again; what JSON cannot hold cannot be let through either."""

    async def scenario(engine: Engine) -> None:
        with pytest.raises(RunFailedError, match="SerializationError"):
            await (await engine.start_run("checked", case)).result()
        assert len(CALLS) <= 1

    project.scenario(globals(), scenario)


def test_a_run_can_go_on_from_a_result_that_does_not_fit(project: Project) -> None:
    """A13, A17: a strict check is an error of the step like any other."""

    async def scenario(engine: Engine) -> None:
        assert await (await engine.start_run("checked", "continue")).result() == "wfgen.errors.SerializationError"

    project.scenario(globals(), scenario)


@define_workflow
async def keys(workflow: Workflow, turn: int) -> list[str]:
    found = [await workflow.do("pay", "keyed"), await workflow.do("pay", "keyed")]
    found.append(await workflow.do("given", "keyed", idempotency_key="order-42"))
    await workflow.hook("go on", str)
    found.append(await workflow.do("pay", "keyed"))
    if turn == 0:
        workflow.continue_as_new(1)
    return found


def test_each_step_has_a_key_that_is_the_same_in_each_attempt(project: Project) -> None:
    """B17: the same for every attempt and in another process, another for each step, run and new start."""
    _, first = in_two_processes(project, "keys", 1)
    assert len(CALLS) == 12
    assert [key for key in first for _ in range(3)] == CALLS
    assert first[2] == "order-42"
    assert len(set(first)) == 4
    assert all(0 < len(key) <= 255 and key.isascii() and key.isprintable() for key in first)
    _, other = in_two_processes(project, "keys", 1)
    assert set(first) & set(other) == {"order-42"}
    CALLS.clear()

    async def twice(engine: Engine) -> None:
        run = await engine.start_run("keys", 0)
        for turn in range(2):
            while len(set(CALLS)) < 3 + 3 * turn:
                await asyncio.sleep(0.005)
            await wait_for_hook(run)
            await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        await run.result()
        assert len(set(CALLS)) == 7

    project.scenario(globals(), twice)


def test_a_key_survives_a_crash_in_the_middle_of_an_attempt(project: Project) -> None:
    """B17: the attempt that is begun anew by another process has the key of the first."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("interrupted")
        while not CALLS:
            await asyncio.sleep(0.005)
        return run.id

    async def second(engine: Engine) -> Any:
        return await engine.run(run_id).result()

    run_id = project.scenario(globals(), first)
    assert project.scenario(globals(), second) == CALLS[0] == CALLS[1]


@define_worker("slow.first")
async def slow_first(job: Job) -> str:
    CALLS.append(job.idempotency_key)
    if len(CALLS) == 1:
        await asyncio.sleep(60)
    return job.idempotency_key


@define_workflow
async def interrupted(workflow: Workflow) -> str:
    return str(await workflow.do("slow", "slow.first"))


@define_workflow
async def refused(workflow: Workflow, case: str) -> None:
    wrong: Any = case
    await workflow.do("before", lambda: 1)
    match case:
        case "on_error":
            await workflow.do("bad", "keyed", on_error=wrong)
        case "validate":
            await workflow.do("bad", "keyed", validate=wrong)
        case "long key":
            await workflow.do("bad", "keyed", idempotency_key="x" * 256)
        case "empty key":
            await workflow.do("bad", "keyed", idempotency_key="")
        case "key with a line":
            await workflow.do("bad", "keyed", idempotency_key="a\nb")
        case "key that is no text":
            number: Any = 42
            await workflow.do("bad", "keyed", idempotency_key=number)
        case "compensation by a wrong id":
            await workflow.do("bad", "keyed", compensate="nobody")
        case "compensation that cannot run":
            await workflow.do("bad", "keyed", compensate=42)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ("on_error", HandleError, r"'on_error' is unknown. It is \"raise\" or \"continue\"."),
        ("validate", HandleError, r"'validate' is unknown. It is \"strict\" or \"warn\"."),
        ("long key", InvalidInputError, "cannot be an idempotency key"),
        ("empty key", InvalidInputError, "'' cannot be an idempotency key"),
        ("key with a line", InvalidInputError, "cannot be an idempotency key"),
        ("key that is no text", InvalidInputError, "42 cannot be an idempotency key"),
        ("compensation by a wrong id", None, "there is no worker 'nobody'"),
        (
            "compensation that cannot run",
            HandleError,
            "compensation of step 'bad': 42 is neither a worker nor callable",
        ),
    ],
)
def test_options_that_cannot_serve_are_refused_before_the_step(
    project: Project, case: str, error: type[Any] | None, words: str
) -> None:
    """B17: an unknown mode, a bad key or an unknown compensation fails with advice, and nothing is run or recorded."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("refused", case)
        with pytest.raises(RunFailedError, match=words) as caught:
            await run.result()
        assert error is None or caught.value.error_code == error.code
        assert not CALLS
        assert [event.key for event in await run.history() if event.key] == ["0/before"]

    project.scenario(globals(), scenario)


def test_a_worker_with_an_unknown_mode_is_refused_where_it_is_defined() -> None:
    """A13: the message names the worker and its place."""
    wrong: Any = "lax"
    with pytest.raises(
        DefinitionError, match=r"worker 'odd' \(.*test_step_options.py:\d+\): validate='lax' is unknown"
    ):
        define_worker("odd", lambda: 1, validate=wrong)


@define_worker("bad.report")
async def bad_report(job: Job) -> None:
    job.report(object())


@define_worker("good.report")
async def good_report(job: Job) -> str:
    job.report([1, 2])
    return "done"


@define_worker("final", retry=Retry(attempts=2, delay="1ms"))
async def final(job: Job) -> None:
    if job.attempt == 1:
        job.report("of the first attempt")
        raise ConnectionError("again")
    raise NonRetryable("no")


@define_workflow
async def reports(workflow: Workflow) -> list[Any]:
    bad = await workflow.do("bad", "bad.report", on_error="continue")
    good = await workflow.do("good", "good.report")
    last = await workflow.do("final", "final", on_error="continue")
    return [bad.error_type, bad.partial, good, last.partial, last.attempts]


def test_what_is_reported_counts_for_the_last_attempt_that_failed(project: Project) -> None:
    """A17: a step that completes, or whose last attempt said nothing, leaves no partial output; a bad one fails it."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("reports")
        assert await run.result() == ["wfgen.errors.SerializationError", None, "done", None, 2]
        completed = [event for event in await run.history() if event.type == "step_completed"]
        assert completed[0].payload == b'"done"'

    project.scenario(globals(), scenario)


def test_a_job_can_be_made_by_hand() -> None:
    """A21: a worker that takes its Job is called plainly in a test; reports are taken and lead nowhere."""
    from wfgen import RunId

    job: Job[Any] = Job(run_id=RunId("run_1"), step="charge", key="0/charge", attempt=1)
    job.report(1)
    assert not job.is_over
    assert (job.attempt, job.idempotency_key) == (1, "")
