"""`wfgen prebuild`: inspect the sources and bring the generated package up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from wfgen_cli import generating
from wfgen_cli.options import AsJson, Project, example, new_app

app = new_app()


@app.command(epilog=example("wfgen prebuild", "wfgen prebuild --check   # in CI: exit code 1 if it is out of date"))
def prebuild(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 on any drift.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    types_only: Annotated[bool, typer.Option("--types-only", help="Only what type checkers read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite generated files that were edited by hand.")] = False,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Write the typed client, the registry and the diagrams.

    With errors in the sources nothing is written, and the exit code is 1.
    """
    wanted = generating.Wanted(check=check, diff=diff, types_only=types_only, force=force, as_json=as_json)
    raise typer.Exit(generating.generate(project, wanted))
