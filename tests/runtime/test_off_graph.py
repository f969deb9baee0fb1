"""F10: a run that asks for what the static graph of its workflow does not have."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from wfgen import Run
from wfgen.engine import Engine
from wfgen.errors import RunFailedError
from wfgen.graph import Graph, GraphStep, load_graph
from wfgen.registry import Registry

from .graphs import Source

PLAIN = """\
@define_workflow
async def order(workflow: Workflow, amount: int) -> int:
    paid = await workflow.do("pay", "shop.pay", amount)
    await workflow.sleep("pause", "1ms")
    return paid
"""
CHANGED = PLAIN.replace(
    '    await workflow.sleep("pause", "1ms")\n', '    await workflow.do("ship", "shop.ship", paid)\n'
)


async def finish(engine: Engine, data: int = 1) -> Run[Any]:
    run: Run[Any] = await engine.start_run("order", data)
    await engine.finished(run.id)
    return run


async def left(run: Run[Any]) -> list[tuple[str | None, str | None]]:
    return [(event.key, event.data.get("target")) for event in await run.history() if event.type == "left_graph"]


def test_what_the_graph_has_goes_unnoticed(tmp_path: Path) -> None:
    """F10: nothing is recorded of a run that keeps to its graph, whatever the setting."""
    source = Source(tmp_path, off_graph="error")
    source.write(PLAIN)

    async def scenario(engine: Engine) -> None:
        run = await finish(engine)
        assert await run.result() == 1
        assert await left(run) == []

    source.scenario(scenario)


def test_a_step_that_the_graph_lacks_is_recorded_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F10: with `warn` the operation is recorded and goes on; the message says that the package is older."""
    source = Source(tmp_path)
    source.write(PLAIN)
    source.write(CHANGED, prebuild=False)

    async def scenario(engine: Engine) -> None:
        run = await finish(engine, 5)
        assert await run.result() == 5
        assert await left(run) == [("0/ship", "shop.ship")]

    with caplog.at_level(logging.WARNING, "wfgen.engine"):
        source.scenario(scenario)
    (said,) = [record.getMessage() for record in caplog.records if "graph" in record.getMessage()]
    assert "does not have step 'ship' (rpc -> shop.ship) at flows.workflow.py:" in said
    assert "its source has changed since `wfgen prebuild`" in said
    assert "Run `wfgen prebuild`, and start the process anew." in said


def test_a_replay_records_nothing_anew(tmp_path: Path) -> None:
    """F10: another process that takes the run up finds the operation recorded, and its outcome too."""
    source = Source(tmp_path)
    source.write(PLAIN)
    changed = CHANGED.replace("return paid", 'await workflow.hook("go", int)\n    return paid')
    source.write(changed, prebuild=False)

    async def begin(engine: Engine) -> str:
        run: Run[Any] = await engine.start_run("order", 1)
        while not await run.waiting():
            await asyncio.sleep(0.005)
        return run.id

    async def end(engine: Engine) -> None:
        run: Run[Any] = engine.run(run_id)
        await run.hooks["go"].resume(1)
        assert await run.result() == 1
        assert await left(run) == [("0/ship", "shop.ship"), ("0/go", None)]

    run_id = source.scenario(begin)
    # What is recorded already is past, also where runs must keep to their graph now.
    source.settings = source.settings.model_copy(update={"off_graph": "error"})
    source.scenario(end)


def test_a_run_that_must_keep_to_its_graph_fails(tmp_path: Path) -> None:
    """F10: with `error` the run fails before the operation starts, whatever its code makes of the error; once the
    package is generated anew it can be retried."""
    source = Source(tmp_path, off_graph="error")
    source.write(PLAIN)
    caught = CHANGED.replace(
        '    await workflow.do("ship", "shop.ship", paid)\n',
        '    try:\n        await workflow.do("ship", "shop.ship", paid)\n    except Exception:\n        pass\n',
    )
    source.write(caught, prebuild=False)

    async def fail(engine: Engine) -> str:
        run = await finish(engine, 5)
        with pytest.raises(RunFailedError, match=r"does not have step 'ship'.*wfgen prebuild") as error:
            await run.result()
        assert error.value.error_code == "WF731"
        kept = [(event.type, event.key) for event in await run.history() if event.key]
        assert kept == [("step_completed", "0/pay")]
        return run.id

    async def again(engine: Engine) -> None:
        run: Run[Any] = engine.run(run_id)
        await run.retry()
        assert await run.result() == 5
        keys = [event.key for event in await run.history() if event.type == "step_completed"]
        assert keys == ["0/pay", "0/ship"]

    run_id = source.scenario(fail)
    source.write(caught)
    source.scenario(again)


