"""Recorded histories in files, replayed against today's code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen import DivergenceError, RunFailedError, UnknownWorkflowError, Workflow, define_worker
from wfgen.registry import Registry
from wfgen.testing import (
    TestEngine,
    TestingError,
    assert_replays,
    export_history,
    history_files,
    load_history,
    replay_history,
)

CALLS: list[int] = []


@define_worker("double")
async def double(number: int) -> int:
    CALLS.append(number)
    return number * 2


async def original(workflow: Workflow, number: int) -> int:
    chance = workflow.random().random()
    first = int(await workflow.do("first", "double", number))
    both = await asyncio.gather(
        *[workflow.do(f"branch {n} {chance}", "double", n) for n in range(2)],
    )
    await workflow.sleep("pause", "1h")
    approved = await workflow.hook("approval", bool)
    if not approved:
        raise ValueError("refused")
    return first + sum(both)


async def renamed(workflow: Workflow, number: int) -> int:
    return int(await workflow.do("other", "double", number))


async def without_the_hook(workflow: Workflow, number: int) -> int:
    chance = workflow.random().random()
    first = int(await workflow.do("first", "double", number))
    both = await asyncio.gather(
        *[workflow.do(f"branch {n} {chance}", "double", n) for n in range(2)],
    )
    await workflow.sleep("pause", "1h")
    return first + sum(both)


async def with_one_step_more(workflow: Workflow, number: int) -> int:
    result = await original(workflow, number)
    return int(await workflow.do("more", "double", result))


async def with_one_sleep_more(workflow: Workflow, number: int) -> int:
    result = await original(workflow, number)
    await workflow.sleep("more", "1h")
    return result


async def failing_at_the_end(workflow: Workflow, number: int) -> int:
    await original(workflow, number)
    raise LookupError("new")


async def patched(workflow: Workflow, number: int) -> int:
    result = await original(workflow, number)
    if workflow.patched("one step more"):
        result = int(await workflow.do("more", "double", result))
    return result


async def counting(workflow: Workflow, number: int) -> int:
    await workflow.do("count", "double", number)
    if number < 3:
        workflow.continue_as_new(number + 1)
    return number


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def definitions(function: Callable[..., Any], name: str = "order") -> Registry:
    module: dict[str, Any] = {"__name__": "today"}
    exec("from wfgen import define_workflow\ndef define(f, name): return define_workflow(f, name=name)", module)
    module["define"](function, name)
    registry = Registry("today")
    registry.collect(module)
    registry.collect(globals())
    return registry


def record(path: Path, function: Callable[..., Any] = original, *, approved: bool = True, until: str = "end") -> Path:
    """Run a workflow, or let it wait for its hook, and write its history."""

    async def scenario(wf: TestEngine) -> Path:
        run = await wf.start("order", 1)
        if until == "hook":
            await wf.until_waiting(run)
        else:
            if function is original:
                wf.answer("approval", approved)
            try:
                await run.result()
            except Exception:
                assert not approved
        return await export_history(run, path)

    return TestEngine(definitions(function)).run_scenario(scenario)


@pytest.mark.parametrize("until", ["end", "hook"])
@pytest.mark.parametrize("function", [original])
def test_a_history_replays_against_the_same_code(tmp_path: Path, function: Any, until: str) -> None:
    """A21: branches, random values, timers and hooks come back as recorded, and no step runs."""
    path = record(tmp_path / "history.json", until=until)
    CALLS.clear()
    replay_history(path, definitions(function))
    assert CALLS == []


def test_a_failed_run_replays(tmp_path: Path) -> None:
    """A21: a run that failed has to fail again."""
    replay_history(record(tmp_path / "h.json", approved=False), definitions(original))


def test_a_run_that_continued_replays_part_by_part(tmp_path: Path) -> None:
    """A21: each part of a run that continues as new is replayed with its own input."""
    path = record(tmp_path / "h.json", counting)
    assert [e.type for e in load_history(path).events].count("run_continued") == 2
    replay_history(path, definitions(counting))

    async def other(workflow: Workflow, number: int) -> int:
        await workflow.do("count" if number < 3 else "last", "double", number)
        if number < 3:
            workflow.continue_as_new(number + 1)
        return number

    with pytest.raises(DivergenceError, match="'last'"):
        replay_history(path, definitions(other))


@pytest.mark.parametrize(
    ("function", "until", "message"),
    [
        (renamed, "end", "expected step 'first' .* asked for: step 'other'"),
        (renamed, "hook", "expected step 'first' .* asked for: step 'other'"),
        (without_the_hook, "end", "expected step 'approval'"),
        (without_the_hook, "hook", "expected step 'approval'"),
        (with_one_step_more, "end", "was recorded as completed; today's code goes on with step 'more'"),
        (with_one_sleep_more, "end", "was recorded as completed; today's code waits for something else first"),
        (failing_at_the_end, "end", "recorded as completed; today's code would have it failed: LookupError: new"),
    ],
)
def test_changed_code_diverges(tmp_path: Path, function: Any, until: str, message: str) -> None:
    """A21: each way in which code leaves a history is found, with both steps and their places."""
    path = record(tmp_path / "h.json", until=until)
    CALLS.clear()
    with pytest.raises(DivergenceError, match=message) as caught:
        replay_history(path, definitions(function))
    assert str(path) in caught.value.message
    assert "workflow.patched" in (caught.value.hint or "")
    assert CALLS == []


@pytest.mark.parametrize("function", [with_one_step_more, patched])
def test_a_run_in_flight_may_do_new_things_behind_its_record(tmp_path: Path, function: Any) -> None:
    """A21: what comes after the last recorded event is no divergence for a run that is not finished."""
    replay_history(record(tmp_path / "h.json", until="hook"), definitions(function))


def test_a_version_that_is_gone_is_named(tmp_path: Path) -> None:
    """A21: a history of a workflow that is not there any more cannot replay."""
    path = record(tmp_path / "h.json")
    with pytest.raises(UnknownWorkflowError, match="no workflow 'order'"):
        replay_history(path, definitions(original, name="another"))


def test_a_folder_of_histories(tmp_path: Path) -> None:
    """A21: a folder replays as a whole, and each that does not is listed."""
    for number in range(3):
        record(tmp_path / "histories" / f"{number}.json", until="hook" if number == 2 else "end")
    folder = tmp_path / "histories"
    assert [path.name for path in history_files(folder)] == ["0.json", "1.json", "2.json"]
    assert assert_replays(folder, definitions(original)) == 3
    with pytest.raises(DivergenceError, match=r"2 of 3 histories .* do not replay:\n  0\.json: (.|\n)*1\.json: "):
        assert_replays(folder, definitions(with_one_step_more))


def test_a_folder_without_histories_fails(tmp_path: Path) -> None:
    """A21: a test over no files would pass for nothing."""
    with pytest.raises(TestingError, match="no history in"):
        assert_replays(tmp_path, definitions(original))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": {}, "events": [1]}', '{"events": 3, "run": {}}'])
def test_a_file_that_holds_no_history(tmp_path: Path, text: str) -> None:
    """A21: bad input is named with its file and with how to write a good one."""
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(TestingError, match=r"bad\.json holds no history: .* export_history"):
        replay_history(path, definitions(original))


def test_what_the_command_line_prints_is_a_history(tmp_path: Path) -> None:
    """A21: the JSON of `wfgen runs history` replays as well."""
    from wfgen_cli.records import event_data

    history = load_history(record(tmp_path / "h.json", counting))
    printed = tmp_path / "printed.json"
    printed.write_text(json.dumps([event_data(event) for event in history.events]))
    replay_history(printed, definitions(counting))
    with pytest.raises(DivergenceError):
        replay_history(printed, definitions(renamed))


async def child(workflow: Workflow, number: int) -> int:
    return int(await workflow.do("double", "double", number))


@pytest.mark.parametrize("undo", ["double", None])
def test_children_compensations_and_retried_runs_replay(tmp_path: Path, undo: str | None) -> None:
    """A21: a run that called another one, failed, and undid its steps or was retried replays by what counts of it."""

    async def family(workflow: Workflow, number: int) -> int:
        first = int(await workflow.call("child", "child", number))
        await workflow.do("twice", "double", first, compensate=undo)
        return int(await workflow.do("last", "double", first))

    registry = definitions(family)
    registry.register(definitions(child, "child").workflow("child"))

    async def scenario(wf: TestEngine) -> Path:
        wf.mock("double", outcomes=[1, 1, ConnectionError("once"), 4])
        run = await wf.start("order", 1)
        with pytest.raises(RunFailedError, match="once"):
            await run.result()
        if undo is None:
            await run.retry()
            assert await run.result() == 4
        return await export_history(run, tmp_path / "history.json")

    path = TestEngine(registry, replay="always").run_scenario(scenario)
    types = [event.type for event in load_history(path).events]
    assert ("compensation_started" in types, "run_retried" in types) == (undo is not None, undo is None)
    replay_history(path, registry)
    assert CALLS == []
