"""`wfgen explain`: what a code means, why it matters and how to mend it."""

from __future__ import annotations

from typing import Annotated

import typer

from wfgen_cli.options import example, new_app

app = new_app()


@app.command(epilog=example("wfgen explain WF103", "wfgen explain"))
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="[CODE]", help="Such as WF103, or a rule's name. Without it all are listed."),
    ] = None,
) -> None:
    """Explain a rule or an error code."""
    from wfgen_cli import codes, terminal

    if code is None:
        terminal.table(("CODE", "SUMMARY"), codes.summaries().items())
    else:
        terminal.say(codes.text(code).rstrip("\n"))
