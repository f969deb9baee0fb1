"""A changed workflow replayed against an old history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wfgen import RunFailedError, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

SIDE_EFFECTS: list[str] = []
HEAD = "async def flow(workflow):\n"

OLD = """\
    await workflow.do("reserve", "stock.reserve")
    await workflow.do("price", lambda factor: 7, 2)
    await workflow.sleep("pause", "1h")
"""


async def _reserve() -> None:
    SIDE_EFFECTS.append("reserve")


async def _other() -> None:
    SIDE_EFFECTS.append("other")


def _module(body: str, path: Path) -> dict[str, Any]:
    path.write_text(HEAD + body)
    module: dict[str, Any] = {"__name__": "flows"}
    exec(compile(HEAD + body, str(path), "exec"), module)
    module["define_workflow"], module["define_worker"] = define_workflow, define_worker
    module["_reserve"], module["_other"] = _reserve, _other
    exec(
        "define_workflow(flow); define_worker('stock.reserve', _reserve); define_worker('stock.other', _other)", module
    )
    return module


def _replay(tmp_path: Path, body: str, *, parked: bool = True) -> str | None:
    """Run the old code until it sleeps, then today's code on the same store; gives the error, or None."""
    settings = Settings(project=tmp_path)
    SIDE_EFFECTS.clear()

    async def work(source: str, run_id: str | None) -> tuple[str, str | None]:
        registry = Registry("none")
        registry.register(*_module(source, tmp_path / "flow.workflow.py")[NAMESPACE].values())
        async with open_engine(registry, settings) as engine, asyncio.timeout(60):
            run = engine.run(run_id) if run_id else await engine.start_run("flow")
            while (record := await run.info()).status not in ("waiting", "failed", "completed"):
                await asyncio.sleep(0.005)
            if run_id:
                await run.hooks["nobody waits for it"].resume(1)  # wakes the run, so that it is replayed
                while (record := await run.info()).epoch < 2:
                    await asyncio.sleep(0.005)
                while record.status not in ("waiting", "failed"):
                    await asyncio.sleep(0.005)
                    record = await run.info()
            if record.status == "failed":
                with pytest.raises(RunFailedError) as caught:
                    await run.result()
                return run.id, f"{caught.value.error_code} {caught.value.error}"
            return run.id, None

    run_id, error = asyncio.run(work(OLD, None))
    assert error is None
    assert SIDE_EFFECTS == ["reserve"]
    return asyncio.run(work(body, run_id))[1]


@pytest.mark.parametrize(
    ("body", "expected", "asked", "line"),
    [
        (OLD.replace('"reserve"', '"renamed"'), "step 'reserve' (rpc -> stock.reserve)", "step 'renamed'", 2),
        (
            OLD.replace("stock.reserve", "stock.other"),
            "step 'reserve' (rpc -> stock.reserve)",
            "(rpc -> stock.other)",
            2,
        ),
        (
            OLD.replace('"stock.reserve"', "lambda: 1"),
            "step 'reserve' (rpc -> stock.reserve)",
            "step 'reserve' (inline)",
            2,
        ),
        (OLD.split("\n", 1)[1], "step 'reserve'", "step 'price'", 2),
        ('    await workflow.do("new", "stock.other")\n' + OLD, "step 'reserve'", "step 'new'", 2),
        (OLD.replace('sleep("pause"', 'sleep("other pause"'), "step 'pause' (sleep)", "step 'other pause'", 4),
        ('    return "nothing"\n', "step 'reserve'", "nothing more", 1),
        (OLD.rpartition("    await")[0] + '    return "early"\n', "step 'pause' (sleep)", "nothing more", 1),
    ],
    ids=[
        "renamed",
        "another target",
        "another form",
        "removed",
        "inserted",
        "open sleep renamed",
        "returns early",
        "returns while a sleep is pending",
    ],
)
def test_a_divergence_is_told_with_both_places(tmp_path: Path, body: str, expected: str, asked: str, line: int) -> None:
    """No new step executes; the error names the expected and the asked-for step with file:line."""
    error = _replay(tmp_path, body)
    assert error is not None
    assert error.startswith("WF705 ")
    assert f"expected {expected}" in error
    assert "recorded at flow.workflow.py:" in error
    assert asked in error
    assert f"flow.workflow.py:{line}" in error.partition("asked for")[2]
    assert SIDE_EFFECTS == ["reserve"], "no new step may run"


@pytest.mark.parametrize(
    "body",
    [
        OLD,
        "    # a comment\n" + OLD.replace("lambda factor: 7", "lambda factor: 8"),
        OLD + '    await workflow.do("a new last step", lambda: 1)\n',
        OLD.replace('"1h"', '"2h"'),
        '    if workflow.patched("first"):\n        await workflow.do("new", "stock.other")\n' + OLD,
        OLD.replace(
            "    await workflow.sleep", '    if workflow.patched("x"):\n        return\n    await workflow.sleep'
        ),
    ],
    ids=["unchanged", "text and inline body", "new last step", "duration", "patched", "patched before an open sleep"],
)
def test_what_is_no_divergence(tmp_path: Path, body: str) -> None:
    """Comments, inline bodies, durations and steps after the last leave recorded runs alone."""
    assert _replay(tmp_path, body) is None
    assert SIDE_EFFECTS == ["reserve"]


def test_another_input_to_a_recorded_step_is_a_recorded_warning(tmp_path: Path) -> None:
    """The run goes on, and its history says once which step was given another input."""
    assert _replay(tmp_path, OLD.replace("7, 2)", "7, 3)")) is None

    async def history() -> list[Any]:
        async with open_engine(Registry("none"), Settings(project=tmp_path), work=False) as engine:
            (run,) = await engine.store.list_runs()
            return await engine.store.history(run.run_id)

    changed = [e for e in asyncio.run(history()) if e.type == "input_changed"]
    assert [e.key for e in changed] == ["0/price"]
    assert changed[0].data["at"] == "flow.workflow.py:3"
