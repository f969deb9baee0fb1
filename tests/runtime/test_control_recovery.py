"""Controls of runs whose processes end at any event: another one goes on, and nothing recorded is done again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wfgen import RunFailedError, Workflow, define_workflow
from wfgen.checkpoints import effective, undone
from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.events import Event
from wfgen.registry import Registry

if TYPE_CHECKING:
    from conftest import Project

DONE: list[str] = []
BROKEN: set[str] = set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    DONE.clear()
    BROKEN.clear()


def work(name: str) -> str:
    DONE.append(name)
    if name in BROKEN:
        raise ValueError(f"{name} is broken")
    return name


def undo(name: str) -> None:
    work(f"undo {name}")


@define_workflow
async def saga(workflow: Workflow) -> list[Any]:
    first = await workflow.do("a", work, "a", compensate=undo)
    pair = await asyncio.gather(*[workflow.do(name, work, name, compensate=undo) for name in "bc"])
    await workflow.sleep("nap", "1ms")
    return [first, *pair, await workflow.do("d", work, "d")]


def ends_after(project: Project, events: int) -> bool:
    """Work what there is, and end after this many recorded events; False if there were fewer."""
    registry = Registry("none")
    registry.register(*globals()[NAMESPACE].values())

    async def main() -> bool:
        left = events
        enough = asyncio.Event()

        def count(run_id: str, event: Event) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                enough.set()

        async with open_engine(registry, project.settings, observe=count) as engine, asyncio.timeout(60):
            (run,) = await engine.store.list_runs()
            ended = asyncio.ensure_future(engine.finished(run.run_id))
            stopped = asyncio.ensure_future(enough.wait())
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            reached = stopped.done()
            for one in (ended, stopped):
                one.cancel()
            return reached

    return asyncio.run(main())


def result(project: Project) -> Any:
    async def scenario(engine: Engine) -> Any:
        (run,) = await engine.store.list_runs()
        return await engine.run(run.run_id).result("60s")

    return project.scenario(globals(), scenario)


def history(project: Project) -> list[Event]:
    async def scenario(engine: Engine) -> Any:
        (run,) = await engine.store.list_runs()
        return await engine.store.history(run.run_id)

    found: list[Event] = project.scenario(globals(), scenario, work=False)
    return found


def completions(events: list[Event]) -> Counter[str]:
    return Counter(event.key or "" for event in events if event.type == "step_completed")


@pytest.mark.parametrize("compensate", [False, True])
@pytest.mark.parametrize("cut", range(1, 12))
def test_rolled_back_and_cut_off(project: Project, cut: int, compensate: bool) -> None:
    """E4, B23, D16: a rollback, undoing included, goes on in another process, and undoes each step once."""

    async def start(engine: Engine) -> None:
        run = await engine.start_run("saga")
        await run.result("60s")
        at = next(one.seq for one in await run.checkpoints() if one.name == "a")
        await run.rollback(at, compensate=compensate)
        DONE.clear()

    project.scenario(globals(), start)
    ends_after(project, cut)
    assert result(project) == ["a", "b", "c", "d"]
    events = history(project)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert max(completions(effective(events)).values()) == 1
    undo_steps = Counter({key: count for key, count in completions(events).items() if key.startswith("undo/")})
    assert undo_steps == (Counter({"undo/b": 1, "undo/c": 1}) if compensate else Counter())
    assert "a" not in DONE
    # A step caught between its end and its record may run twice; what was recorded never does.
    assert all(count <= 2 for count in Counter(DONE).values())


@define_workflow
async def plain(workflow: Workflow) -> list[Any]:
    return [await workflow.do(name, work, name) for name in "abcd"]


@pytest.mark.both_stores
@pytest.mark.parametrize("cut", range(1, 6))
def test_a_retry_is_cut_off(project: Project, cut: int) -> None:
    """E5, D16: a retried run goes on in another process wherever the first one ends."""
    BROKEN.add("b")

    async def start(engine: Engine) -> None:
        run = await engine.start_run("plain")
        with pytest.raises(RunFailedError):
            await run.result("60s")

    project.scenario(globals(), start)
    BROKEN.clear()

    async def ask(engine: Engine) -> None:
        (run,) = await engine.store.list_runs()
        await engine.run(run.run_id).retry()

    project.scenario(globals(), ask, work=False)
    ends_after(project, cut)
    assert result(project) == list("abcd")
    events = history(project)
    assert max(completions(effective(events)).values()) == 1
    assert DONE.count("a") == 1
    assert undone(events)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1])))
import test_control_recovery as here
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

left = int(sys.argv[3])

def count(run_id, event):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    registry = Registry("none")
    registry.register(*vars(here)[NAMESPACE].values())
    settings = Settings(project=Path(sys.argv[2]), engine=sys.argv[4])
    async with open_engine(registry, settings, observe=count) as engine:
        (run,) = await engine.store.list_runs()
        await engine.finished(run.run_id)

asyncio.run(main())
"""


@pytest.mark.both_stores
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_killed_while_it_undoes(project: Project, cut: int) -> None:
    """E4, D16: SIGKILL in a rollback with compensations: the next process goes on with it, and undoes nothing twice."""

    async def start(engine: Engine) -> None:
        run = await engine.start_run("saga")
        await run.result("60s")

    project.scenario(globals(), start)

    async def ask(engine: Engine) -> None:
        (run,) = await engine.store.list_runs()
        await engine.run(run.run_id).rollback(1, compensate=True)

    project.scenario(globals(), ask, work=False)
    place = [str(project.settings.project), str(cut), project.settings.engine]
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), *place]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == -signal.SIGKILL
    recorded = completions(history(project))
    DONE.clear()
    assert result(project) == ["a", "b", "c", "d"]
    assert not {f"undo {key[-1]}" for key in recorded if key.startswith("undo/")} & set(DONE)
    events = history(project)
    assert {count for key, count in completions(events).items() if key.startswith("undo/")} == {1}