def test_it_can_be_ignored(tmp_path: Path) -> None:
    """F10: with `ignore` the graph is not even read."""
    source = Source(tmp_path, off_graph="ignore")
    source.write(PLAIN)
    source.write(CHANGED, prebuild=False)

    async def scenario(engine: Engine) -> None:
        assert await left(await finish(engine)) == []

    source.scenario(scenario)


OPEN = {
    "a name of its own at run time": 'await workflow.do(f"pay {amount}", "shop.pay", amount, description="pays")',
    "a target chosen at run time": (
        'target = ["shop.pay", "shop.ship"][amount]\n    await workflow.do("choose", target, amount)'
    ),
    "a handle that is handed on": 'await {"f": beyond}["f"](workflow, amount)',
    "a helper": "await helper(workflow, amount)",
    "branches": 'await workflow.parallel({"a": workflow.do("a", "shop.pay", 1), "b": workflow.sleep("b", "1ms")})',
    "a lambda": 'await workflow.do("inline", lambda: 1)',
    "an undo step": 'await workflow.do("pay", "shop.pay", amount, compensate="shop.ship")\n    raise ValueError("no")',
}


@pytest.mark.parametrize("code", OPEN.values(), ids=list(OPEN))
def test_what_the_source_leaves_open_is_not_reported(tmp_path: Path, code: str) -> None:
    """F10: names, targets and code that are known at run time only, helpers and undo steps are no reason."""
    source = Source(tmp_path)
    source.write(
        f"""\
async def helper(workflow: Workflow, amount: int) -> None:
    await workflow.do("helped", "shop.pay", amount)


async def beyond(workflow, amount):
    await workflow.do("anything", "shop.pay", amount)


@define_workflow
async def order(workflow: Workflow, amount: int) -> int:
    {code}
    return 1
"""
    )

    async def scenario(engine: Engine) -> None:
        run = await finish(engine)
        assert any(event.type in ("step_completed", "timer_fired") for event in await run.history())
        assert await left(run) == []

    source.scenario(scenario)


@pytest.mark.parametrize(
    ("step", "asked", "fits"),
    [
        (("rpc", "a", "w"), ("rpc", "a", "w"), True),
        (("rpc", "a", "w"), ("rpc", "a", "other"), False),
        (("rpc", "a", "w"), ("inline", "a", None), False),
        (("rpc", "a", "w"), ("rpc", "b", "w"), False),
        (("rpc", "a", None), ("inline", "a", None), True),
        (("inline", "a", None), ("rpc", "a", "w"), True),
        (("inline", "a", None), ("sleep", "a", None), False),
        (("sleep", None, None), ("sleep", "any", None), True),
        (("call", "a", "flow"), ("start", "a", "flow"), False),
        (("call", "a", None), ("call", "a", "flow"), True),
    ],
)
def test_what_fits_a_step(step: tuple[Any, ...], asked: tuple[Any, ...], fits: bool) -> None:
    """F10: form, name and target have to be those of a step of the source, as far as it tells them."""
    graph = Graph((GraphStep(*(*step, "a.py:1")),))
    assert graph.may_have(*asked) is fits
    assert graph.may_have(*asked) is fits
    assert Graph((), is_complete=False).may_have(*asked)


def test_graphs_are_read_from_the_generated_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """F10: the graph is that of the manifest which lies in the package; without one there is none."""
    fixtures = Path(__file__).parents[2] / "fixtures"
    monkeypatch.syspath_prepend(str(fixtures / "hooks" / "expected" / "approvals"))
    graph = load_graph("wfgen_gen", "files.review", "review", "1")
    assert graph is not None
    assert (graph.steps[0].form, graph.steps[0].name) == ("hook", "decision")
    assert graph.steps[0].place == "approvals/review.workflow.py:8"
    assert graph.is_complete
    assert load_graph("wfgen_gen", "files.review", "review", "2") is None
    assert load_graph("wfgen_gen", "files.nothing", "review", "1") is None
    assert load_graph("no_such_package", "files.review", "review", "1") is None
    assert Registry("none").graph("review", "1") is None
