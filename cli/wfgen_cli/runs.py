"""`wfgen runs`: what is recorded of runs, and asking one to stop; other commands are in `controls` and `upkeep`."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli import controls, upkeep
from wfgen_cli.options import AsJson, EngineUrl, Project, example, new_app
from wfgen_cli.run_filters import Since, Until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wfgen.events import Event
    from wfgen.store.filters import RunFilters
    from wfgen.store.jobs import JobRecord
    from wfgen.store.records import HookRecord, RunRecord

MOST = 10_000
"""Jobs of a run that are looked at."""

app = new_app(
    help="List, show and control runs.",
    epilog=example("wfgen runs list --status failed", "wfgen runs show RUN_ID"),
    no_args_is_help=True,
)

RunIdArgument = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="As `wfgen runs list` shows it.", show_default=False)
]


class Status(Enum):
    """Where a run stands."""

    pending = "pending"
    running = "running"
    waiting = "waiting"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    paused = "paused"
    terminated = "terminated"


_STATUSES = f"Of this status: {', '.join(status.value for status in Status)}"


@app.command(
    "list",
    epilog=example(
        "wfgen runs list --workflow greeting --status failed --since 1d", "wfgen runs list --tag crm --json"
    ),
)
def list_(
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", metavar="NAME", help="Of this workflow.")] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="V", help="Of this version.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option("--status", "-s", metavar="STATUS", help=f"{_STATUSES}; repeatable.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="With this tag.")] = None,
    since: Since = None,
    until: Until = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Started with this idempotency key.")
    ] = None,
    parent: Annotated[str | None, typer.Option("--parent", metavar="RUN_ID", help="Children of this run.")] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="CODE", help="Failed with this error code.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="RUN_ID", help="The page after this run, the last of one before.")
    ] = None,
    stranded: Annotated[
        bool, typer.Option("--stranded", help="Unfinished, of a workflow or version that is not here.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="NUMBER", min=1, help="How many at most.")] = 50,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first; those that fit all options."""
    from wfgen_cli import terminal
    from wfgen_cli.failures import ArgumentError
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import run_data
    from wfgen_cli.run_filters import known_workflows, moment_of, stranded_runs
    from wfgen_cli.stores import connected, missing_store

    settings = load_settings(project, engine=engine)
    filters: RunFilters = {
        "workflow": workflow,
        "version": version,
        "status": [one.value for one in status] if status else None,
        "tag": tag,
        "since": moment_of(since, "--since"),
        "until": moment_of(until, "--until"),
        "idempotency_key": key,
        "parent": parent,
        "error_code": code,
        "before": before,
    }
    if stranded and any(value is not None for value in filters.values()):
        raise ArgumentError("--stranded goes with --limit alone.")

    async def fetch() -> Sequence[RunRecord]:
        async with connected(settings) as store:
            if stranded:
                return await stranded_runs(store, known_workflows(settings), limit)
            return await store.list_runs(limit=limit, **filters)

    missing = missing_store(settings)
    found = [] if missing else asyncio.run(fetch())
    if as_json:
        terminal.say_json([run_data(run) for run in found])
        return
    if not found:
        terminal.note(f"No runs: {missing} does not exist yet." if missing else "No runs.")
        return
    terminal.table(
        ("RUN", "WORKFLOW", "VERSION", "STATUS", "STARTED", "TOOK", "TAGS"),
        (
            (r.run_id, r.workflow, r.version, r.status, terminal.moment(r.created_at), _took(r), ", ".join(r.tags))
            for r in found
        ),
    )


