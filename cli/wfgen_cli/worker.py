"""`wfgen worker`: work runs until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.events import Event
    from wfgen.ids import RunId
    from wfgen.registry import Registry
    from wfgen.store.protocol import RunStatus

app = new_app()

LOOK, LOOKS = 0.1, 3
"""Seconds between two looks at whether anything is left to do, and how many have to find nothing."""
SOON = 60.0
"""Seconds within which a timer or the next attempt of a step has to be due to count as something to do."""
LIMIT = 10_000
"""Unfinished runs that are looked at."""
UNFINISHED: tuple[RunStatus, ...] = ("pending", "running", "waiting")


@app.command(epilog=example("wfgen worker", "wfgen worker --until-idle --json", "wfgen worker --reload"))
def worker(
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no run can go on in the next minute.")
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
    """Work the runs of this project's workflows, and print each event.

    Ends on Ctrl-C and SIGTERM: what is under way is given back, and the next worker goes on with it.
    """
    from wfgen_cli import terminal
    from wfgen_cli.logs import show_logs
    from wfgen_cli.project import load_registry, load_settings
    from wfgen_cli.stores import place_of

    settings = load_settings(project, engine=engine)
    if reload:
        from wfgen_cli.failures import ArgumentError
        from wfgen_cli.reloading import keep_working

        if until_idle:
            raise ArgumentError("--reload and --until-idle exclude each other.")
        arguments = [] if engine is None else ["--engine", engine]
        keep_working(settings, [*arguments, "--json"] if as_json else arguments, poll=poll)
        return
    registry = load_registry(settings)
    usable = _loadable(registry)
    show_logs(engine=logging.INFO)
    terminal.note(
        f"working {terminal.count(len(usable), 'workflow')} on {place_of(settings)}"
        f"{'' if until_idle else '; Ctrl-C ends it'}"
    )

    async def work() -> None:
        from wfgen.engine import open_engine

        async with open_engine(registry, settings, observe=_teller(as_json)) as opened:
            await _until(opened, usable if until_idle else None)

    with terminal.for_programs(as_json):
        asyncio.run(work())
    terminal.note("stopped")


def _loadable(registry: Registry) -> set[tuple[str, str]]:
    """Load all workflows. Those that cannot be loaded are told of, and left to a worker that can."""
    from wfgen.errors import DefinitionError
    from wfgen_cli.failures import tell
    from wfgen_cli.project import load_definition

    usable = set(registry.workflows)
    for name, version in registry.workflows:
        try:
            load_definition(registry, name, version)
        except DefinitionError as error:
            usable.discard((name, version))
            tell(error.code, error.message, error.hint)
    return usable


async def _until(engine: Engine, idle_for: set[tuple[str, str]] | None) -> None:
    """Return when a signal asks for it, or when nothing is left to do for these workflows."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    ends: list[asyncio.Task[Any]] = [asyncio.create_task(stopped.wait())]
    if idle_for is not None:
        ends.append(asyncio.create_task(_idle(engine, idle_for)))
    done, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end_at_once)
    for task in done:
        task.result()


def _end_at_once() -> None:
    """Somebody asks again while steps come to their end. Nothing is lost: it is as if the process were killed."""
    from wfgen_cli import terminal

    terminal.note("ended at once; what was under way begins again in the next worker")
    sys.stdout.flush()
    os._exit(130)


async def _idle(engine: Engine, workflows: set[tuple[str, str]]) -> None:
    """Return when no run of this project can go on soon: the rest is finished, waits, or is another process's."""
    quiet = 0
    while quiet < LOOKS:
        await asyncio.sleep(LOOK)
        quiet = 0 if await _is_busy(engine, workflows) else quiet + 1


async def _is_busy(engine: Engine, workflows: set[tuple[str, str]]) -> bool:
    from wfgen_cli.records import next_due

    for run in await engine.store.list_runs(status=UNFINISHED, limit=LIMIT):
        if (run.workflow, run.version) not in workflows or run.owner not in (None, engine.process_id):
            continue
        if engine.leaves_alone(run.run_id):
            continue
        if run.status != "waiting":
            return True
        due = next_due(await engine.store.history(run.run_id))
        if due is not None and due < time.time() + SOON:
            return True
    return await engine.store.next_wake(workflows) <= time.time()  # one that left memory, and has a message


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
