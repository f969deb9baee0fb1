"""`wfgen runs`: what is recorded of runs, and asking one to stop."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.events import Event
    from wfgen.settings import Settings
    from wfgen.store.protocol import HookRecord, RunRecord, RunStatus

app = new_app(
    help="List, show and cancel runs.",
    epilog=example("wfgen runs list --status failed", "wfgen runs show RUN_ID"),
    no_args_is_help=True,
)

RunIdArgument = Annotated[str, typer.Argument(metavar="RUN_ID", show_default=False)]


class Status(Enum):
    """Where a run stands."""

    pending = "pending"
    running = "running"
    waiting = "waiting"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


@app.command("list", epilog=example("wfgen runs list --workflow greeting --status failed --json"))
def list_(
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", metavar="NAME", help="Of this workflow.")] = None,
    status: Annotated[list[Status] | None, typer.Option("--status", "-s", help="Of this status; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import run_data
    from wfgen_cli.stores import connected, missing_file

    settings = load_settings(project, engine=engine)

    async def fetch() -> list[RunRecord]:
        async with connected(settings) as store:
            wanted: list[RunStatus] | None = [one.value for one in status] if status else None
            return await store.list_runs(workflow=workflow, status=wanted, limit=limit)

    missing = missing_file(settings)
    found = [] if missing else asyncio.run(fetch())
    if as_json:
        terminal.say_json([run_data(run) for run in found])
        return
    if not found:
        terminal.note(f"No runs: {missing} does not exist yet." if missing else "No runs.")
        return
    terminal.table(
        ("RUN", "WORKFLOW", "VERSION", "STATUS", "STARTED", "TOOK"),
        ((r.run_id, r.workflow, r.version, r.status, terminal.moment(r.created_at), _took(r)) for r in found),
    )


@app.command(epilog=example("wfgen runs show run_0123456789abcdef"))
def show(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Show one run: status, input, result or error, and the hooks that it waits for."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import hook_data, run_data
    from wfgen_cli.stores import command, connected

    settings = load_settings(project, engine=engine)
    _require_store(settings, run_id)

    async def fetch() -> tuple[RunRecord, list[HookRecord]]:
        async with connected(settings) as store:
            return await store.get_run(run_id), list(await store.hooks(run_id=run_id))

    run, hooks = asyncio.run(fetch())
    data = run_data(run)
    if as_json:
        terminal.say_json({**data, "hooks": [hook_data(hook) for hook in hooks]})
        return
    rows = {
        "run": run.run_id,
        "workflow": f"{run.workflow} version {run.version}",
        "status": run.status,
        "started": terminal.moment(run.created_at),
        "finished": terminal.moment(run.finished_at),
        "claims": run.claims,
        "owner": run.owner,
        "key": run.idempotency_key,
        "input": None if run.input is None else run.input.decode(),
        "result": None if run.output is None else run.output.decode(),
        "error": None if run.error_type is None else f"{run.error_type}: {run.error}",
        "code": run.error_code,
    }
    for label, value in rows.items():
        if value is not None:
            terminal.say(f"{label:<9} {terminal.printable(value)}")
    for hook in hooks:
        due = "" if hook.due is None else f" until {terminal.moment(hook.due)}"
        resume = command("hooks", "resume", hook.token, "--input", "JSON", project=project, engine=engine)
        terminal.say(f"{'waits':<9} for hook {terminal.printable(hook.name)}{due}\n{'':<9} {resume}")


@app.command(epilog=example("wfgen runs history run_0123456789abcdef --json"))
def history(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Print all that is recorded of a run, in order."""
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import detail_of, event_data, step_of
    from wfgen_cli.stores import connected

    settings = load_settings(project, engine=engine)
    _require_store(settings, run_id)

    async def fetch() -> list[Event]:
        async with connected(settings) as store:
            return await store.history(run_id)

    events = asyncio.run(fetch())
    if as_json:
        terminal.say_json([event_data(event) for event in events])
        return
    terminal.table(
        ("SEQ", "TIME", "EVENT", "STEP", "DETAIL"),
        ((e.seq, terminal.moment(e.time), e.type, step_of(e), detail_of(e)) for e in events),
    )


@app.command(epilog=example("wfgen runs cancel run_0123456789abcdef"))
def cancel(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Ask a run to stop.

    Its code gets a CancelledError at the point where it waits, and may clean up.
    """
    from wfgen.ids import RunId
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import connected

    settings = load_settings(project, engine=engine)
    _require_store(settings, run_id)

    async def send() -> str:
        async with connected(settings) as store:
            return await store.send("cancel", run_id=RunId(run_id))

    sent = asyncio.run(send())
    if as_json:
        terminal.say_json({"run_id": run_id, "cancel": sent})
    elif sent == "duplicate":
        terminal.say(f"{run_id} was asked to stop before.")
    else:
        terminal.say(f"{run_id} is asked to stop; the process that works it carries that out.")


def _require_store(settings: Settings, run_id: str) -> None:
    from wfgen.errors import UnknownRunError
    from wfgen_cli.stores import missing_file

    missing = missing_file(settings)
    if missing is not None:
        raise UnknownRunError(
            f"there is no run {run_id!r}: the store {missing} does not exist yet.",
            hint="Check --project and --engine; `wfgen doctor` shows which store is meant.",
        )


def _took(run: RunRecord) -> str:
    from wfgen_cli.terminal import span

    return "-" if run.finished_at is None else span(run.finished_at - run.created_at)
