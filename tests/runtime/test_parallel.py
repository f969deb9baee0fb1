"""`workflow.parallel`: all, any or some of several branches (A10)."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import HandleError, RunFailedError, StepError, Workflow, define_worker, define_workflow
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project

ACTIVE: list[int] = [0, 0]
"""Steps at work now, and at most."""
STOPPED: list[str] = []


@define_worker("work")
async def work(name: str) -> str:
    """Fails if its name begins with `bad`, and waits for ever if it begins with `slow`."""
    ACTIVE[0] += 1
    ACTIVE[1] = max(ACTIVE)
    try:
        await asyncio.sleep(60 if name.startswith("slow") else 0.01)
    except asyncio.CancelledError:
        STOPPED.append(name)
        raise
    finally:
        ACTIVE[0] -= 1
    if name.startswith("bad"):
        raise ValueError(name)
    return name.upper()


@define_workflow
async def flow(workflow: Workflow, given: dict[str, Any]) -> dict[str, Any]:
    names: list[str] = given.pop("names")
    found = await workflow.parallel({name: workflow.do(name, "work", name) for name in names}, **given)
    return {name: f"{value.error_type}: {value.error}" if isinstance(value, StepError) else value
            for name, value in found.items()}  # fmt: skip


def result(project: Project, **given: Any) -> Any:
    ACTIVE[:] = [0, 0]
    STOPPED.clear()

    async def scenario(engine: Engine) -> Any:
        return await (await engine.start_run("flow", given)).result()

    return project.scenario(globals(), scenario)


def test_all_results_come_by_name_in_order(project: Project) -> None:
    """A10: the branches run at once, and the result has their order."""
    assert list(result(project, names=["b", "a", "c"]).items()) == [("b", "B"), ("a", "A"), ("c", "C")]
    assert ACTIVE[1] == 3


def test_the_first_error_cancels_the_others(project: Project) -> None:
    """A10: fail fast: the slow branch is stopped, the error is that of the step."""
    with pytest.raises(RunFailedError, match="bad") as caught:
        result(project, names=["slow", "bad"])
    assert caught.value.error_code == "WF710"
    assert STOPPED == ["slow"]


def test_errors_may_be_collected(project: Project) -> None:
    """A10: nothing is raised: each failed branch has its error in its place, the others their result."""
    assert result(project, names=["bad", "good"], errors="collect") == {"bad": "ValueError: bad", "good": "GOOD"}


@pytest.mark.parametrize(("wait_for", "expected"), [("any", {"a": "A"}), (1, {"a": "A"})])
def test_any_cancels_the_losers(project: Project, wait_for: Any, expected: dict[str, str]) -> None:
    """A10: one success is enough, whatever fails before it."""
    assert result(project, names=["bad", "slow", "a"], wait_for=wait_for) == expected
    assert STOPPED == ["slow"]


def test_too_few_successes_raise(project: Project) -> None:
    """A10: two of three cannot succeed any more once two have failed."""
    with pytest.raises(RunFailedError, match="bad"):
        result(project, names=["bad 1", "bad 2", "slow"], wait_for=2)
    assert STOPPED == ["slow"]


def test_a_limit_bounds_what_runs_at_once(project: Project) -> None:
    """A10: of ten branches no more than three are worked at a time."""
    assert len(result(project, names=[str(n) for n in range(10)], limit=3)) == 10
    assert ACTIVE[1] == 3


def test_no_branches_give_nothing(project: Project) -> None:
    """A10: an empty mapping is fine."""
    assert result(project, names=[]) == {}
    assert result(project, names=[], wait_for="any") == {}


@pytest.mark.parametrize(
    "given", [{"wait_for": 3}, {"wait_for": "most"}, {"wait_for": True}, {"errors": "ignore"}, {"limit": 0}]
)
def test_arguments_that_cannot_work_are_refused(project: Project, given: dict[str, Any]) -> None:
    """A10: the run fails with the handle's error, which names the argument."""
    with pytest.raises(RunFailedError) as caught:
        result(project, names=["a", "b"], **given)
    assert caught.value.error_code == HandleError.code


def test_some_of_several(project: Project) -> None:
    """A10: two successes of four are enough; the result has those that have ended, the others are stopped."""
    assert result(project, names=["slow 1", "bad", "a", "b"], wait_for=2) == {"a": "A", "b": "B"}
    assert STOPPED == ["slow 1"]


USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


@define_workflow
async def isolated(workflow: Workflow) -> list[str]:
    async def branch(name: str) -> str:
        USER.set(name)
        await workflow.do("work", "work", name)
        return USER.get()

    async def broken() -> str:
        USER.set("broken")
        raise LookupError("alone")

    found = await workflow.parallel({"a": branch("a"), "bad": broken(), "b": branch("b")}, errors="collect")
    return [*(str(value) for value in found.values()), USER.get(), str(len(workflow.errors))]


def test_branches_are_isolated(project: Project) -> None:
    """A10: the context variables and the failure of one branch are its own; the error is in `workflow.errors`."""

    async def scenario(engine: Engine) -> None:
        found = await (await engine.start_run("isolated")).result()
        assert found == ["a", "step 'bad' failed: LookupError: alone", "b", "nobody", "1"]

    project.scenario(globals(), scenario)


@define_workflow
async def plain(workflow: Workflow, how: str) -> list[str]:
    def step(name: str) -> Any:
        return workflow.do(name, "work", name)

    match how:
        case "gather fails fast":
            await asyncio.gather(step("slow"), step("bad"))
        case "gather collects":
            found = await asyncio.gather(step("good"), step("bad"), return_exceptions=True)
            return [str(value) for value in found]
        case "group fails fast":
            async with asyncio.TaskGroup() as group:
                group.create_task(step("slow"))
                group.create_task(step("bad"))
        case "first of":
            tasks = [asyncio.create_task(step(name)) for name in ("slow", "a")]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            return [task.result() for task in done]
        case "semaphore":
            gate = asyncio.Semaphore(3)

            async def limited(name: str) -> str:
                async with gate:
                    return str(await step(name))

            return await asyncio.gather(*[limited(str(number)) for number in range(10)])
    return []


def plainly(project: Project, how: str) -> Any:
    ACTIVE[:] = [0, 0]
    STOPPED.clear()

    async def scenario(engine: Engine) -> Any:
        return await (await engine.start_run("plain", how)).result()

    return project.scenario(globals(), scenario)


@pytest.mark.parametrize("how", ["gather fails fast", "group fails fast"])
def test_gather_and_groups_fail_fast(project: Project, how: str) -> None:
    """A10: the first error fails the run, and no step stays at work."""
    with pytest.raises(RunFailedError, match="bad"):
        plainly(project, how)
    assert STOPPED == ["slow"]


def test_gather_and_wait_do_what_parallel_does(project: Project) -> None:
    """A10: errors are collected, losers are cancelled and concurrency is limited with asyncio's own means, too."""
    assert plainly(project, "gather collects") == ["GOOD", "step 'bad' failed: ValueError: bad"]
    assert plainly(project, "first of") == ["A"]
    assert STOPPED == ["slow"]
    assert plainly(project, "semaphore") == [str(number) for number in range(10)]
    assert ACTIVE[1] == 3
