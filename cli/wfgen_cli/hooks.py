"""`wfgen hooks`: what runs wait for from outside, and sending it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfgen_cli.options import AsJson, Dash, EngineUrl, Input, InputFile, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.engine import Engine
    from wfgen.settings import Settings
    from wfgen.store.records import HookRecord

MOST = 1_000_000
"""Open hooks among which a token is looked for."""

app = new_app(
    help="List and resume hooks.",
    epilog=example("wfgen hooks list", "wfgen hooks resume TOKEN --input '{\"ok\": true}'"),
    no_args_is_help=True,
)


@app.command("list", epilog=example("wfgen hooks list --run run_0123456789abcdef --json"))
def list_(
    run: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="Of this run.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are no longer open.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 100,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """List open hooks, the oldest first."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import hook_data
    from wfgen_cli.stores import connected, missing_store

    settings = load_settings(project, engine=engine)

    async def fetch() -> list[HookRecord]:
        async with connected(settings) as store:
            if run is not None:
                await store.get_run(run)
            return list(await store.hooks(run_id=run, state=None if everything else "open", limit=limit))

    missing = missing_store(settings)
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
    token: Annotated[str | None, typer.Argument(metavar="TOKEN", help="As `wfgen hooks list` shows it.")] = None,
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

    Addressed by run and name, it is kept if the run has not got there yet, unless its workflow has no such hook.
    """
    from wfgen.engine import open_engine
    from wfgen.errors import UnknownHookError
    from wfgen_cli import terminal
    from wfgen_cli.failures import ArgumentError
    from wfgen_cli.payloads import advised, read_input
    from wfgen_cli.project import load_settings, registry_if_any
    from wfgen_cli.stores import missing_store, note_if_idle

    if token == "-" and dash is None:
        token, dash = None, "-"
    if (token is None) == (run is None) or (run is None) != (name is None):
        raise ArgumentError("it is not said which hook.", hint="Give a token, or --run and --name.")
    payload = read_input(input, input_file, dash)
    if payload is None:
        raise ArgumentError("the payload is missing.", hint="Give it with --input JSON (`null` for none).")
    settings = load_settings(project, engine=engine)
    missing = missing_store(settings)
    if missing is not None:
        raise UnknownHookError(
            f"there is no such hook: the store {missing} does not exist yet.",
            hint="Check --project and --engine; `wfgen doctor` shows which store is meant.",
        )

    registry = registry_if_any(settings)

    async def send() -> str:
        async with open_engine(registry, settings, work=False) as opened:
            if run is not None and name is not None:
                await _require_hook(opened, settings, run, name)
            kind = await _payload_type(opened, token, run, name)
            with advised():
                encoded = opened.codec.validate_json(payload, kind, "the payload of the hook")
            return await opened.controls.resume_hook(encoded, token=token, run_id=run, name=name)

    sent = asyncio.run(send())
    if as_json:
        terminal.say_json({"token": token, "run_id": run, "name": name, "resume": sent})
    elif sent == "duplicate":
        terminal.say("This hook was resumed before; nothing changes.")
    else:
        terminal.say("Sent.")
        note_if_idle(settings, project=project, engine=engine)


async def _require_hook(engine: Engine, settings: Settings, run_id: str, name: str) -> None:
    """Refuse a hook that the run can never get to, as far as the graph of its workflow can tell.

    Raises:
        UnknownHookError: there is none of that name.
        UnknownRunError: there is no such run.
    """
    from wfgen.errors import ConfigurationError, UnknownHookError
    from wfgen.manifest import Opaque, Step, walk
    from wfgen_cli.project import stored_manifest
    from wfgen_codegen.errors import StoredManifestError
    from wfgen_inspector.suggestions import did_you_mean, nearest

    run = await engine.store.get_run(run_id)
    try:
        manifest = stored_manifest(settings)
    except (ConfigurationError, StoredManifestError):
        return
    workflow = next((w for w in manifest.workflows if (w.name, w.version) == (run.workflow, run.version)), None)
    if workflow is None or name in {hook.name for hook in await engine.store.hooks(run_id=run_id)}:
        return
    nodes = list(walk(workflow.body))
    hooks = [node for node in nodes if isinstance(node, Step) and node.form in ("hook", "create_hook")]
    known = {hook.name for hook in hooks}
    if name in known or any(hook.dynamic for hook in hooks) or any(isinstance(node, Opaque) for node in nodes):
        return
    listed = f"It has {', '.join(map(repr, sorted(known)))}." if known else "It has none."
    raise UnknownHookError(
        f"workflow {run.workflow!r} version {run.version!r}, which run {run_id} works, has no hook {name!r}.",
        hint=f"{did_you_mean(nearest(name, known)) or listed} A new one is known after `wfgen prebuild`.",
    )


async def _payload_type(engine: Engine, token: str | None, run_id: str | None, name: str | None) -> Any:
    """What the generated client says of a hook, so that a payload that does not fit is refused before it is sent.

    Any where nothing is known: no generated package here, a name that is known at run time only, or a run of another
    version than the one that the client shows.

    Raises:
        UnknownRunError: there is no such run.
    """
    import importlib

    from wfgen.errors import UnknownWorkflowError
    from wfgen.ids import RunId
    from wfgen.names import identifiers

    if token is not None:
        found = [hook for hook in await engine.store.hooks(limit=MOST) if hook.token == token]
        if not found:  # it was resumed before, or never was: the store says which
            return Any
        run_id, name = found[0].run_id, found[0].name
    assert run_id is not None
    assert name is not None
    run = await engine.store.get_run(run_id)
    try:
        if engine.registry.workflow(run.workflow).version != run.version:
            return Any
    except UnknownWorkflowError:
        return Any
    client = importlib.import_module(f"{engine.registry.package}.client").Client(engine)
    for part in identifiers(run.workflow):
        client = getattr(client, part)
    hooks = client.run_class(engine, RunId(run_id)).hooks
    return getattr(hooks, name).payload_type if isinstance(getattr(type(hooks), name, None), property) else Any
