"""All commands as one Typer application, which finds the one that was asked for."""

from __future__ import annotations

import importlib
import os
import platform
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from wfgen_cli import __version__
from wfgen_cli.options import PlainGroup, built, new_app

COMMANDS = {
    "init": "init",
    "prebuild": "prebuild",
    "check": "check",
    "lock": "lock",
    "explain": "explain",
    "watch": "watch",
    "graph": "graph",
    "list": "listing",
    "run": "run",
    "start": "start",
    "runs": "runs",
    "hooks": "hooks",
    "jobs": "jobs",
    "worker": "worker",
    "workers": "workers",
    "keys": "keys",
    "migrate": "migrate",
    "doctor": "doctor",
}
"""Command -> its module in this package, in the order of the help."""


class LazyGroup(PlainGroup):
    """Imports the module of the command that was asked for, and no other."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Names only: what "did you mean" is drawn from.
        self.commands = {name: TyperCommand(name=name) for name in COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        module = COMMANDS.get(cmd_name)
        return None if module is None else built(importlib.import_module(f"wfgen_cli.{module}").app)

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        return list(COMMANDS)


app = new_app(
    cls=LazyGroup,
    no_args_is_help=True,
    help="Durable workflows for Python, checked before they run.",
    epilog='\b\nExample:\n  wfgen init\n  wfgen prebuild\n  wfgen run greeting --input \'{"name": "Ada"}\'',
)


def _print_version(asked: bool) -> None:
    if asked:
        from wfgen_cli import terminal

        terminal.say(f"wfgen {__version__} (Python {platform.python_version()})")
        raise typer.Exit


def _change_folder(directory: str | None) -> None:
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise typer.BadParameter(f"{directory}: {error.strerror}") from None


@app.callback()
def wfgen(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    directory: Annotated[
        str | None,
        typer.Option("-C", metavar="PATH", help="Run as if started in this folder.", callback=_change_folder),
    ] = None,
) -> None:
    pass


def run() -> int:
    """Run the command that `sys.argv` asks for; gives its exit code."""
    try:
        built(app).main(prog_name="wfgen")
    except SystemExit as end:
        if isinstance(end.code, int):
            return end.code
        return 0 if end.code is None else 2
    return 0
