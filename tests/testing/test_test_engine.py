"""wfgen.testing: time that skips, mocks, hooks answered, failures and crashes, restarts."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wfgen import (
    InvalidInputError,
    Job,
    Retry,
    RunCancelledError,
    RunFailedError,
    StepTimeoutError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.testing import (
    AnswerError,
    MockError,
    StuckError,
    TestEngine,
    TestingError,
    UnreachedError,
    WorkerRefusedError,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Order:
    id: str
    total: float


@dataclass
class Approval:
    ok: bool


CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@define_worker("charge", retry=Retry(attempts=3, delay="1h", maximum="1d", jitter=0), timeout="30s")
def charge(order: Order, job: Job) -> str:
    CALLS.append(f"charge {job.attempt}")
    return f"paid {order.total}"


@define_worker("ship", timeout="30s")
async def ship(order: Order) -> str:
    CALLS.append("ship")
    return f"shipped {order.id}"


@define_workflow(timeout="90d")
async def fulfil(workflow: Workflow, order: Order) -> list[str]:
    paid = await workflow.do("charge", "charge", order)
    await workflow.sleep("settle", "2d")
    approval = await workflow.hook("approval", Approval, timeout="7d")
    shipped = await workflow.do("ship", "ship", order) if approval.ok else "declined"
    return [paid, shipped, workflow.now().isoformat()]


@define_workflow
async def two_answers(workflow: Workflow) -> list[bool]:
    return [(await workflow.hook("approval", Approval)).ok for _ in range(2)]


@define_workflow
async def slow(workflow: Workflow, order: Order) -> str:
    try:
        return str(await workflow.do("ship", "ship", order))
    except StepTimeoutError:
        return "too slow"


@define_workflow
async def sleeper(workflow: Workflow) -> str:
    for _ in range(3):
        await workflow.sleep("day", "1d")
    return "awake"


ORDER = Order("A-1", 12.5)
HERE = globals()


def engine(**options: Any) -> TestEngine:
    return TestEngine(HERE, start=START, **options)


def play(scenario: Any, **options: Any) -> Any:
    return engine(**options).run_scenario(scenario)


@pytest.mark.parametrize("replay", ["needed", "always"])
def test_time_skips_and_hooks_are_answered(replay: Any) -> None:
    """A21: days pass in no time, `workflow.now()` follows, workers run for real, hooks get their answer."""

    async def scenario(wf: TestEngine) -> Any:
        wf.answer("approval", Approval(ok=True))
        return await wf.execute("fulfil", ORDER)

    began = time.monotonic()
    paid, shipped, now = play(scenario, replay=replay)
    assert time.monotonic() - began < 60
    assert (paid, shipped) == ("paid 12.5", "shipped A-1")
    assert datetime.fromisoformat(now) == START + timedelta(days=2)
    assert CALLS == ["charge 1", "ship"]


def test_retries_wait_by_the_tests_clock() -> None:
    """A21: an injected failure is retried after the policy's delays, which take no real time."""

    async def scenario(wf: TestEngine) -> Any:
        wf.fail("charge", ConnectionError("down"), attempt=1)
        wf.fail("charge", ConnectionError("still down"), attempt=2)
        wf.answer("approval", Approval(ok=False))
        run = await wf.start("fulfil", ORDER)
        result = await run.result()
        return result, [(e.type, e.data["error"]) for e in await run.history() if e.type == "step_retrying"]

    (paid, declined, now), retried = play(scenario)
    assert (paid, declined) == ("paid 12.5", "declined")
    assert [error for _, error in retried] == ["down", "still down"]
    assert datetime.fromisoformat(now) == START + timedelta(days=2, hours=3)
    assert CALLS == ["charge 3"]


def test_a_failure_in_each_attempt_fails_the_step() -> None:
    """A21: with attempt=None every attempt fails, and the workflow sees a StepError."""

    async def scenario(wf: TestEngine) -> Any:
        wf.fail("charge", ConnectionError, attempt=None)
        with pytest.raises(RunFailedError, match="ConnectionError"):
            await wf.execute("fulfil", ORDER)

    play(scenario)
    assert CALLS == []


