"""`wfgen runs pause`, `resume`, `terminate`, `retry`, `rollback`, `fork` and `checkpoints`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wfgen_cli.options import AsJson, EngineUrl, Input, InputFile, Project, example

if TYPE_CHECKING:
    from wfgen.controls import Controls
    from wfgen.registry import Registry
    from wfgen.settings import Settings
    from wfgen.store.records import RunRecord

RunIdArgument = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="As `wfgen runs list` shows it.", show_default=False)
]
_RUN = "run_0123456789abcdef"


def add_to(app: typer.Typer) -> None:
    """Add these commands to `wfgen runs`."""
    app.command(epilog=example(f"wfgen runs pause {_RUN}"))(pause)
    app.command(epilog=example(f"wfgen runs resume {_RUN}"))(resume)
    app.command(epilog=example(f"wfgen runs terminate {_RUN} --reason 'a test order'"))(terminate)
    app.command(epilog=example(f"wfgen runs retry {_RUN}"))(retry)
    app.command(epilog=example(f"wfgen runs checkpoints {_RUN}"))(checkpoints)
    app.command(
        epilog=example(f"wfgen runs rollback {_RUN} --to 7", f"wfgen runs rollback {_RUN} --to 7 --compensate")
    )(rollback)
    app.command(epilog=example(f"wfgen runs fork {_RUN} --at 7", f"wfgen runs fork {_RUN} --at 7 --input '{{}}'"))(fork)


def pause(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Pause a run: nothing new begins, and steps at work end and are recorded.

    Timers and messages wait until `wfgen runs resume`.
    """
    _pause_or_resume("pause", run_id, project, engine, as_json)


def resume(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Let a paused run go on where it was."""
    _pause_or_resume("resume", run_id, project, engine, as_json)


def terminate(
    run_id: RunIdArgument,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; recorded for people.")] = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """End a run at once: its code is not asked, and nothing is undone.

    `wfgen runs cancel` asks it to stop and lets it clean up.
    """
    run = _control(run_id, project, engine, lambda controls: controls.terminate(run_id, reason))
    _say(run, "is terminated.", as_json)


def retry(run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False) -> None:
    """Run a failed run again from the step that failed it.

    What completed before that step does not run again.
    """
    run = _control(run_id, project, engine, lambda controls: controls.retry(run_id))
    _say(run, "is retried by the next process that works it.", as_json)
    _note_if_idle(project, engine)


def rollback(
    run_id: RunIdArgument,
    to: Annotated[int, typer.Option("--to", metavar="SEQ", help="The checkpoint to go back to.", show_default=False)],
    compensate: Annotated[
        bool, typer.Option("--compensate", help="First undo the steps after it with their compensations.")
    ] = False,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take a run, finished or not, back to a checkpoint; it goes on from there.

    `wfgen runs checkpoints` lists them. Without --compensate the effects of later steps stay.
    """
    run = _control(run_id, project, engine, lambda controls: controls.rollback(run_id, to, compensate=compensate))
    _say(run, f"goes back to {to}{', undoing its steps' if compensate else ''}.", as_json)
    _note_if_idle(project, engine)


def fork(
    run_id: RunIdArgument,
    at: Annotated[int, typer.Option("--at", metavar="SEQ", help="The checkpoint to begin at.", show_default=False)],
    input: Input = None,
    input_file: InputFile = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key gives the same fork.")
    ] = None,
    project: Project = None,
    engine: EngineUrl = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run with the history of another one up to a checkpoint, and print its id.

    The other run stays as it is. With an input the rest is done for that one.
    """
    from wfgen.registry import Registry
    from wfgen_cli.payloads import advised, read_input
    from wfgen_cli.project import load_registry, load_settings

    text = read_input(input, input_file, None)
    settings = load_settings(project, engine=engine)
    registry = Registry("none") if text is None else load_registry(settings)

    async def work(controls: Controls) -> str:
        with advised():
            return (await controls.fork_json(run_id, at, text, idempotency_key=idempotency_key)).id

    made = _asked(settings, registry, run_id, work)
    if as_json:
        _say(made, "", as_json)
    else:
        from wfgen_cli import terminal

        terminal.say(made.run_id)
    _note_if_idle(project, engine)


def checkpoints(
    run_id: RunIdArgument, project: Project = None, engine: EngineUrl = None, as_json: AsJson = False
) -> None:
    """List where a run can be rolled back to and forked from."""
    from dataclasses import asdict

    from wfgen.checkpoints import checkpoints as found_in
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import connected, require_store

    settings = load_settings(project, engine=engine)
    require_store(settings, run_id)

    async def fetch() -> list[Any]:
        async with connected(settings) as store:
            return found_in(await store.history(run_id), settings.checkpoints_kept)

    found = asyncio.run(fetch())
    if as_json:
        terminal.say_json([asdict(one) for one in found])
        return
    terminal.table(
        ("SEQ", "TIME", "EVENT", "STEP"),
        ((one.seq, terminal.moment(one.time), one.type, terminal.printable(one.name or "")) for one in found),
    )


def _pause_or_resume(
    kind: Literal["pause", "resume"], run_id: str, project: str | None, engine: str | None, as_json: bool
) -> None:
    from wfgen_cli import terminal

    told: list[str] = []

    async def ask(controls: Controls) -> None:
        told.append(await getattr(controls, kind)(run_id))

    run = _control(run_id, project, engine, ask)
    if as_json:
        terminal.say_json({"run_id": run_id, kind: told[0], "status": run.status})
    elif kind == "resume":
        terminal.say(f"{run_id} is not paused." if told[0] == "duplicate" else f"{run_id} goes on.")
        if told[0] != "duplicate":
            _note_if_idle(project, engine)
    elif run.status == "paused":
        terminal.say(f"{run_id} is paused.")
    else:
        terminal.say(f"{run_id} is asked to pause; it does once the steps that are at work have ended.")


def _control(
    run_id: str, project: str | None, engine: str | None, work: Callable[[Controls], Awaitable[None]]
) -> RunRecord:
    from wfgen.registry import Registry
    from wfgen_cli.project import load_settings

    async def of_the_same(controls: Controls) -> str:
        await work(controls)
        return run_id

    return _asked(load_settings(project, engine=engine), Registry("none"), run_id, of_the_same)


def _asked(
    settings: Settings, registry: Registry, run_id: str, work: Callable[[Controls], Awaitable[str]]
) -> RunRecord:
    """Do something to a run; gives the run whose id that gives."""
    from wfgen.engine import open_engine
    from wfgen_cli.stores import require_store

    require_store(settings, run_id)

    async def ask() -> RunRecord:
        async with open_engine(registry, settings, work=False) as opened:
            await opened.run(run_id).info()  # without its key nothing could be said of it afterwards
            return await opened.run(await work(opened.controls)).info()

    return asyncio.run(ask())


def _note_if_idle(project: str | None, engine: str | None) -> None:
    from wfgen_cli.project import load_settings
    from wfgen_cli.stores import note_if_idle

    note_if_idle(load_settings(project, engine=engine), project=project, engine=engine)


def _say(run: RunRecord, what: str, as_json: bool) -> None:
    from wfgen_cli import terminal
    from wfgen_cli.records import run_data

    if as_json:
        terminal.say_json(run_data(run))
    else:
        terminal.say(f"{run.run_id} {what}")
