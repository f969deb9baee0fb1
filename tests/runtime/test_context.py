"""B26: what a process and a workflow make available to their code, typed, and made anew in a replay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wfgen import Job, Retry, RunInfo, RunStart, WorkerProcess, Workflow, define_worker, define_workflow
from wfgen.engine import open_engine
from wfgen.errors import ConfigurationError, DefinitionError
from wfgen.registry import Registry
from wfgen.settings import Settings


@dataclass
class Shop:
    """The dependencies of a process."""

    currency: str
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Till:
    """The context of a run."""

    shop: Shop
    run: RunInfo


@define_worker("shop.pay")
async def pay(amount: int, job: Job[Shop]) -> str:
    return f"{amount} {job.context.currency}"


@define_worker("till.number")
def number(job: Job[Till]) -> str:
    return f"{job.context.run.workflow} in {job.context.shop.currency}"


@define_workflow
async def plain(workflow: Workflow[Shop], amount: int) -> list[str]:
    paid = await workflow.do("pay", "shop.pay", amount)
    inline = await workflow.do("inline", lambda: workflow.context.currency)
    return [paid, inline, workflow.context.currency]


@define_workflow
async def without(workflow: Workflow) -> bool:
    return workflow.context is None


made: list[tuple[str, RunInfo]] = []


def make_till(shop: Shop, run: RunInfo) -> Till:
    made.append((shop.currency, run))
    return Till(shop, run)


@define_workflow(context=make_till, tags=["shop"])
async def counted(workflow: Workflow[Till]) -> list[str]:
    first = await workflow.do("number", "till.number")
    await workflow.hook("go on", str)
    return [first, workflow.context.shop.currency, await workflow.do("again", "till.number")]


@dataclass
class Visit:
    user: str
    tenant: str


@dataclass(frozen=True)
class Desk:
    """The context of a run, for whom it is."""

    shop: Shop
    user: str


def make_desk(shop: Shop, run: RunStart) -> Desk:
    return Desk(shop, f"{run.input.user}@{run.input.tenant}")


@define_worker("desk.user")
async def user(job: Job[Desk]) -> str:
    return f"{job.context.user} pays in {job.context.shop.currency}"


@define_workflow(context=make_desk)
async def visited(workflow: Workflow[Desk], visit: Visit) -> list[str]:
    first = await workflow.do("first", "desk.user")
    await workflow.hook("go on", str)
    return [first, workflow.context.user, await workflow.do("again", "desk.user")]


opened: list[str] = []


def as_function() -> Shop:
    return Shop("EUR")


async def as_coroutine() -> Shop:
    await asyncio.sleep(0)
    return Shop("EUR")


@contextlib.contextmanager
def as_manager() -> Iterator[Shop]:
    opened.append("in")
    yield Shop("EUR")
    opened.append("out")


@contextlib.asynccontextmanager
async def as_async_manager() -> AsyncIterator[Shop]:
    opened.append("in")
    yield Shop("EUR")
    await asyncio.sleep(0)
    opened.append("out")


@pytest.mark.parametrize("factory", [as_function, as_coroutine, as_manager, as_async_manager])
def test_the_dependencies_of_a_process(project: Any, factory: Callable[[], Any]) -> None:
    """B26: a factory of each kind is called once a process, for workflows, workers and inline steps, and left again."""
    opened.clear()

    async def scenario(engine: Any) -> None:
        runs = [await engine.start_run("plain", amount) for amount in (1, 2)]
        assert [await run.result() for run in runs] == [[f"{n} EUR", "EUR", "EUR"] for n in (1, 2)]
        assert "out" not in opened

    project.scenario(globals(), scenario, process=WorkerProcess(context=factory))
    assert opened == (["in", "out"] if "manager" in factory.__name__ else [])


def test_without_a_factory_there_is_no_context(project: Any) -> None:
    """It is None; and a process that works no runs makes none."""

    async def scenario(engine: Any) -> None:
        assert await (await engine.start_run("without")).result() is True

    project.scenario(globals(), scenario)
    opened.clear()

    async def client(engine: Any) -> None:
        assert engine.process.dependencies is None

    project.scenario(globals(), client, work=False, process=WorkerProcess(context=as_manager))
    assert opened == []


def test_the_context_of_a_workflow_is_made_again_in_a_replay(project: Any) -> None:
    """B26: a workflow's factory is called at each claim, with the dependencies of the process that works the run."""
    made.clear()

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("counted")
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin, process=WorkerProcess(context=lambda: Shop("EUR")))
    info = RunStart(run_id, "counted", "1", ("shop",))
    assert made == [("EUR", info)]

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert await run.result() == ["counted in EUR", "USD", "counted in USD"]

    project.scenario(globals(), finish, process=WorkerProcess(context=lambda: Shop("USD")))
    assert made == [("EUR", info), ("USD", info)]


def test_the_context_of_a_workflow_is_made_from_the_runs_input(project: Any) -> None:
    """B26: a factory is told of the run and of its input, typed as the workflow gets it, also in a replay."""

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("visited", Visit("ada", "acme"))
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin, process=WorkerProcess(context=lambda: Shop("EUR")))

    async def finish(engine: Any) -> Any:
        await engine.run(run_id).hooks["go on"].resume("now")
        return await engine.run(run_id).result()

    found = project.scenario(globals(), finish, process=WorkerProcess(context=lambda: Shop("USD")))
    assert found == ["ada@acme pays in EUR", "ada@acme", "ada@acme pays in USD"]


