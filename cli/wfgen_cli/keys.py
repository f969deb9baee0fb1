"""`wfgen keys`: keys for encrypted payloads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wfgen_cli.options import AsJson, Project, example, new_app

app = new_app(
    no_args_is_help=True,
    help="Make keys for encrypted payloads, and show which there are.",
    epilog=example("wfgen keys new keys.json", "wfgen keys list"),
)


@app.command(epilog=example("wfgen keys new keys.json"))
def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to keep it; printed without.", show_default=False)
    ] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Its name. Default: today's date.")] = None,
) -> None:
    """Make a key.

    A file that has keys already gets one more, which is the active one from then on; the others stay, to open what
    they have sealed. Point the setting encryption_keys to it: `file:keys.json`, or `env:NAME` for a variable that holds
    the text.
    """
    import json
    from datetime import UTC, datetime

    from wfgen.encryption import new_key, parse_keys
    from wfgen.errors import EncryptionError
    from wfgen_cli import terminal

    ring: dict[str, Any] = {"active": None, "keys": {}}
    if file is not None and file.exists():
        text = file.read_text(encoding="utf-8")
        parse_keys(text, f"file:{file}")
        ring = json.loads(text)
    chosen = id or datetime.now(UTC).strftime("%Y-%m-%d")
    if chosen in ring["keys"]:
        raise EncryptionError(f"there is a key {chosen!r} in {file} already.", hint="Name the new one with --id.")
    ring["keys"][chosen] = new_key()
    ring["active"] = chosen
    text = json.dumps(ring)
    parse_keys(text, "the new key")  # the id may be one that cannot serve
    if file is None:
        terminal.say(text)
        return
    _write(file, text + "\n")
    terminal.say(f"{file}: key {chosen!r} is the active one of {len(ring['keys'])}. Keep it out of version control.")


@app.command("list", epilog=example("wfgen keys list"))
def list_(project: Project = None, as_json: AsJson = False) -> None:
    """Show the ids of this project's keys; the active one seals what is stored from now on."""
    from wfgen.encryption import load_keys
    from wfgen_cli import terminal
    from wfgen_cli.project import load_settings

    settings = load_settings(project)
    keys = load_keys(settings)
    data = {
        "source": settings.encryption_keys,
        "active": None if keys is None else keys.active,
        "keys": [] if keys is None else list(keys.ids),
    }
    if as_json:
        terminal.say_json(data)
    elif keys is None:
        terminal.say("Payloads are not encrypted: the setting encryption_keys is not given.")
    else:
        for key_id in keys.ids:
            terminal.say(f"{key_id} (active)" if key_id == keys.active else key_id)


def _write(file: Path, text: str) -> None:
    """Replace a file at once; nobody else may read it."""
    import os
    import tempfile

    handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")  # readable by its owner alone
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
