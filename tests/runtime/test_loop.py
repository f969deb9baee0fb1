"""The run's own event loop, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import logging.handlers
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen import RunFailedError, Workflow, define_workflow
from wfgen.loop import RunLoop

HERE = Path(__file__)


async def _sleep() -> None:
    await asyncio.sleep(0.01)


async def _wait_for() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), 0.1)


async def _timeout() -> None:
    async with asyncio.timeout(1):
        await asyncio.Event().wait()


async def _to_thread() -> None:
    await asyncio.to_thread(print)


async def _connection() -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def _process() -> None:
    await asyncio.create_subprocess_exec("true")


async def _open() -> None:
    HERE.read_text()


async def _blocking_sleep() -> None:
    time.sleep(0)


async def _thread() -> None:
    threading.Thread(target=print).start()


async def _socket() -> None:
    with socket.socket() as s:
        s.connect(("127.0.0.1", 9))


async def _run() -> None:
    subprocess.run(["true"])


async def _unordered() -> None:
    async def helper() -> None: ...

    for future in asyncio.as_completed([helper(), helper()]):
        await future


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "asyncio.sleep": (_sleep, "workflow.sleep"),
    "asyncio.wait_for": (_wait_for, "workflow.sleep"),
    "asyncio.timeout": (_timeout, "workflow.sleep"),
    "asyncio.to_thread": (_to_thread, "workflow.do"),
    "asyncio.open_connection": (_connection, "workflow.do"),
    "asyncio.create_subprocess_exec": (_process, "workflow.do"),
    "open": (_open, "workflow.do"),
    "thread": (_thread, "workflow.do"),
    "socket": (_socket, "workflow.do"),
    "subprocess": (_run, "workflow.do"),
    "as_completed of coroutines": (_unordered, "asyncio.create_task"),
}
if sys.version_info >= (3, 13):  # earlier ones do not announce it
    REFUSED["time.sleep"] = (_blocking_sleep, "workflow.do")


@define_workflow
async def offending(workflow: Workflow, what: str) -> None:
    await REFUSED[what][0]()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", sorted(REFUSED))
def test_the_outside_world_is_refused_with_place_and_advice(project: Any, what: str) -> None:
    """Real time, input/output and threads in a workflow's body fail the run at once, naming file, line and remedy."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run("offending", what)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
        assert caught.value.error_code == "WF706"
        assert REFUSED[what][1] in caught.value.error
        assert f"{HERE}:" in caught.value.error

    project.scenario(globals(), scenario)
    gc.collect()  # what the refused call left unawaited is told here, not in a later test


@define_workflow
async def innocent(workflow: Workflow) -> str:
    import colorsys  # importing reads files

    await asyncio.sleep(0)
    logging.getLogger("innocent").warning("written to a file")
    return str(colorsys.rgb_to_hsv(0, 0, 0))


def test_imports_logging_and_yielding_are_allowed(project: Any, tmp_path: Path) -> None:
    """What Python does by itself in a body is no input or output of the workflow's."""
    handler = logging.handlers.RotatingFileHandler(tmp_path / "log", delay=True)
    logging.getLogger("innocent").addHandler(handler)
    try:

        async def scenario(engine: Any) -> None:
            assert await (await engine.start_run("innocent")).result() == "(0.0, 0.0, 0)"

        project.scenario(globals(), scenario)
        assert "written to a file" in (tmp_path / "log").read_text()
    finally:
        logging.getLogger("innocent").removeHandler(handler)
        handler.close()


@define_workflow
async def spinning(workflow: Workflow) -> None:
    while True:
        await asyncio.sleep(0)


@define_workflow
async def stuck(workflow: Workflow) -> None:
    await asyncio.Event().wait()


@define_workflow
async def leaking(workflow: Workflow) -> str:
    async def inner() -> None:
        await workflow.do("inside", lambda: 1)

    return str(await workflow.do("step in a step", inner))


@define_workflow
async def bad_name(workflow: Workflow) -> None:
    await workflow.do("two\nlines", lambda: 1)


@define_workflow
async def bad_target(workflow: Workflow) -> None:
    await workflow.do("what", 42)


@define_workflow
async def exits(workflow: Workflow) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("spinning", "without waiting"),
        ("stuck", "nothing can bring about"),
        ("leaking", "outside its workflow's own code"),
        ("bad_name", "cannot name a step"),
        ("bad_target", "neither a worker nor callable"),
        ("exits", "SystemExit"),
    ],
)
def test_what_can_never_work_fails_clearly(project: Any, name: str, words: str) -> None:
    """A workflow that spins, waits for nothing or misuses its handle fails, and the engine goes on."""

    async def scenario(engine: Any) -> None:
        run = await engine.start_run(name)
        with pytest.raises(RunFailedError, match=words):
            await run.result()
        assert await (await engine.start_run("innocent")).result()

    project.scenario(globals(), scenario)


def test_sets_of_tasks_iterate_in_order_of_creation() -> None:
    """Tasks of a run hash by number, so that a set of them has the same order in every process."""
    order: list[str] = []

    async def main() -> None:
        tasks = {asyncio.create_task(asyncio.sleep(0), name=str(n)) for n in range(20)}
        order.extend(t.get_name() for t in tasks)
        await asyncio.wait(tasks)

    loop = RunLoop(lambda: 0.0, lambda context: None)  # type: ignore[abstract]
    task = loop.create_task(main())
    loop.drive(contextlib.nullcontext(), lambda: False)
    assert task.done()
    assert order == [str(n) for n in range(20)]
