"""`wfgen graph`: one workflow as a diagram or as data."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wfgen_cli.options import Project, example, new_app

if TYPE_CHECKING:
    from wfgen.manifest import Manifest, WorkflowEntry

app = new_app()


class Format(Enum):
    """What a graph is printed as."""

    mermaid = "mermaid"
    json = "json"


@app.command(epilog=example("wfgen graph greeting", "wfgen graph greeting --version 2 --format json"))
def graph(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A workflow, or a workflow@version.", show_default=False)],
    version: Annotated[
        str | None, typer.Option("--version", metavar="V", help="Of the workflow. Default: the latest.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="Mermaid text, or the tree of nodes.")] = Format.mermaid,
    project: Project = None,
) -> None:
    """Print the graph of a workflow."""
    from wfgen_cli import terminal
    from wfgen_cli.inspecting import sound_manifest
    from wfgen_cli.project import load_settings

    entry = find(sound_manifest(load_settings(project)), name, version)
    if format is Format.json:
        terminal.say_json(entry.model_dump(mode="json"))
        return
    from wfgen_codegen.mermaid import mermaid

    terminal.say(mermaid(entry).rstrip("\n"))


def find(manifest: Manifest, name: str, version: str | None) -> WorkflowEntry:
    """A workflow by name and version, or by `name@version`; the latest without a version.

    Raises:
        UnknownWorkflowError: there is none.
    """
    import difflib

    from wfgen.errors import UnknownWorkflowError
    from wfgen.names import version_key

    if version is None and "@" in name:
        name, _, version = name.partition("@")
    versions = {entry.version: entry for entry in manifest.workflows if entry.name == name}
    if not versions:
        known = sorted({entry.name for entry in manifest.workflows})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "`wfgen list` shows what there is."
        raise UnknownWorkflowError(f"there is no workflow {name!r}.", hint=hint)
    chosen = version if version is not None else max(versions, key=version_key)
    if chosen not in versions:
        known = sorted(versions, key=version_key)
        raise UnknownWorkflowError(
            f"there is no version {chosen!r} of workflow {name!r}.", hint=f"There is {', '.join(known)}."
        )
    return versions[chosen]