def test_hooks_and_runs_time_out_by_the_tests_clock() -> None:
    """A9: a hook that nobody answers times out after its seven days; the run's own clock says so."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        with pytest.raises(RunFailedError, match="HookTimeoutError"):
            await run.result()
        return wf.clock.now

    assert play(scenario) == START + timedelta(days=9)


def test_the_clock_is_advanced_by_hand() -> None:
    """A21: timers come due in their order, and what follows from one is done before the next."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("sleeper")
        await wf.until_still()
        seen = []
        for _ in range(3):
            seen.append((await run.info()).status)
            await wf.clock.advance("23h")
            seen.append(sum(e.type == "timer_fired" for e in await run.history()))
            await wf.clock.advance("1h")
        seen.append((await run.info()).status)
        return seen

    assert play(scenario) == ["waiting", 0, "waiting", 1, "waiting", 2, "completed"]


def test_a_result_has_a_timeout_by_the_tests_clock() -> None:
    """A21: `run.result(timeout=)` counts the test's time; the run goes on."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("sleeper")
        with pytest.raises(TimeoutError):
            await run.result(timeout="36h")
        assert wf.clock.now == START + timedelta(hours=36)
        return await run.result(timeout="2d")

    assert play(scenario) == "awake"


def test_workers_are_mocked_by_id_with_recorded_calls() -> None:
    """A21: a mock's calls are recorded with input and job; the real worker does not run."""

    async def scenario(wf: TestEngine) -> Any:
        paid = wf.mock("charge", returns="mocked")
        shipped = wf.mock(ship.__name__, side_effect=lambda order: f"by {order.id}")
        wf.answer("approval", Approval(ok=True))
        run = await wf.start("fulfil", ORDER)
        result = await run.result()
        paid.assert_called_once_with(ORDER)
        shipped.assert_called(1)
        assert paid.calls[0].job.run_id == run.id
        assert paid.calls[0].job.step == "charge"
        return result[:2]

    assert play(scenario) == ["mocked", "by A-1"]
    assert CALLS == []


def test_a_mock_gives_one_outcome_a_call() -> None:
    """A21: outcomes are results and errors in order; the worker's own retry policy applies."""

    async def scenario(wf: TestEngine) -> Any:
        mock = wf.mock("charge", outcomes=[ConnectionError("once"), "second"])
        wf.answer("approval", Approval(ok=False))
        result = await wf.execute("fulfil", ORDER)
        assert [call.job.attempt for call in mock.calls] == [1, 2]
        assert mock.inputs == [ORDER, ORDER]
        return result[0]

    assert play(scenario) == "second"


def test_a_mock_takes_its_time_and_the_workers_timeout_applies() -> None:
    """A21: `takes=` is by the test's clock, and so is the timeout of the attempt."""

    async def scenario(wf: TestEngine) -> Any:
        wf.mock("ship", returns="x", takes="2h")
        slow = await wf.execute("slow", ORDER)
        assert wf.clock.now == START + timedelta(seconds=30)
        wf.mock("ship", returns="x", takes="29s")
        return slow, await wf.execute("slow", ORDER)

    assert play(scenario) == ("too slow", "x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"returns": 5}, "cannot be recorded as str"),
        ({}, "does not say what it returns"),
        ({"returns": "x", "raises": ValueError}, "says more than once"),
    ],
)
def test_a_mock_that_cannot_fit_is_refused_at_once(options: Any, message: str) -> None:
    """A21: a result of the wrong type is the test's mistake, and says what the worker declares."""

    async def scenario(wf: TestEngine) -> Any:
        with pytest.raises(MockError, match=message):
            wf.mock("charge", **options)

    play(scenario)


def test_a_side_effect_of_the_wrong_type_fails_the_test() -> None:
    """A21: what comes to light in a step reaches the test, not only the workflow."""

    async def scenario(wf: TestEngine) -> Any:
        wf.mock("charge", side_effect=lambda order: 5)
        await wf.execute("fulfil", ORDER)

    with pytest.raises(MockError, match="Return what the worker itself declares"):
        play(scenario)


def test_mocks_assert() -> None:
    """A21: the asserts of a mock say what was called instead."""

    async def scenario(wf: TestEngine) -> Any:
        mock = wf.mock("charge", returns="x")
        with pytest.raises(AssertionError, match="it was not called"):
            mock.assert_called()
        mock.assert_not_called()
        wf.answer("approval", Approval(ok=False))
        await wf.execute("fulfil", ORDER)
        with pytest.raises(AssertionError, match="called 1 times: 'charge' attempt 1"):
            mock.assert_called(2)
        with pytest.raises(AssertionError, match="to be called once with"):
            mock.assert_called_once_with(Order("B", 1))

    play(scenario)


