"""`wfgen check`: the inspector's findings, and nothing is written."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from wfgen_cli.options import Project, example, new_app

app = new_app()


@app.command(epilog=example("wfgen check", "wfgen check --strict --output-format github"))
def check(
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
    output_format: Annotated[
        str, typer.Option("--output-format", metavar="full|concise|json|github", help="How findings are printed.")
    ] = "full",
    project: Project = None,
) -> None:
    """Look for what would break, without writing anything.

    Exit code 1 when there are errors (with --strict also for warnings), else 0.
    """
    from wfgen_cli import terminal
    from wfgen_cli.inspecting import note_no_sources
    from wfgen_cli.project import load_settings
    from wfgen_inspector import inspect
    from wfgen_inspector.formats import render

    settings = load_settings(project)
    # An unknown format is refused before the work, not after it.
    render((), output_format, settings.project)
    inspection = inspect(settings)
    found = inspection.diagnostics
    text = render(found, output_format, settings.project, terminal.has_color(sys.stdout))
    if text:
        terminal.say(text.removesuffix("\n"))
    if not inspection.sources:
        note_no_sources(settings.project)
    elif not found and output_format == "full":
        terminal.note(f"No findings in {terminal.count(len(inspection.sources), 'file')}.")
    if inspection.errors or (found and (strict or settings.strict) and any(d.severity != "info" for d in found)):
        raise typer.Exit(1)
