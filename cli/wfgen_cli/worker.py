"""`wfgen worker`: work runs and jobs until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.events import Event
    from wfgen.ids import RunId
    from wfgen.serving import Serving
    from wfgen.shutdown import Signals
    from wfgen.store.records import RunStatus

app = new_app()

LOOK, LOOKS = 0.1, 3
"""Seconds between two looks at whether anything is left to do, and how many have to find nothing."""
SOON = 60.0
"""Seconds within which a timer or the next attempt of a step has to be due to count as something to do."""
LIMIT = 10_000
"""Unfinished runs that are looked at."""
UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting")
RELOAD_DRAIN = "2s"
"""How long steps go on when a source has changed."""


@app.command(
    epilog=example(
        "wfgen worker",
        "wfgen worker --workflows order,refund --drain-timeout 5m",
        "wfgen worker --queues 'order.*' --concurrency 4",
        "wfgen worker --until-idle --json",
        "wfgen worker --reload",
    )
)
def worker(
    workflows: Annotated[
        list[str] | None, typer.Option("--workflows", metavar="NAMES", help="Work the runs of these alone: a,b.")
    ] = None,
    workers: Annotated[
        list[str] | None, typer.Option("--workers", metavar="IDS", help="Take the jobs of these workers alone: x,y.")
    ] = None,
    queues: Annotated[
        list[str] | None,
        typer.Option("--queues", metavar="NAMES", help="Take jobs from these queues alone: 'order.charge,mail.*'."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            metavar="N",
            min=1,
            help="How many runs, and how many jobs, at once. Default: the settings.",
        ),
    ] = None,
    drain_timeout: Annotated[
        str | None,
        typer.Option(
            "--drain-timeout", metavar="TIME", help="How long steps and jobs may go on after a signal. Default: 20s."
        ),
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no run and no job can go on in the next minute.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: prebuild and start anew whenever a source changes.")
    ] = False,
    poll: Annotated[
        bool, typer.Option("--poll", help="With --reload: look once a second instead of waiting for events.")
    ] = False,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Work the runs of this project's workflows and take jobs from its queues, and print each event.

    With --workflows it takes no jobs, with --workers or --queues it works no runs, unless both are given.

    Ends on Ctrl-C and SIGTERM: nothing new begins, runs are given back, steps and jobs at work come to their end; what
    takes longer than the drain timeout is cancelled and begins again in the next worker. A second signal ends all at
    once.
    """
    from wfgen.entry_points import DRAIN
    from wfgen.shutdown import listening
    from wfgen_cli import terminal
    from wfgen_cli.failures import tell
    from wfgen_cli.logs import show_logs
    from wfgen_cli.project import load_registry, load_settings, stored_manifest, warn_of_changes
    from wfgen_cli.serving_options import serving_of, without_jobs
    from wfgen_cli.stores import place_of

    settings = load_settings(project, engine=engine)
    drain = _checked(drain_timeout or (RELOAD_DRAIN if reload else DRAIN))
    if reload:
        from wfgen_cli.failures import ArgumentError
        from wfgen_cli.reloading import keep_working

        if until_idle:
            raise ArgumentError("--reload and --until-idle exclude each other.")
        named = [("--workflows", workflows), ("--workers", workers), ("--queues", queues)]
        arguments = [word for option, names in named for name in names or () for word in (option, name)]
        arguments += [] if engine is None else ["--engine", engine]
        arguments += [] if concurrency is None else ["--concurrency", str(concurrency)]
        arguments += ["--drain-timeout", drain, *(["--json"] if as_json else [])]
        keep_working(settings, arguments, poll=poll)
        return
    warn_of_changes(settings)
    registry = load_registry(settings)
    serving = serving_of(registry, workflows, workers, queues, concurrency)
    if workers or queues:
        for message in without_jobs(stored_manifest(settings), serving):
            tell("WF610", message, severity="warning")
    show_logs(engine=logging.INFO)

    async def work() -> None:
        from wfgen.engine import open_engine

        with listening(_end_at_once) as signals:
            async with open_engine(registry, settings, observe=_teller(as_json), serving=serving) as opened:
                usable = set(serving.pairs(registry)) - set(opened.unloadable.workflows)
                what = _work_of(serving, len(usable), len(opened.jobs.workers))
                terminal.note(f"working {what} on {place_of(settings)}{'' if until_idle else '; Ctrl-C ends it'}")
                await _until(opened, signals, drain, usable if until_idle else None)

    with terminal.for_programs(as_json):
        asyncio.run(work())
    terminal.note("stopped")


