"""`wfgen lock`: keep what is released, so that later changes can be compared with it."""

from __future__ import annotations

from typing import Annotated

import typer

from wfgen_cli.options import AsJson, Project, example, new_app

app = new_app()


@app.command(epilog=example("wfgen lock", "wfgen lock --check"))
def lock(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if the file would change.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Forget versions, workers and types that have gone from the sources.")
    ] = False,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Write wfgen.lock.json, with which `wfgen check` compares the sources from then on.

    Run it when workflows are released, and commit the file. Versions that have gone from the sources stay in it until
    --prune. Exit code 1 when the sources have errors: then nothing is written.
    """
    from wfgen_cli import terminal
    from wfgen_cli.failures import FOUND
    from wfgen_cli.project import load_settings
    from wfgen_inspector import inspect
    from wfgen_inspector.compatibility.classification import classify
    from wfgen_inspector.compatibility.snapshot import LOCK, locked, read, render, snapshot, write

    settings = load_settings(project)
    path = settings.project / LOCK
    before = read(path) if path.exists() else None
    inspection = inspect(settings)
    if inspection.errors:
        errors = sum(d.severity == "error" for d in inspection.diagnostics)
        terminal.note(f"Nothing is locked: the sources have {terminal.count(errors, 'error')}, see `wfgen check`.")
        raise typer.Exit(FOUND)
    today = snapshot(inspection.manifest)
    wanted = locked(today, before, prune=prune)
    differs = before is None or render(wanted) != render(before)
    written = differs and not check and write(path, wanted)
    changes = [] if before is None else [c for c in classify(before, today) if c.verdict != "unchanged"]
    if as_json:
        terminal.say_json(
            {
                "file": LOCK,
                "changed": differs,
                "written": written,
                "workflows": sorted(wanted.workflows),
                "changes": [
                    {"workflow": c.entry.name, "version": c.entry.version, "verdict": c.verdict} for c in changes
                ],
            }
        )
    elif check:
        terminal.say(f"{LOCK} is {'out of date; run `wfgen lock`' if differs else 'current'}.")
    else:
        versions = terminal.count(len(wanted.workflows), "workflow version")
        workers = terminal.count(len(wanted.workers), "worker")
        terminal.say(f"{LOCK}: {versions}, {workers}{'' if written else ', unchanged'}.")
    if check and differs:
        raise typer.Exit(FOUND)
