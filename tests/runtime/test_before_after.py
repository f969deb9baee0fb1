"""Tasks before and after a run: steps of their own, recorded once, whatever becomes of the run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    After,
    DefinitionError,
    Outcome,
    Retry,
    RunCancelledError,
    RunFailedError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine, open_engine
from wfgen.events import Event
from wfgen.registry import Registry, WorkerSource

if TYPE_CHECKING:
    from conftest import Project

CALLS: list[Any] = []
OUTCOMES: list[Outcome] = []


@dataclass
class Order:
    number: int
    fails: bool = False


@define_worker("stock.check", retry=Retry(attempts=2, delay="1ms"))
async def check_stock(order: Order) -> None:
    CALLS.append(("check", order.number))
    if CALLS.count(("check", order.number)) == 1 and order.number == 7:
        raise ConnectionError("once")


@define_worker("audit.log")
def audit(outcome: Outcome) -> str:
    OUTCOMES.append(outcome)
    return outcome.status


def announce() -> None:
    """A function that takes nothing gets nothing."""
    CALLS.append("announce")


async def refuse(order: Order) -> None:
    if order.fails:
        raise ValueError("no such customer")


async def alert(outcome: Outcome) -> None:
    CALLS.append(("alert", outcome.status))


async def broken(outcome: Outcome) -> None:
    raise OSError("the mail server is down")


@define_workflow(
    before=["stock.check", announce, announce],
    after=[audit, After(alert, on=("failed", "cancelled")), broken, announce],
)
async def ordering(workflow: Workflow, order: Order) -> dict[str, int]:
    CALLS.append("body")
    await workflow.do("note", lambda: CALLS.append("note"))
    if order.fails:
        raise ValueError("sold out")
    if order.number == 9:
        await workflow.hook("approval", str)
    return {"number": order.number}


@define_workflow(before=[refuse, "stock.check"], after=["audit.log"])
async def refusing(workflow: Workflow, order: Order) -> int:
    CALLS.append("body")
    return order.number


@define_workflow(after=[audit])
async def without_input(workflow: Workflow) -> str:
    return "done"


@define_workflow(timeout="20ms", after=[audit])
async def too_slow(workflow: Workflow) -> str:
    await workflow.sleep("long", "1h")
    return "late"


@define_workflow(after=[audit])
async def not_encodable(workflow: Workflow) -> int:
    return object()  # type: ignore[return-value]


@define_workflow(after=[audit], version="2", name="without_input")
async def with_branches(workflow: Workflow) -> str:
    """Leaves a branch running at its end."""

    async def beside() -> None:
        try:
            await workflow.sleep("beside", "1h")
        finally:
            await workflow.do("clean up", lambda: CALLS.append("clean up"))

    task = asyncio.create_task(beside())
    await workflow.do("note", lambda: CALLS.append("note"))
    assert not task.done()
    return "done"


@define_workflow(before=[announce], after=[audit])
async def in_parts(workflow: Workflow, left: int) -> int:
    if left:
        workflow.continue_as_new(left - 1)
    return left


@pytest.fixture(autouse=True)
def forget() -> None:
    CALLS.clear()
    OUTCOMES.clear()


def _steps(events: list[Event]) -> list[str]:
    return [str(e.key) for e in events if e.type in ("step_completed", "step_failed")]


def test_success(project: Project) -> None:
    """B8: before tasks get the input, after tasks the outcome; each is a step, with its worker's retries."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("ordering", Order(7))
        assert await run.result() == {"number": 7}
        events = await run.history()
        assert _steps(events) == [
            "before/stock.check",
            "before/announce",
            "before/announce#2",
            "0/note",
            "after/audit",
            "after/broken",
            "after/announce",
        ]
        assert [e.key for e in events if e.type == "step_retrying"] == ["before/stock.check"]
        assert events[-1].type == "run_completed"
        (outcome,) = OUTCOMES
        assert outcome == Outcome(run.id, "ordering", "1", "completed", result={"number": 7})

    project.scenario(globals(), scenario)
    assert CALLS == [("check", 7), ("check", 7), "announce", "announce", "body", "note", "announce"]


