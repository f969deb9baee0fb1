"""`wfgen explain`: what a code means, why it matters and how to mend it."""

from __future__ import annotations

from typing import Annotated

import typer

from wfgen_cli.options import example, new_app

app = new_app()

FORMATS = ("full", "json")


@app.command(epilog=example("wfgen explain WF103", "wfgen explain", "wfgen explain --output-format json"))
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="Such as WF103, or a rule's name. Without it all are listed."),
    ] = None,
    output_format: Annotated[str, typer.Option("--output-format", metavar="FORMAT", help="full or json.")] = "full",
) -> None:
    """Explain a rule or an error code."""
    from wfgen_cli import codes, terminal
    from wfgen_cli.failures import ArgumentError

    if output_format not in FORMATS:
        raise ArgumentError(f"unknown output format {output_format!r}.", hint=f"Known formats: {', '.join(FORMATS)}.")
    if output_format == "json":
        entries = codes.entries() if code is None else [codes.entry(code)]
        terminal.say_json({"schema_version": 1, "codes": entries})
    elif code is None:
        terminal.table(("CODE", "SUMMARY"), codes.summaries().items())
    else:
        terminal.say(codes.text(code).rstrip("\n"))
