"""`wfgen start`: record a run and leave it to a worker."""

from __future__ import annotations

import asyncio

from wfgen_cli.options import AsJson, Dash, EngineUrl, Input, InputFile, Key, Name, Project, Version, example, new_app
from wfgen_cli.run_filters import Tags

app = new_app()


@app.command(epilog=example('wfgen start greeting --input \'{"name": "Ada"}\' --idempotency-key ada-1'))
def start(
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
    """Record a new run, and print its id.

    A process that works the same store (`wfgen worker`) takes it up.
    """
    from wfgen.engine import open_engine
    from wfgen.store.records import FINISHED, RunRecord
    from wfgen_cli import terminal
    from wfgen_cli.payloads import advised, read_input
    from wfgen_cli.project import load_definition, load_registry, load_settings, warn_of_changes
    from wfgen_cli.records import run_data
    from wfgen_cli.stores import note_if_idle

    text = read_input(input, input_file, dash)
    settings = load_settings(project, engine=engine)
    warn_of_changes(settings)
    registry = load_registry(settings)
    load_definition(registry, name, version)

    async def record() -> RunRecord:
        async with open_engine(registry, settings, work=False) as opened:
            with advised():
                run = await opened.start_run_json(
                    name, text, version=version, idempotency_key=idempotency_key, tags=tags or ()
                )
            return await run.info()

    started = asyncio.run(record())
    if as_json:
        terminal.say_json(run_data(started))
    else:
        terminal.say(started.run_id)
    if started.status not in FINISHED:
        note_if_idle(settings, project=project, engine=engine)