@app.command(epilog=example("wfgen runs show run_0123456789abcdef"))
def show(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Show one run: status, input, result or error, its steps, and the hooks that it waits for.

    A step that has begun and recorded nothing yet is pending here.
    """
    from wfgen.step_states import step_states
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import hook_data, run_data
    from wfgen_cli.step_tables import graph_of, say_steps, step_data
    from wfgen_cli.stores import command, connected, require_store

    settings = load_settings(project, engine=engine)
    require_store(settings, run_id)

    async def fetch() -> tuple[RunRecord, list[HookRecord], list[Event], list[JobRecord]]:
        async with connected(settings) as store:
            run = await store.get_run(run_id)
            hooks, events = list(await store.hooks(run_id=run_id)), await store.history(run_id)
            return run, hooks, events, await store.list_jobs(run_id=run_id, status=("queued", "running"), limit=MOST)

    run, hooks, events, jobs = asyncio.run(fetch())
    steps = step_states(events, run.status, graph_of(settings, run.workflow, run.version))
    data = run_data(run)
    if as_json:
        listed = {"hooks": [hook_data(hook) for hook in hooks], "steps": [step_data(step) for step in steps]}
        terminal.say_json({**data, **listed})
        return
    rows = {
        "run": run.run_id,
        "workflow": f"{run.workflow} version {run.version}",
        "status": run.status,
        "started": terminal.moment(run.created_at),
        "finished": None if run.finished_at is None else terminal.moment(run.finished_at),
        "claims": run.claims,
        "owner": run.owner,
        "key": run.idempotency_key,
        "tags": ", ".join(run.tags) or None,
        "parent": run.parent,
        "input": None if run.input is None else run.input.decode(),
        "result": None if run.output is None else run.output.decode(),
        "error": None if run.error_type is None else f"{run.error_type}: {run.error}",
        "code": run.error_code,
        "reason": data["reason"],
    }
    for label, value in rows.items():
        if value is not None:
            terminal.say(f"{label:<9} {terminal.printable(value)}")
    for hook in hooks:
        due = "" if hook.due is None else f" until {terminal.moment(hook.due)}"
        resume = command("hooks", "resume", hook.token, "--input", "JSON", project=project, engine=engine)
        terminal.say(f"{'waits':<9} for hook {terminal.printable(hook.name)}{due}\n{'':<9} {resume}")
    if steps:
        terminal.say("")
        say_steps(steps, {job.job_id: job for job in jobs})


@app.command(epilog=example("wfgen runs history run_0123456789abcdef --json"))
def history(
    run_id: RunIdArgument,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Of this type, such as step_failed; repeatable.")
    ] = None,
    step: Annotated[str | None, typer.Option("--step", metavar="NAME", help="Of the steps of this name.")] = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print all that is recorded of a run, in order, or what is asked for of it.

    What was undone by a retry or a rollback is marked.
    """
    from typing import get_args

    from wfgen.events import EventType
    from wfgen.history import entries
    from wfgen.step_states import base_name
    from wfgen_cli import terminal
    from wfgen_cli.failures import ArgumentError
    from wfgen_cli.project import load_settings
    from wfgen_cli.records import detail_of, entry_data, event_data, step_of
    from wfgen_cli.stores import connected, require_store

    for one in types or ():
        if one not in get_args(EventType):
            raise ArgumentError(f"--type {one!r} is none.", hint=f"There is {', '.join(get_args(EventType))}.")
    settings = load_settings(project, engine=engine)
    require_store(settings, run_id)

    async def fetch() -> list[Event]:
        async with connected(settings) as store:
            return await store.history(run_id)

    events = asyncio.run(fetch())
    shown = [
        (event, entry)
        for event, entry in zip(events, entries(events), strict=True)
        if (not types or event.type in types)
        and (step is None or (event.key is not None and step in (entry.step, base_name(event.key))))
    ]
    if as_json:
        terminal.say_json([{**event_data(event), **entry_data(entry)} for event, entry in shown])
        return
    terminal.table(
        ("SEQ", "TIME", "EVENT", "STEP", "DETAIL"),
        (
            (e.seq, terminal.moment(e.time), e.type, step_of(e), _detail(detail_of(e), entry.is_undone))
            for e, entry in shown
        ),
    )


@app.command(epilog=example("wfgen runs cancel run_0123456789abcdef"))
def cancel(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Ask a run to stop.

    Its code gets a CancelledError at the point where it waits, and may clean up.
    """
    from wfgen.ids import RunId
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import connected, note_if_idle, require_store

    settings = load_settings(project, engine=engine)
    require_store(settings, run_id)

    async def send() -> str:
        async with connected(settings) as store:
            await store.get_run(run_id)  # refused without its key, as all else
            return await store.send("cancel", run_id=RunId(run_id))

    sent = asyncio.run(send())
    if as_json:
        terminal.say_json({"run_id": run_id, "cancel": sent})
    elif sent == "duplicate":
        terminal.say(f"{run_id} was asked to stop before.")
    else:
        terminal.say(f"{run_id} is asked to stop; the process that works it carries that out.")
        note_if_idle(settings, project=project, engine=engine)


def _detail(detail: str, is_undone: bool) -> str:
    return ": ".join(filter(None, ("undone" if is_undone else "", detail)))


def _took(run: RunRecord) -> str:
    from wfgen_cli.terminal import span

    return "-" if run.finished_at is None else span(run.finished_at - run.created_at)


controls.add_to(app)
upkeep.add_to(app)
