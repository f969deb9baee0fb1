"""Steps that run at most once: begun on record, and never begun again."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import (
    DefinitionError,
    HandleError,
    Retry,
    RunFailedError,
    StepInterruptedError,
    Workflow,
    define_worker,
    define_workflow,
)
from wfgen.engine import Engine

if TYPE_CHECKING:
    from conftest import Project

CHILD = Path(__file__).with_name("once_child.py")
ONCE = ("first", "second", "fourth", "left", "right")
STEPS = ("first", "second", "third", "fourth", "left", "right")

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def _work(folder: Path, where: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), where], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.strip()


def _rows(path: Path, query: str) -> list[Any]:
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # killed before the table was there
        return []
    finally:
        connection.close()


def _calls(folder: Path) -> Counter[str]:
    return Counter(key.partition("/")[2] for (key,) in _rows(folder / "effects.db", "SELECT key FROM calls"))


def _kill_and_recover(folder: Path, where: str) -> str | None:
    """Kill a process, and let another one finish its run. None if there was nothing to kill; else what the run gave."""
    folder.mkdir()
    code, _ = _work(folder, where)
    if code == 0:
        return None
    begun = _calls(folder)
    code, out = _work(folder, "none")
    assert code == 0
    given = out.split(", ")
    assert len(given) == len(STEPS)
    calls = _calls(folder)
    for step, result in zip(STEPS, given, strict=True):
        assert result in (step, f"{step} was interrupted")
        if step in ONCE:
            assert calls[step] <= 1, (where, step)
            if result == step:
                assert calls[step] == 1, "what gives a result has run"
            else:
                assert calls[step] == begun[step], "what was interrupted is not begun again"
    assert given[2] == "third", "a step without the option is run again"
    return out


def test_sigkill_in_every_step(tmp_path: Path) -> None:
    """B17, F7: whichever the process dies in, no such step runs twice, and the run goes on with the error of that one.

    `test_kill.py` has the same for every commit.
    """
    places = ["before:1", "after:2", *(f"step:{step}" for step in STEPS)]
    with ThreadPoolExecutor(2) as pool:
        outs = dict(
            zip(
                places,
                pool.map(lambda place: _kill_and_recover(tmp_path / place.replace(":", " "), place), places),
                strict=True,
            )
        )
    killed = [out for out in outs.values() if out is not None]
    assert len(killed) == len(places)
    for step in ONCE:
        out = outs[f"step:{step}"]
        assert out is not None
        assert f"{step} was interrupted" in out
    third = outs["step:third"]
    assert third is not None
    assert "interrupted" not in third
    assert _calls(tmp_path / "step third")["third"] == 2


def test_a_start_is_recorded_before_the_step_begins(tmp_path: Path) -> None:
    """A18: one event for each such step and none for others, each before the step's end."""
    folder = tmp_path / "project"
    folder.mkdir()
    _work(folder, "none")
    rows = _rows(folder / ".wfgen" / "wfgen.db", "SELECT type, key FROM events ORDER BY seq")
    started = [key.partition("/")[2] for type, key in rows if type == "step_started"]
    assert sorted(started) == sorted(ONCE)
    for step in ONCE:
        key = f"0/{step}"
        assert rows.index(("step_started", key)) < rows.index(("step_completed", key))


@define_worker("stuck", at_most_once=True)
async def stuck(given: int) -> None:
    CALLS.append("stuck")
    await asyncio.sleep(60)


@define_worker("retried", retry=Retry(attempts=3))
async def retried() -> None:
    CALLS.append("retried")


@define_worker("failing")
async def failing() -> None:
    CALLS.append("failing")
    raise ConnectionError("down")


@define_workflow(retry=Retry(attempts=3, delay="1ms"))
async def flow(workflow: Workflow, case: str) -> list[Any]:
    found: list[Any] = []
    match case:
        case "stuck":
            try:
                await workflow.do("stuck", "stuck", 7)
            except StepInterruptedError as error:
                found = [error.code, error.error_type, error.error, error.input, error.key]
        case "continue":
            value = await workflow.do("stuck", "stuck", 8, on_error="continue")
            found = [type(value).__name__, len(workflow.errors)]
        case "conflict":
            await workflow.do("retried", "retried", at_most_once=True)
        case "conflict of the step":
            await workflow.do("stuck", "stuck", 9, retry=Retry(attempts=2))
        case "default":
            value = await workflow.do("failing", "failing", at_most_once=True, on_error="continue")
            found = [value.attempts]
        case "not after all":
            found = [await workflow.do("stuck", "stuck", 1, at_most_once=False, timeout="1ms", on_error="continue")]
            found = [found[0].attempts]
    await workflow.hook("go on", str)
    return found


def _dropped_in_the_middle(project: Project, case: str) -> tuple[list[Any], Any]:
    """Begin a step, drop the engine; let another one see that, drop it at the hook; finish with a third."""

    async def first(engine: Engine) -> str:
        run = await engine.start_run("flow", case)
        while not CALLS:
            await asyncio.sleep(0.002)
        return run.id

    async def second(engine: Engine) -> None:
        while not await engine.run(run_id).waiting():
            await asyncio.sleep(0.002)

    async def third(engine: Engine) -> tuple[list[Any], Any]:
        run = engine.run(run_id)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        return list(await run.history()), await run.result()

    run_id = project.scenario(globals(), first)
    project.scenario(globals(), second)
    found: tuple[list[Any], Any] = project.scenario(globals(), third)
    return found


def test_a_step_that_was_cut_fails_and_is_recorded_so(project: Project) -> None:
    """A17, B4: the error is the same in each replay, and the step has run once."""
    events, result = _dropped_in_the_middle(project, "stuck")
    why = "it runs at most once, and its process ended before its end was recorded"
    assert result == ["WF713", "wfgen.errors.StepInterruptedError", why, 7, "0/stuck"]
    assert CALLS == ["stuck"]
    failed = [event for event in events if event.type == "step_failed"]
    assert [event.data["interrupted"] for event in failed] == [True]


def test_a_run_may_go_on_from_a_step_that_was_cut(project: Project) -> None:
    """A11, A17: it is an error like any other."""
    assert _dropped_in_the_middle(project, "continue")[1] == ["StepInterruptedError", 1]
    assert CALLS == ["stuck"]


@pytest.mark.parametrize(("case", "attempts"), [("conflict", 3), ("conflict of the step", 2)])
def test_several_attempts_are_refused(project: Project, case: str, attempts: int) -> None:
    """A11: a policy of the worker or of the step that has several attempts contradicts the option."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", case)
        with pytest.raises(RunFailedError, match=f"at most once, and its policy has {attempts} attempts") as caught:
            await run.result()
        assert caught.value.error_code == HandleError.code
        assert not CALLS

    project.scenario(globals(), scenario)


def test_several_attempts_are_refused_where_the_worker_is_defined() -> None:
    """A11: at once, with the worker's name and place."""
    with pytest.raises(DefinitionError, match=r"worker 'odd' \(.*\) runs at most once, and its policy has 3 attempts"):
        define_worker("odd", failing, at_most_once=True, retry=Retry(attempts=3))


@pytest.mark.parametrize(("case", "attempts"), [("default", 1), ("not after all", 3)])
def test_the_workflows_policy_is_for_steps_that_may_run_again(project: Project, case: str, attempts: int) -> None:
    """A11: it does not count for a step that runs at most once; a step may be let off its worker's word."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("flow", case)
        await engine.controls.resume_hook_json('"now"', run_id=run.id, name="go on")
        assert await run.result() == [attempts]

    project.scenario(globals(), scenario)
