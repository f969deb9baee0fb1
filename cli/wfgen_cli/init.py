"""`wfgen init`: a small project to begin with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from wfgen_cli.options import example, new_app

app = new_app()

NEXT_STEPS = """\
Next:{cd}
  wfgen prebuild                                    write the typed client
  wfgen run greeting --input '{{"name": "Ada"}}'      run the workflow
  python main.py                                    the same from Python
  wfgen watch                                       keep the client up to date while you edit"""


@app.command(epilog=example("mkdir shop && cd shop && wfgen init", "wfgen init shop"))
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Made if it does not exist.")] = Path("."),
) -> None:
    """Write a small project to begin with.

    It prebuilds, type-checks and runs at once. Files that exist are left as they are.
    """
    from wfgen_cli import scaffold, terminal
    from wfgen_cli.failures import ArgumentError

    name = re.sub(r"[^A-Za-z0-9]+", "-", folder.absolute().resolve().name).strip("-").lower() or "flows"
    written = 0
    for path, content in scaffold.files(f'"{name}"').items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "x", encoding="utf-8", newline="\n") as file:
                file.write(content)
        except FileExistsError:
            terminal.say(f"  exists  {path}" if target.is_file() else f"  exists  {path} (and is no file)")
            continue
        except OSError as error:
            raise ArgumentError(
                f"{target} cannot be written: {error.strerror}.", hint="Give a folder that you may write to."
            ) from None
        written += 1
        terminal.say(f"  {terminal.paint('create', 'green')}  {path}")
    terminal.note(f"{terminal.count(written, 'file')} written." if written else "Nothing to write: all files exist.")
    terminal.note(NEXT_STEPS.format(cd="" if folder == Path(".") else f"\n  cd {shlex.quote(str(folder))}"))
