"""B25: what runs and steps log, where it goes, and that a replay does not say it again."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger, capture_logs

from wfgen import Job, Logger, StandardLogger, StructlogLogger, WorkerProcess, Workflow, define_worker, define_workflow
from wfgen.logs import TRACE


class Kept:
    """A logger of an application: keeps lines."""

    def __init__(self, lines: list[tuple[str, str, dict[str, Any]]], bound: dict[str, Any] | None = None) -> None:
        self.lines = lines
        self.bound = bound or {}

    def _keep(self, level: str, message: str, args: tuple[Any, ...], metadata: dict[str, Any]) -> None:
        self.lines.append((level, message % args if args else message, {**self.bound, **metadata}))

    def trace(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._keep("trace", message, args, metadata)

    def debug(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._keep("debug", message, args, metadata)

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._keep("info", message, args, metadata)

    def warning(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._keep("warning", message, args, metadata)

    def error(self, message: str, /, *args: Any, **metadata: Any) -> None:
        self._keep("error", message, args, metadata)

    def child(self, **bound: Any) -> Kept:
        return Kept(self.lines, {**self.bound, **bound})


@define_worker("charge")
def charge(amount: int, job: Job) -> int:
    job.log.info("charging %d", amount, currency="EUR")
    return amount


@define_workflow(version="3")
async def talking(workflow: Workflow, amount: int) -> int:
    log = workflow.log.child(amount=amount)
    log.trace("begins")
    log.debug("in %s", "detail")
    await workflow.do("charge", "charge", amount)
    log.info("charged", name="any")
    workflow.log.warning("waits")
    await workflow.hook("go on", str)
    log.error("goes on")
    workflow.log.info("ends")
    return amount


def talk(project: Any, process: WorkerProcess | None) -> tuple[str, int]:
    """Run `talking` with a replay in the middle; its id, and a number of steps that were worked."""

    async def begin(engine: Any) -> Any:
        run = await engine.start_run("talking", 3)
        while not await run.waiting():
            await asyncio.sleep(0.01)
        return run.id

    run_id = project.scenario(globals(), begin, process=process)

    async def finish(engine: Any) -> Any:
        run = engine.run(run_id)
        await run.hooks["go on"].resume("now")
        return await run.result()

    return run_id, project.scenario(globals(), finish, process=process)


def test_a_logger_of_the_application(project: Any) -> None:
    """B25: each line is logged once, with the ids of run and step, and what a child has bound; replays are silent."""
    lines: list[tuple[str, str, dict[str, Any]]] = []
    assert isinstance(Kept(lines), Logger)
    run_id, _ = talk(project, WorkerProcess(logger=Kept(lines)))
    run = {"run_id": run_id, "workflow": "talking", "version": "3"}
    bound = {**run, "amount": 3}
    assert lines == [
        ("trace", "begins", bound),
        ("debug", "in detail", bound),
        ("info", "charging 3", {**run, "step": "charge", "attempt": 1, "currency": "EUR"}),
        ("info", "charged", {**bound, "name": "any"}),
        ("warning", "waits", run),
        ("error", "goes on", bound),
        ("info", "ends", run),
    ]


def test_standard_logging(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    """B25: by default lines go to `wfgen.run.<workflow>`, with ids as attributes and other metadata in the text."""
    caplog.set_level(TRACE, "wfgen.run.talking")
    run_id, _ = talk(project, None)
    records = [record for record in caplog.records if record.name == "wfgen.run.talking"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("TRACE", "begins amount=3"),
        ("DEBUG", "in detail amount=3"),
        ("INFO", "charging 3 currency='EUR'"),
        ("INFO", "charged amount=3 name='any'"),
        ("WARNING", "waits"),
        ("ERROR", "goes on amount=3"),
        ("INFO", "ends"),
    ]
    shown = logging.Formatter("%(run_id)s %(workflow)s %(version)s %(filename)s:%(funcName)s")
    assert {shown.format(r) for r in records if r.funcName == "talking"} == {
        f"{run_id} talking 3 test_logging.py:talking"
    }
    step = records[2]
    assert (step.funcName, vars(step)["step"], vars(step)["attempt"]) == ("charge", "charge", 1)
    assert vars(records[3])["name_"] == "any"


def test_standard_logging_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Percent signs, exceptions and `extra` work as in `logging`; a level that is off costs no formatting."""
    caplog.set_level(logging.INFO, "here")
    log = StandardLogger("here").child(rate="50%")
    log.info("100% done")
    log.info("%d%% done", 90)
    log.info("%(a)s", {"a": "by name"})
    try:
        raise ValueError("no")
    except ValueError:
        log.error("failed", exc_info=True, extra={"more": 1})

    class Refusing:
        def __repr__(self) -> str:
            raise AssertionError("not formatted")

    log.debug("unseen", what=Refusing())
    assert [record.getMessage() for record in caplog.records] == [
        "100% done rate='50%'",
        "90% done rate='50%'",
        "by name rate='50%'",
        "failed rate='50%'",
    ]
    assert caplog.records[3].exc_info is not None
    assert vars(caplog.records[3])["more"] == 1
    assert {(r.funcName, Path(r.pathname).name) for r in caplog.records} == {
        ("test_standard_logging_by_itself", "test_logging.py")
    }