def test_failure(project: Project) -> None:
    """B8: after tasks hear of the error; one that fails is recorded and changes nothing of the outcome."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("ordering", Order(1, fails=True))
        with pytest.raises(RunFailedError, match="sold out"):
            await run.result()
        events = await run.history()
        assert _steps(events)[-4:] == ["after/audit", "after/alert", "after/broken", "after/announce"]
        assert [e.data["error"] for e in events if e.type == "step_failed"] == ["the mail server is down"]
        (outcome,) = OUTCOMES
        assert (outcome.status, outcome.error_type, outcome.error) == ("failed", "ValueError", "sold out")

    project.scenario(globals(), scenario)
    assert ("alert", "failed") in CALLS


def test_cancel(project: Project) -> None:
    """B8, B3: after tasks run when a run is cancelled; another request to cancel does not stop them."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("ordering", Order(9))
        while not await run.waiting():
            await asyncio.sleep(0.002)
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        assert [Outcome(run.id, "ordering", "1", "cancelled")] == OUTCOMES

    project.scenario(globals(), scenario)
    assert ("alert", "cancelled") in CALLS


def test_a_failing_before_task_fails_the_run(project: Project) -> None:
    """B8: the code does not run, nor do later before tasks; after tasks do."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("refusing", Order(1, fails=True))
        with pytest.raises(RunFailedError, match="no such customer"):
            await run.result()
        assert _steps(await run.history()) == ["before/refuse", "after/audit.log"]
        assert OUTCOMES[0].code == "WF710"

    project.scenario(globals(), scenario)
    assert CALLS == []


@pytest.mark.parametrize(
    ("name", "code"), [("too_slow", "WF723"), ("not_encodable", "WF704")], ids=["timeout", "result"]
)
def test_other_failures(project: Project, name: str, code: str) -> None:
    """B8: a timeout of the run, or a result that cannot be recorded, is a failure as any other."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run(name)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_code == OUTCOMES[0].code == code

    project.scenario(globals(), scenario)


@define_workflow(after=[announce, "audit.log"])
async def announced(workflow: Workflow) -> str:
    return "done"


def test_a_task_whose_target_cannot_be_found_stops_no_other(project: Project) -> None:
    """B8: it fails as a step, when whether the function is a worker cannot be told: the file of one is broken."""
    registry = Registry("wfgen", workers=[WorkerSource("gone", "ids", "gone.worker.py")])
    registry.collect(globals())

    async def main() -> list[Event]:
        async with open_engine(registry, project.settings) as engine:
            run = await engine.start_run("announced")
            assert await run.result("60s") == "done"
            return await run.history()

    events = asyncio.run(main())
    assert [(e.type, e.key) for e in events if e.key] == [
        ("step_failed", "after/announce"),
        ("step_completed", "after/audit.log"),
    ]
    assert "gone.worker.py does not define" in events[1].data["error"]
    assert [outcome.status for outcome in OUTCOMES] == ["completed"]
    assert CALLS == []


def test_branches_that_are_left_end_before_the_after_tasks(project: Project) -> None:
    """B8: what the code leaves running is cancelled when it has ended, and may clean up."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("without_input", version="2")
        assert await run.result() == "done"
        assert _steps(await run.history()) == ["0/note", "0.1/clean up", "after/audit"]

    project.scenario(globals(), scenario)


def test_a_run_in_parts_has_each_task_once(project: Project) -> None:
    """B8: a run that continues with a new input begins once and ends once."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("in_parts", 2)
        assert await run.result() == 0
        assert [Outcome(run.id, "in_parts", "1", "completed", result=0)] == OUTCOMES

    project.scenario(globals(), scenario)
    assert CALLS == ["announce"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"before": "stock.check"}, "is no list"),
        ({"before": [lambda: None]}, "cannot be a before task"),
        ({"before": [After("audit.log")]}, "cannot be a before task"),
        ({"after": [3]}, "cannot be an after task"),
        ({"after": [After("audit.log", on="success")]}, "runs on 'success'"),  # type: ignore[arg-type]
        ({"after": [After("audit.log", on=())]}, "never runs"),
    ],
)
def test_what_cannot_be_a_task(options: dict[str, Any], text: str) -> None:
    """B8: it is refused where the workflow is defined."""

    async def unsound(workflow: Workflow) -> None: ...

    with pytest.raises(DefinitionError, match=text) as caught:
        define_workflow(unsound, **options)
    assert "'unsound'" in str(caught.value)
    assert caught.value.hint