def test_real_workers_can_be_refused() -> None:
    """A21: with real_workers=False a worker that is not mocked fails the test and does not run."""

    async def scenario(wf: TestEngine) -> Any:
        await wf.execute("fulfil", ORDER)

    with pytest.raises(WorkerRefusedError, match=r"wf\.mock\('charge'"):
        play(scenario, real_workers=False)
    assert CALLS == []


def test_one_step_alone() -> None:
    """A21: a worker is worked with a Job, checked types, retries and no run."""

    async def scenario(wf: TestEngine) -> Any:
        with pytest.raises(InvalidInputError):
            await wf.step("charge", {"id": "A"})
        return await wf.step("charge", ORDER), await wf.step("ship", {"id": "B", "total": 1})

    assert play(scenario) == ("paid 12.5", "shipped B")
    assert CALLS == ["charge 1", "ship"]


def test_answers_are_given_in_order() -> None:
    """B12: each hook takes the next answer, one of them a function of the run."""

    async def scenario(wf: TestEngine) -> Any:
        wf.answer("approval", Approval(ok=False), lambda run: Approval(ok=run.id.startswith("run_")))
        return await wf.execute("two_answers")

    assert play(scenario) == [False, True]


@pytest.mark.parametrize("replay", ["needed", "always"])
def test_a_run_waits_for_its_hook_and_is_answered_later(replay: Any) -> None:
    """B12: the test waits until the run waits, looks at it, and answers; time stands still in between."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        hook = await wf.until_waiting(run, "approval")
        assert hook.due == (START + timedelta(days=9)).timestamp()
        await asyncio.sleep(0.01)
        assert wf.clock.now == START + timedelta(days=2)
        await run.hooks["approval"].resume(Approval(ok=True))
        return await run.result()

    assert play(scenario, replay=replay)[1] == "shipped A-1"


def test_an_answer_to_a_hook_that_is_open() -> None:
    """B12: an answer may also come when the run waits already."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        await wf.until_waiting(run)
        wf.answer("approval", Approval(ok=True))
        return await run.result()

    assert play(scenario)[1] == "shipped A-1"


def test_an_answer_of_the_wrong_shape_fails_the_test() -> None:
    """A21: the hook's type refuses it, and the test is told."""

    async def scenario(wf: TestEngine) -> Any:
        wf.answer("approval", {"okay": True})
        await wf.execute("fulfil", ORDER)

    with pytest.raises(AnswerError, match="the answer to hook 'approval' does not fit"):
        play(scenario)


@pytest.mark.parametrize(("moment", "charged"), [("after", 1), ("during", 2)])
def test_a_crash_at_a_named_step(moment: str, charged: int) -> None:
    """E5: after its record a step never runs again; before it, it runs twice. Nothing else is lost."""

    async def scenario(wf: TestEngine) -> Any:
        (wf.crash_after if moment == "after" else wf.crash_during)("charge")
        wf.answer("approval", Approval(ok=True))
        run = await wf.start("fulfil", ORDER)
        result = await run.result()
        return result[:2], (await run.info()).epoch

    result, epoch = play(scenario)
    assert result == ["paid 12.5", "shipped A-1"]
    assert epoch == 2, "another engine took it"
    assert [*["charge 1"] * charged, "ship"] == CALLS


def test_a_crash_after_a_timer_and_a_hook() -> None:
    """E5: sleeps and hooks are points of a crash as well."""

    async def scenario(wf: TestEngine) -> Any:
        wf.crash_after("settle")
        wf.crash_after("approval")
        wf.answer("approval", Approval(ok=True))
        return (await wf.execute("fulfil", ORDER))[1]

    assert play(scenario) == "shipped A-1"
    assert CALLS == ["charge 1", "ship"]


