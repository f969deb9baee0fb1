"""`wfgen hooks`: what runs wait for from outside, and sending it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.options import AsJson, Dash, EngineUrl, Input, InputFile, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.store.protocol import HookRecord

app = new_app(
    help="List and resume hooks.",
    epilog=example("wfgen hooks list", "wfgen hooks resume TOKEN --input '{\"ok\": true}'"),
    no_args_is_help=True,
)


@app.command("list", epilog=example("wfgen hooks list --run run_0123456789abcdef --json"))
def list_(
    run: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Of this run.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are no longer open.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 100,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """List open hooks, the oldest first."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import hook_data
    from wfgen_cli.stores import connected, missing_file

    settings = load_settings(project, engine=engine)

    async def fetch() -> list[HookRecord]:
        async with connected(settings) as store:
            if run is not None:
                await store.get_run(run)
            return list(await store.hooks(run_id=run, state=None if everything else "open", limit=limit))

    missing = missing_file(settings)
    found = [] if missing else asyncio.run(fetch())
    if as_json:
        terminal.say_json([hook_data(hook) for hook in found])
        return
    if not found:
        terminal.note(f"No hooks: {missing} does not exist yet." if missing else "No hooks.")
        return
    terminal.table(
        ("TOKEN", "HOOK", "STATE", "WORKFLOW", "RUN", "UNTIL"),
        ((h.token, h.name, h.state, h.workflow, h.run_id, terminal.moment(h.due)) for h in found),
    )


@app.command(
    epilog=example(
        "wfgen hooks resume TOKEN --input '{\"ok\": true}'",
        "wfgen hooks resume --run RUN_ID --name approval --input-file approval.json",
    )
)
def resume(
    token: Annotated[str | None, typer.Argument(metavar="[TOKEN]", help="As `wfgen hooks list` shows it.")] = None,
    dash: Dash = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Instead of a token, with --name.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The hook's name in the run.")] = None,
    input: Input = None,
    input_file: InputFile = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Send a hook its payload.

    Addressed by run and name, it is kept if the run has not got there yet.
    """
    from wfgen.engine import open_engine
    from wfgen.errors import UnknownHookError
    from wfgen.registry import Registry
    from wfgen_cli import terminal
    from wfgen_cli.failures import ArgumentError
    from wfgen_cli.payloads import read_input
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import missing_file

    if token == "-" and dash is None:
        token, dash = None, "-"
    if (token is None) == (run is None) or (run is None) != (name is None):
        raise ArgumentError("it is not said which hook.", hint="Give a token, or --run and --name.")
    payload = read_input(input, input_file, dash)
    if payload is None:
        raise ArgumentError("the payload is missing.", hint="Give it with --input JSON (`null` for none).")
    settings = load_settings(project, engine=engine)
    missing = missing_file(settings)
    if missing is not None:
        raise UnknownHookError(
            f"there is no such hook: the store {missing} does not exist yet.",
            hint="Check --project and --engine; `wfgen doctor` shows which store is meant.",
        )

    async def send() -> str:
        async with open_engine(Registry(""), settings, work=False) as opened:
            return await opened.resume_json(payload, token=token, run_id=run, name=name)

    sent = asyncio.run(send())
    if as_json:
        terminal.say_json({"token": token, "run_id": run, "name": name, "resume": sent})
    elif sent == "duplicate":
        terminal.say("This hook was resumed before; nothing changes.")
    else:
        terminal.say("Sent.")
