"""`wfgen run`: start a workflow and work until it is done."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from wfgen_cli.options import AsJson, Dash, EngineUrl, Input, InputFile, Key, Name, Project, Version, example, new_app
from wfgen_cli.run_filters import Tags

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.events import Event

app = new_app()

ENDINGS = frozenset({"run_completed", "run_failed", "run_cancelled"})
"""Events that the result or the error says already."""
LOOK = 0.1
"""Seconds between two looks at what has been recorded of the run."""


@app.command(
    epilog=example('wfgen run greeting --input \'{"name": "Ada"}\'', "wfgen run greeting --input-file ada.json")
)
def run(
    name: Name,
    dash: Dash = None,
    input: Input = None,
    input_file: InputFile = None,
    idempotency_key: Key = None,
    version: Version = None,
    tags: Tags = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Start a workflow and work on it until it is done.

    The result goes to stdout as JSON, progress to stderr; with --json so does what workers print. Other runs in the
    store are left alone, but for the children of this one. Exit code 1 when the run fails, is cancelled or terminated.
    A run that is interrupted is kept: `wfgen worker` goes on with it.
    """
    from wfgen.errors import RunError
    from wfgen_cli import terminal
    from wfgen_cli.logs import show_logs
    from wfgen_cli.payloads import advised, read_input
    from wfgen_cli.project import load_definition, load_registry, load_settings, warn_of_changes
    from wfgen_cli.records import run_data
    from wfgen_cli.stores import command

    text = read_input(input, input_file, dash)
    settings = load_settings(project, engine=engine)
    warn_of_changes(settings)
    registry = load_registry(settings)
    load_definition(registry, name, version, workers=True)
    show_logs(engine=logging.WARNING)
    started: list[str] = []

    async def work() -> None:
        from wfgen.engine import open_engine

        # Whoever ends the process otherwise than by Ctrl-C means the same, and asyncio knows how to end on that.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
        async with open_engine(registry, settings, work="own") as opened:
            with advised():
                run = await opened.start_run_json(
                    name, text, version=version, idempotency_key=idempotency_key, tags=tags or ()
                )
            started.append(run.id)
            terminal.note(f"run {run.id}")
            async for event in events_of(opened, run.id):
                _tell(event, project, engine)
            record = await run.info()
            if as_json:
                terminal.say_json(run_data(record))
            elif record.status == "completed":
                terminal.say_json(run_data(record)["output"])
            await run.result()

    try:
        with terminal.for_programs(as_json):
            asyncio.run(work())
    except RunError as error:
        show = command("runs", "show", error.run_id, project=project, engine=engine)
        error.hint = error.hint or f"`{show}` shows its steps."
        raise
    except KeyboardInterrupt:
        if started:
            goes_on = command("worker", project=project, engine=engine)
            terminal.note(f"\nInterrupted. Run {started[0]} is kept; `{goes_on}` goes on with it.")
        raise


async def events_of(engine: Engine, run_id: str) -> AsyncIterator[Event]:
    """All events of a run, from the first to its end, whichever process works it."""
    finished = asyncio.create_task(engine.finished(run_id))
    seen = 0
    try:
        while True:
            ended = finished.done()
            for event in await engine.store.history(run_id, after=seen):
                seen = event.seq
                yield event
            if ended:
                await finished
                return
            await asyncio.wait([finished], timeout=LOOK)
    finally:
        finished.cancel()


def _tell(event: Event, project: str | None, engine: str | None) -> None:
    from wfgen_cli import terminal
    from wfgen_cli.records import line_of
    from wfgen_cli.stores import command

    if event.type in ENDINGS:
        return
    terminal.note(f"  {line_of(event)}")
    if event.type == "hook_created":
        resume = command("hooks", "resume", str(event.data["token"]), "--input", "JSON", project=project, engine=engine)
        terminal.note(f"    resume it with: {resume}")
