"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup

PLAIN = frozenset({"directory", "project", "engine", "help"})
"""Options whose value is used as it was typed."""
HELP_NAMES = ["-h", "--help"]
_WHOLE = 1_000
"""Characters of a sentence that is not cut."""

Project = Annotated[
    str | None,
    typer.Option("--project", metavar="PATH", help="Folder of the project. Default: the one around this folder."),
]
EngineUrl = Annotated[
    str | None, typer.Option("--engine", metavar="URL", help="The engine, instead of the setting `engine`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A workflow.", show_default=False)]
Version = Annotated[str | None, typer.Option("--version", metavar="V", help="Of the workflow. Default: the latest.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key gives the same run.")]
Input = Annotated[str | None, typer.Option("--input", "-i", metavar="JSON", help="The input as JSON; `-` reads stdin.")]
InputFile = Annotated[
    str | None, typer.Option("--input-file", metavar="FILE", help="A file that holds the input as JSON; `-` is stdin.")
]
Dash = Annotated[str | None, typer.Argument(metavar="-", help="Read the input from stdin.", show_default=False)]


def new_app(**attributes: Any) -> typer.Typer:
    """A Typer application with plain help, which costs nothing to load and reads well in a pipe."""
    attributes.setdefault("cls", PlainGroup)
    return _Application(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": HELP_NAMES},
        **attributes,
    )


class PlainGroup(TyperGroup):
    """Commands whose first sentences are listed whole."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List all commands with their first sentence."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in commands if command])


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under the headings that they name as `rich_help_panel`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the command's name: `RUN_ID` for what is required, `[FILE]` for what is not."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the arguments, then the options, group by group in the order of their first one."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if isinstance(parameter, TyperArgument):  # without the type, which the metavar tells
                groups.setdefault("Arguments", []).append((record[0].partition(" <")[0], record[1]))
            else:
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class _Application(typer.Typer):
    """One whose commands have the help of GroupedCommand."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any) -> Any:
        return super().command(name, cls=cls or GroupedCommand, **options)


def built(app: typer.Typer) -> Any:
    """Make the command of an application.

    Typer loads pydantic to turn an option's text into a value, which takes longer than all else that an idle prebuild
    does. Where the text is the value, that is left out.
    """
    command = typer.main.get_command(app)
    for one in (command, *getattr(command, "commands", {}).values()):
        context = typer.Context(one, help_option_names=HELP_NAMES)
        for parameter in one.get_params(context):
            if parameter.name in PLAIN:
                setattr(parameter, "process_value", _taker(parameter))  # noqa: B010
    return command


def _taker(parameter: Any) -> Callable[[Any, Any], Any]:
    def take(context: Any, value: Any) -> Any:
        return value if parameter.callback is None else parameter.callback(context, parameter, value)

    return take


def example(*lines: str) -> str:
    """The end of a command's help: command lines that can be copied."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
