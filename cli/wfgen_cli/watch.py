"""`wfgen watch`: keep the generated package up to date while sources are edited."""

from __future__ import annotations

import contextlib
import gc
import time
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.options import Project, example, new_app

if TYPE_CHECKING:
    from wfgen_cli.rebuilding import Outcome

app = new_app()

NAMED = 3
"""Changed files that a line names."""


@app.command(
    epilog=example("wfgen watch", "wfgen watch --poll   # where a container or a network drive sends no events")
)
def watch(
    poll: Annotated[bool, typer.Option("--poll", help="Look at the folders once a second instead of waiting.")] = False,
    no_types: Annotated[bool, typer.Option("--no-types", help="Leave out mypy, whose findings come later.")] = False,
    project: Project = None,
) -> None:
    """Write what changes, whenever a source changes. Ends on Ctrl-C.

    Files with errors keep the outputs that they had until they are mended; all others go on.
    """
    from wfgen_cli import terminal
    from wfgen_cli.rebuilding import Rebuilder
    from wfgen_cli.typewatching import TypeWatch
    from wfgen_cli.watching import Hints

    rebuilder = Rebuilder(project)
    with (
        Hints(rebuilder.settings, poll=poll) as hints,
        contextlib.nullcontext() if no_types else TypeWatch(lambda: hints.give("types")) as types,
    ):
        _tell(rebuilder.rebuild(), first=True)
        if types is not None:
            types.look(rebuilder)
        # What is known of a thousand files stays; walking it again and again would take a fifth of each rebuild.
        gc.freeze()
        gc.set_threshold(100_000)
        terminal.note(f"Watching {rebuilder.settings.project}; Ctrl-C ends it.")
        hints.output = rebuilder.output
        while found := hints.wait():
            if types is not None and "types" in found:
                _tell(types.news(), again="checking types again")
            if found == {"types"}:
                continue
            _tell(rebuilder.rebuild(everything="everything" in found), first=False)
            hints.output = rebuilder.output
            if types is not None:
                types.look(rebuilder)
    terminal.note("Stopped watching.")


def _tell(outcome: Outcome, *, first: bool = False, again: str = "writing again") -> None:
    from wfgen_cli import terminal

    clock = terminal.paint(time.strftime("%H:%M:%S"), "dim")
    for found in outcome.appeared:
        style = "red" if found.severity == "error" else "yellow"
        label = terminal.paint(f"{found.severity}[{found.code}]", style)
        place = f"{terminal.printable(found.file)}:{found.line}:{found.column}"
        terminal.say(f"{clock} {place}: {label} {terminal.printable(found.message)}")
    for found in outcome.mended:
        label = terminal.paint(f"mended[{found.code}]", "green")
        terminal.say(f"{clock} {terminal.printable(found.file)}: {label} {terminal.printable(found.message)}")
    if outcome.failure is not None:
        label = terminal.paint(f"error[{outcome.failure.code}]", "red")
        terminal.say(f"{clock} {label} {terminal.printable(str(outcome.failure))}")
        return
    if outcome.recovered:
        terminal.say(f"{clock} {terminal.paint('mended', 'green')} {again}")
    if outcome.changed or outcome.written or outcome.removed:
        terminal.say(f"{clock} {_names(outcome, first=first)}: {_effect(outcome)}")


def _names(outcome: Outcome, *, first: bool) -> str:
    from wfgen_cli import terminal

    if first:
        return terminal.count(len(outcome.changed), "source")
    if not outcome.changed:
        return "outputs"
    named = [f"{terminal.printable(file)} {what}" for file, what in list(outcome.changed.items())[:NAMED]]
    more = len(outcome.changed) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _effect(outcome: Outcome) -> str:
    from wfgen_cli import terminal

    parts = [f"{terminal.count(outcome.written, 'file')} written"] if outcome.written else []
    parts += [f"{outcome.removed} removed"] if outcome.removed else []
    text = ", ".join(parts) or "nothing to write"
    errors = f"; {terminal.count(outcome.errors, 'error')} left" if outcome.errors else ""
    return f"{text} in {terminal.span(outcome.seconds)}{errors}"
