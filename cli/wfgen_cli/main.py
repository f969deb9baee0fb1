"""The entry point: finds the command, runs it, and turns every failure into a line and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import platform
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from wfgen_cli import __version__
from wfgen_cli.options import built, new_app

COMMANDS = {
    "init": "init",
    "prebuild": "prebuild",
    "check": "check",
    "explain": "explain",
    "watch": "watch",
    "graph": "graph",
    "list": "listing",
    "run": "run",
    "start": "start",
    "runs": "runs",
    "hooks": "hooks",
    "worker": "worker",
    "doctor": "doctor",
}
"""Command -> its module in this package, in the order of the help."""


class LazyGroup(TyperGroup):
    """Imports the module of the command that was asked for, and no other."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Names only: what "did you mean" is drawn from.
        self.commands = {name: TyperCommand(name=name) for name in COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        module = COMMANDS.get(cmd_name)
        return None if module is None else built(importlib.import_module(f"wfgen_cli.{module}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List all commands with their first sentence."""
        commands = [(name, self.get_command(ctx, name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(formatter.width - 14)) for name, command in commands])


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


def main() -> int:
    """Run the command that `sys.argv` asks for.

    Returns:
        0: fine; 1: errors or drift were found, or a run failed; 2: bad arguments or settings, an unusable store, or
        an internal error; 130: interrupted.
    """
    if sys.stderr is None:  # closed by whoever started us: then nobody is told
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        from wfgen_cli.failures import OutputError, report

        return report(OutputError("standard output is closed"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no Unicode is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    except Exception as error:
        from wfgen_cli.failures import OutputError, report

        if isinstance(error, OSError) and _is_of_output(error):
            error = OutputError(error.strerror or str(error))
        code = report(error)
    _end_quietly()
    return code


def _run() -> int:
    try:
        built(app).main(prog_name="wfgen")
    except SystemExit as end:
        if isinstance(end.code, int):
            return end.code
        return 0 if end.code is None else 2
    return 0


def _is_of_output(error: OSError) -> bool:
    """Whether an error was raised by what writes to standard output: the innermost of the functions under way."""
    from wfgen_cli import terminal

    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    writers = (terminal.say, terminal.say_text, typer.echo, main)
    return place is not None and place.tb_frame.f_code in [writer.__code__ for writer in writers]


def _end_quietly() -> None:
    """Flush, and if whoever read our output is gone, keep the interpreter from complaining about it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