def _checked(drain_timeout: str) -> str:
    from wfgen.durations import seconds
    from wfgen.errors import InvalidInputError
    from wfgen_cli.failures import ArgumentError

    try:
        seconds(drain_timeout)
    except InvalidInputError as error:
        raise ArgumentError(f"--drain-timeout: {error.message}", hint=error.hint) from None
    return drain_timeout


def _work_of(serving: Serving, workflows: int, workers: int) -> str:
    """What is worked, for people."""
    from wfgen_cli.terminal import count

    parts = [count(workflows, "workflow")] if serving.takes_runs else []
    if serving.takes_jobs and (serving.workers is not None or serving.queues is not None):
        queues = "" if serving.queues is None else f" on {', '.join(serving.queues)}"
        parts.append(f"jobs of {count(workers, 'worker')}{queues}")
    return " and ".join(parts)


async def _until(engine: Engine, signals: Signals, drain: str, idle_for: set[tuple[str, str]] | None) -> None:
    """Return when nothing is left to do for these workflows; or when a signal asks for it, and all is at rest."""
    from wfgen.shutdown import drained

    ends: list[asyncio.Task[Any]] = [asyncio.create_task(signals.first.wait())]
    if idle_for is not None:
        ends.append(asyncio.create_task(_idle(engine, idle_for)))
    done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
    if signals.first.is_set():
        _tell_of_drain(engine, drain)
        await drained(engine, drain, signals)


def _tell_of_drain(engine: Engine, drain: str) -> None:
    from wfgen_cli import terminal

    under_way = [f"{terminal.count(number, what)}" for number, what in engine.under_way if number]
    if under_way:
        terminal.note(f"stopping: {' and '.join(under_way)} at work may go on for {drain}; once more ends it at once")


def _end_at_once(number: signal.Signals) -> None:
    """Somebody asks again while steps come to their end. Nothing is lost: it is as if the process were killed."""
    from wfgen_cli import terminal

    terminal.note("ended at once; what was under way begins again in the next worker")
    sys.stdout.flush()
    os._exit(128 + number)


async def _idle(engine: Engine, workflows: set[tuple[str, str]]) -> None:
    """Return when no run of this project can go on soon: the rest is finished, waits, or is another process's."""
    quiet = 0
    while quiet < LOOKS:
        await asyncio.sleep(LOOK)
        quiet = 0 if await _is_busy(engine, workflows) else quiet + 1


async def _is_busy(engine: Engine, workflows: set[tuple[str, str]]) -> bool:
    return await _has_runs(engine, workflows) or await _has_jobs(engine)


async def _has_jobs(engine: Engine) -> bool:
    """Whether there are jobs for this process, now or soon."""
    serving = engine.serving
    if not serving.takes_jobs:
        return False
    if await engine.store.held_jobs(engine.process_id):
        return True
    due = await engine.store.next_job(engine.jobs.workers, queues=serving.queues)
    return due < engine.time() + SOON


async def _has_runs(engine: Engine, workflows: set[tuple[str, str]]) -> bool:
    from wfgen_cli.records import next_due

    if not engine.serving.takes_runs:
        return False
    for run in await engine.store.list_runs(status=UNFINISHED, limit=LIMIT):
        if (run.workflow, run.version) not in workflows or run.owner not in (None, engine.process_id):
            continue
        if engine.leaves_alone(run.run_id):
            continue
        if run.status != "waiting":
            return True
        due = next_due(await engine.store.history(run.run_id))
        if due is not None and due < engine.time() + SOON:
            return True
    return await engine.store.next_wake(workflows) <= engine.time()  # one that left memory, and has a message


def _teller(as_json: bool) -> Callable[[RunId, Event], None]:
    import json

    from wfgen_cli import terminal
    from wfgen_cli.records import event_data, line_of

    def tell(run_id: RunId, event: Event) -> None:
        if as_json:
            terminal.say(json.dumps({"run_id": run_id, **event_data(event)}, ensure_ascii=False))
        else:
            terminal.say(f"{run_id}  {line_of(event)}")

    return tell