def test_structlog(project: Any) -> None:
    """B25: with `StructlogLogger` lines go to structlog, ids and metadata as keys."""
    with capture_logs() as lines:
        run_id, _ = talk(project, WorkerProcess(logger=StructlogLogger()))
    run = {"run_id": run_id, "workflow": "talking", "version": "3"}
    bound = {**run, "amount": 3}
    assert lines == [
        {"event": "begins", "log_level": "debug", "trace": True, **bound},
        {"event": "in detail", "log_level": "debug", **bound},
        {"event": "charging 3", "log_level": "info", "step": "charge", "attempt": 1, "currency": "EUR", **run},
        {"event": "charged", "log_level": "info", "name": "any", **bound},
        {"event": "waits", "log_level": "warning", **run},
        {"event": "goes on", "log_level": "error", **bound},
        {"event": "ends", "log_level": "info", **run},
    ]


def test_structlog_with_a_logger_of_its_own() -> None:
    """A given structlog logger is used; metadata may be called as structlog calls its message."""
    kept = CapturingLogger()
    given = structlog.wrap_logger(kept, processors=[], wrapper_class=structlog.BoundLogger)
    log = StructlogLogger(given).child(event="bound")
    assert isinstance(log, Logger)
    log.info("said", event="given")
    ((name, args, keywords),) = kept.calls
    assert (name, args, keywords) == ("info", (), {"event": "said", "event_": "given"})


def test_structlog_is_optional() -> None:
    """wfgen loads without structlog, and says what is missing only to who asks for it."""
    code = """
import sys
sys.modules["structlog"] = None
import wfgen
import wfgen.engine
wfgen.StandardLogger().info("fine")
try:
    wfgen.StructlogLogger()
except ImportError:
    print("missing")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "missing\n"


class Failing(Kept):
    """Cannot write."""

    def _keep(self, level: str, message: str, args: tuple[Any, ...], metadata: dict[str, Any]) -> None:
        raise OSError(f"{message} cannot be written")

    def child(self, **bound: Any) -> Failing:
        return self


def test_a_logger_that_fails_fails_no_run(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a logger raises goes to the engine's log: neither the run nor its steps depend on it."""
    talk(project, WorkerProcess(logger=Failing([])))
    assert caplog.text.count("a line of a run could not be logged") == 7
    assert "OSError: charging %d cannot be written" in caplog.text


class Filing(Kept):
    """Opens a file for each line, as a handler does that turns files over."""

    path: Path

    def info(self, message: str, /, *args: Any, **metadata: Any) -> None:
        with open(self.path, "a") as file:
            file.write(message + "\n")

    def child(self, **bound: Any) -> Filing:
        return self


def test_a_logger_may_write_files(project: Any, tmp_path: Path) -> None:
    """What a logger does is the process's own matter: it is no input or output of the workflow's code."""
    logger = Filing([])
    logger.path = tmp_path / "log.txt"
    talk(project, WorkerProcess(logger=logger))
    assert logger.path.read_text().splitlines() == ["charging %d", "charged", "ends"]