def test_a_process_that_cannot_be_set_up_works_nothing(project: Any) -> None:
    """What the process's factory raises ends `open_engine`, with a note that names the factory; the run waits."""

    async def start(engine: Any) -> Any:
        return (await engine.start_run("plain", 1)).id

    run_id = project.scenario(globals(), start, work=False)

    async def broken() -> Shop:
        raise OSError("no network")

    async def never(engine: Any) -> None:
        raise AssertionError("the engine is not opened")

    with pytest.raises(OSError, match="no network") as caught:
        project.scenario(globals(), never, process=WorkerProcess(context=broken))
    assert "broken of the worker process" in caught.value.__notes__[0]

    async def finish(engine: Any) -> None:
        assert await engine.run(run_id).result() == ["1 EUR", "EUR", "EUR"]

    project.scenario(globals(), finish, process=WorkerProcess(context=as_function))


def test_a_context_that_cannot_be_made_leaves_the_run_alone(
    project: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the process is no failure of the run: it is logged, and the run is taken up again after a while."""
    monkeypatch.setattr("wfgen.engine.LAST_RETRY", 0.1)

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("counted")
        while caplog.text.count("its context cannot be made by this process") < 2:
            await asyncio.sleep(0.01)
        assert (await run.info()).error is None
        return run.id

    caplog.set_level(logging.ERROR, "wfgen.engine")
    run_id = project.scenario(globals(), begin)  # without dependencies the factory fails
    assert "AttributeError" in caplog.text

    async def finish(engine: Any) -> None:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        assert (await run.result())[1] == "EUR"

    project.scenario(globals(), finish, process=WorkerProcess(context=as_function))


def test_a_context_factory_of_a_workflow_is_a_plain_function() -> None:
    """It is called whenever a run is taken up, so it may not wait for anything."""

    async def slow(shop: Shop, run: RunInfo) -> Shop:
        return shop

    with pytest.raises(DefinitionError, match=r"context factory of workflow 'bad'.*is an `async def`"):

        @define_workflow(name="bad", context=slow)
        async def bad(workflow: Workflow) -> None: ...


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("context", 3, "context=3 of the worker process is no function"),
        ("logger", logging.getLogger("mine"), r"no Logger. It needs the methods of wfgen.Logger"),
        ("metrics", print, r"no Metrics. It needs the methods of wfgen.Metrics"),
    ],
)
def test_what_a_process_cannot_use_is_refused(name: str, value: Any, message: str) -> None:
    """A wrong argument of WorkerProcess is a DefinitionError at once, not when the first run needs it."""
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(DefinitionError, match=message):
        WorkerProcess(**arguments)


def test_the_setting_names_the_process(tmp_path: Path) -> None:
    """`process = "module:attribute"` is imported from the import root when runs are worked, and not by clients."""
    (tmp_path / "pyproject.toml").write_text('[tool.wfgen]\nprocess = "kiosk.set_up:Setup.process"\n')
    (tmp_path / "kiosk").mkdir()
    (tmp_path / "kiosk" / "__init__.py").touch()
    (tmp_path / "kiosk" / "set_up.py").write_text(
        "from wfgen import WorkerProcess\n\n\nclass Setup:\n    process = WorkerProcess(context=lambda: 'set up')\n"
    )
    code = f"""
import asyncio, sys
from pathlib import Path
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

async def main():
    settings = Settings.load(Path({str(tmp_path)!r}))
    async with open_engine(Registry("none"), settings, work=False) as engine:
        print(engine.process.dependencies, "kiosk" in sys.modules)
    async with open_engine(Registry("none"), settings) as engine:
        print(engine.process.dependencies)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split("\n")[:2] == ["None False", "set up"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("json", "it is not of the form 'module:attribute'"),
        ("no_such_module:process", "no_such_module cannot be imported from .*: ModuleNotFoundError"),
        ("json:process", "json has no 'process'"),
        ("json:loads", "json:loads is a function, no WorkerProcess"),
    ],
)
def test_a_bad_setting_names_itself_and_its_place(tmp_path: Path, value: str, problem: str) -> None:
    """A process that cannot be found is a ConfigurationError with the file that names it; the store is not opened."""
    (tmp_path / "pyproject.toml").write_text(f'[tool.wfgen]\nprocess = "{value}"\n')

    async def main() -> None:
        async with open_engine(Registry("none"), Settings.load(tmp_path)):
            raise AssertionError("the engine is not opened")

    place = r"bad setting 'process' \(\[tool.wfgen\] process in .*pyproject.toml\): "
    with pytest.raises(ConfigurationError, match=place + ".*" + problem):
        asyncio.run(main())
    assert not (tmp_path / ".wfgen").exists()


@define_worker("shop.flaky", retry=Retry(attempts=2, delay="10ms"))
async def flaky(job: Job[Shop]) -> str:
    job.context.log.append(f"attempt {job.attempt}")
    if job.attempt == 1:
        raise ValueError("not yet")
    return job.context.currency


@define_workflow
async def retried(workflow: Workflow[Shop]) -> str:
    return await workflow.do("flaky", "shop.flaky")  # type: ignore[no-any-return]


def test_each_attempt_has_the_context(project: Any) -> None:
    """B26: a worker finds the same dependencies in every attempt."""
    shop = Shop("EUR")

    async def scenario(engine: Any) -> None:
        assert await (await engine.start_run("retried")).result() == "EUR"

    project.scenario(globals(), scenario, process=WorkerProcess(context=lambda: shop))
    assert shop.log == ["attempt 1", "attempt 2"]
