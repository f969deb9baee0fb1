"""`wfgen list`: the workflows and workers of a project."""

from __future__ import annotations

from typing import Any

from wfgen_cli.options import AsJson, Project, example, new_app

app = new_app()


@app.command("list", epilog=example("wfgen list", "wfgen list --json"))
def list_(project: Project = None, as_json: AsJson = False) -> None:
    """List workflows and workers as the sources define them now."""
    from wfgen_cli import terminal
    from wfgen_cli.inspecting import sound_manifest
    from wfgen_cli.project import load_settings

    manifest = sound_manifest(load_settings(project))
    if as_json:
        terminal.say_json(
            {
                "schema_version": manifest.schema_version,
                "package": manifest.package,
                "output": manifest.output,
                "workflows": [_data(workflow) for workflow in manifest.workflows],
                "workers": [_data(worker) for worker in manifest.workers],
            }
        )
        return
    terminal.table(
        ("WORKFLOW", "VERSION", "INPUT", "OUTPUT", "WHERE"),
        ((w.name, w.version, w.input or "-", w.output, f"{w.file}:{w.span.line}") for w in manifest.workflows),
    )
    terminal.say("")
    terminal.table(
        ("WORKER", "DISPATCH", "INPUT", "OUTPUT", "WHERE"),
        ((w.id, w.dispatch or "-", w.input or "-", w.output, f"{w.file}:{w.span.line}") for w in manifest.workers),
    )


def _data(entry: Any) -> Any:
    return entry.model_dump(mode="json")