def test_a_restart_replays_what_is_in_flight() -> None:
    """E5: another engine on the same store goes on; handles that were made before still serve."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        await wf.until_waiting(run, "approval")
        await wf.restart()
        await run.hooks["approval"].resume(Approval(ok=True))
        return (await run.result())[1]

    assert play(scenario) == "shipped A-1"
    assert CALLS == ["charge 1", "ship"]


def test_a_store_file_is_kept(tmp_path: Path) -> None:
    """A21: with a store file a run is begun in one engine and finished in another one, later."""

    async def begin(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        await wf.until_waiting(run, "approval")
        return run.id

    async def finish(wf: TestEngine) -> Any:
        wf.answer("approval", Approval(ok=True))
        return await wf.get_run(run_id).result()

    run_id = play(begin, store=tmp_path / "kept.db")
    assert play(finish, store=tmp_path / "kept.db")[1] == "shipped A-1"
    assert CALLS == ["charge 1", "ship"]


@pytest.mark.parametrize("arrange", ["fail", "crash_after", "crash_during", "answer"])
def test_what_was_arranged_and_not_reached_fails_the_test(arrange: str) -> None:
    """A21: a name that no run gets to is a mistake that would make a test pass for nothing."""

    async def scenario(wf: TestEngine) -> Any:
        getattr(wf, arrange)("chrage", *([ValueError] if arrange in ("fail", "answer") else []))
        return await wf.execute("sleeper")

    with pytest.raises(UnreachedError, match="chrage"):
        play(scenario)


def test_what_cannot_come_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: a test that waits for what cannot happen fails with the reason, and does not hang."""
    monkeypatch.setattr("wfgen.testing.engine.GRACE", 0.05)

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("sleeper")
        with pytest.raises(StuckError, match=r"hook 'approval' .* was not opened: the run is completed"):
            await wf.until_waiting(run, "approval")

    play(scenario)


def test_an_engine_that_is_not_open_says_so() -> None:
    """A21: use outside `async with` is an error with advice."""

    async def scenario() -> None:
        await engine().start("sleeper")

    with pytest.raises(TestingError, match="async with TestEngine"):
        asyncio.run(scenario())


def test_replay_always_finds_code_that_is_not_deterministic() -> None:
    """A21: code that does something else in its replay is found even where no engine ever crashes."""
    turns: list[int] = []
    definitions: dict[str, Any] = {"__name__": "unsteady"}

    async def unsteady(workflow: Workflow) -> int:
        turns.append(1)
        await workflow.sleep("first" if len(turns) == 1 else "other", "1h")
        await workflow.sleep("last", "1h")
        return len(turns)

    exec("from wfgen import define_workflow\ndef define(f): return define_workflow(f)", definitions)
    definitions["define"](unsteady)

    async def scenario(wf: TestEngine) -> Any:
        return await wf.execute("unsteady")

    assert TestEngine(definitions).run_scenario(scenario) == 1
    turns.clear()
    with pytest.raises(RunFailedError, match="does not follow its history"):
        TestEngine(definitions, replay="always").run_scenario(scenario)


def test_steps_at_work_hold_the_time() -> None:
    """A21: time does not jump while a real step works: a race between a step and a timer goes to the step."""
    definitions: dict[str, Any] = {"__name__": "race"}

    async def work() -> str:
        await asyncio.sleep(0.1)
        return "step"

    async def race(workflow: Workflow) -> str:
        step = asyncio.ensure_future(workflow.do("work", work))
        timer = asyncio.ensure_future(workflow.sleep("timer", "1s"))
        done, rest = await asyncio.wait([step, timer], return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return "step" if step in done else "timer"

    exec("from wfgen import define_workflow\ndef define(f): return define_workflow(f)", definitions)
    definitions["define"](race)
    assert TestEngine(definitions).run_scenario(lambda wf: wf.execute("race")) == "step"


def test_a_paused_run_that_is_waited_for_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: nothing is left that could finish it, and the test says so in place of hanging."""
    monkeypatch.setattr("wfgen.testing.engine.GRACE", 0.05)

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("sleeper")
        await run.pause()
        with pytest.raises(StuckError, match=r"the test waits for the end of run .* nothing is left"):
            await run.result()
        await run.resume()
        return await run.result()

    assert play(scenario) == "awake"


def test_a_run_that_is_controlled_from_outside() -> None:
    """A21: handles pass every control on to the engine that is open; a fork is a handle of the same kind."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("fulfil", ORDER)
        await wf.until_waiting(run, "approval")
        await wf.restart()
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        return (await run.info()).status

    assert play(scenario) == "cancelled"


def test_hooks_of_one_name_are_told_apart() -> None:
    """B12: the second hook of a name in one branch takes the answers of that name, too."""

    async def scenario(wf: TestEngine) -> Any:
        run = await wf.start("two_answers")
        wf.answer("approval", Approval(ok=True))
        await wf.until_still()
        wf.answer("approval", Approval(ok=False))
        result = await run.result()
        return result, [event.key for event in await run.history() if event.type == "hook_resumed"]

    assert play(scenario) == ([True, False], ["0/approval", "0/approval#2"])
