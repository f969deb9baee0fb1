"""`wfgen prebuild`: inspect the sources and bring the generated package up to date."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfgen_cli import freshness, terminal
from wfgen_cli.inspecting import note_no_sources
from wfgen_cli.options import AsJson, Project, example, new_app

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_codegen import Plan
    from wfgen_inspector import Inspection

app = new_app()

WORDS = {"create": "written", "update": "written", "unchanged": "unchanged", "delete": "removed"}
DRIFT = {
    "create": ("WF601", "is missing"),
    "update": ("WF601", "is out of date"),
    "edited": ("WF602", "was edited by hand, or is not wfgen's"),
    "delete": ("WF603", "belongs to no source any more"),
}
"""What `--check` says about a file that would change."""


@app.command(epilog=example("wfgen prebuild", "wfgen prebuild --check   # in CI: exit code 1 if it is out of date"))
def prebuild(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 on any drift.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    types_only: Annotated[bool, typer.Option("--types-only", help="Only what type checkers read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite generated files that were edited by hand.")] = False,
    project: Project = None,
    as_json: AsJson = False,
) -> None:
    """Write the typed client, the registry and the diagrams.

    With errors in the sources nothing is written, and the exit code is 1.
    """
    if not (check or diff or force):
        memory = freshness.recall(Path(project or "."), types_only=types_only)
        if memory is not None:
            _tell(memory.answer, memory.project, as_json=as_json)
            return
    raise typer.Exit(_prebuild(project, check=check, diff=diff, types_only=types_only, force=force, as_json=as_json))


def _prebuild(folder: str | None, *, check: bool, diff: bool, types_only: bool, force: bool, as_json: bool) -> int:
    from wfgen_cli.failures import FOUND
    from wfgen_cli.project import load_settings
    from wfgen_codegen import plan, render
    from wfgen_inspector import inspect
    from wfgen_inspector.discovery import discover

    settings = load_settings(folder)
    output = settings.project / discover(settings).output
    memory = _snapshot(settings, output)
    inspection = inspect(settings)
    if has_failed(settings, inspection):
        freshness.forget(settings.project)
        _tell(_answer(settings, inspection, None, written=False), settings.project, as_json=as_json)
        return FOUND
    planned = plan(render(inspection.manifest, settings, types_only=types_only), output)
    answer = _answer(settings, inspection, planned, written=not (check or diff))
    if diff and not as_json:
        terminal.say_text(planned.diff())
        return FOUND if planned.drift else 0
    if check or diff:
        _tell(answer, settings.project, as_json=as_json)
        return FOUND if planned.drift else 0
    planned.apply(force=force)
    _tell(answer, settings.project, as_json=as_json)
    _warn_of_old_package(settings, output)
    freshness.remember(replace(memory, answer=_settled(answer)), types_only=types_only)
    return 0


def has_failed(settings: Settings, inspection: Inspection) -> bool:
    """Whether the findings are such that nothing is to be written."""
    if inspection.errors:
        return True
    return settings.strict and any(d.severity == "warning" for d in inspection.diagnostics)


def _snapshot(settings: Settings, output: Path) -> freshness.Memory:
    """How the inputs look before they are read."""
    root = settings.import_root
    roots = [settings.project] if root.is_relative_to(settings.project) else [settings.project, root]
    templates = None if settings.templates is None else os.path.normpath(settings.project / settings.templates)
    folders = tuple(map(os.path.normpath, roots))
    place = os.path.normpath(output)
    looks = freshness.inputs(settings.project, folders, place, templates)
    time.sleep(freshness.TICK)
    return freshness.Memory(settings.project, folders, place, templates, looks, "", {})


def _warn_of_old_package(settings: Settings, output: Path) -> None:
    """A package that was generated elsewhere before, such as when sources lay in one folder only, stays importable."""
    from wfgen_cli.failures import tell

    before = freshness.last_output(settings.project)
    if before is not None and before != output and (before / "registry.py").exists():
        hint = f'Import from the new one and remove the old one, or set output = "{_relative(before, settings)}".'
        tell("WF603", f"the generated package is in {output} now; {before} is out of date.", hint, severity="warning")


def _relative(folder: Path, settings: Settings) -> str:
    return folder.relative_to(settings.project).as_posix() if folder.is_relative_to(settings.project) else str(folder)


def _answer(settings: Settings, inspection: Inspection, planned: Plan | None, *, written: bool) -> dict[str, Any]:
    """What is told of a prebuild: for programs as it is, for people the texts in it."""
    from wfgen_inspector.formats import render
    from wfgen_inspector.formats.json import as_data

    changes = () if planned is None else planned.changes
    actions = [(change, "kept" if change.action == "delete" and change.edited else change.action) for change in changes]
    return {
        "schema_version": 1,
        "package": inspection.manifest.package,
        "output": inspection.manifest.output,
        "sources": len(inspection.sources),
        "workflows": len(inspection.manifest.workflows),
        "workers": len(inspection.manifest.workers),
        "failed": planned is None,
        "written": written,
        "counts": Counter(WORDS.get(action, action) for _, action in actions),
        "changes": [
            {"path": change.path, "action": action, "edited": change.edited}
            for change, action in actions
            if action != "unchanged"
        ],
        "diagnostics": [as_data(d) for d in inspection.diagnostics],
        "text": [render(inspection.diagnostics, "full", settings.project, color) for color in (False, True)],
    }


def _settled(answer: dict[str, Any]) -> dict[str, Any]:
    """What the next prebuild tells if nothing changes until then."""
    counts = answer["counts"]
    unchanged = counts["unchanged"] + counts["written"]
    return {
        **answer,
        "counts": {"unchanged": unchanged, "kept": counts["kept"]},
        "changes": [change for change in answer["changes"] if change["action"] == "kept"],
    }


def _tell(answer: dict[str, Any], project: Path, *, as_json: bool) -> None:
    if not answer["sources"]:
        note_no_sources(project)
    if as_json:
        terminal.say_json({key: value for key, value in answer.items() if key != "text"})
        return
    plain, colored = answer["text"]
    if plain:
        terminal.say((colored if terminal.has_color(sys.stdout) else plain).rstrip("\n"))
    if answer["failed"]:
        terminal.note("Nothing is written while there are errors.")
        return
    for change in answer["changes"]:
        path, action = f"{answer['output']}/{change['path']}", change["action"]
        if action == "kept":
            terminal.note(f"{path} was edited by hand and is kept, though no source needs it any more.")
        elif not answer["written"]:
            code, what = DRIFT["edited" if change["edited"] else action]
            terminal.say(f"{path}: {terminal.paint(f'error[{code}]', 'red')} {what}")
    found = f"{terminal.count(answer['workflows'], 'workflow')}, {terminal.count(answer['workers'], 'worker')}"
    terminal.say(f"{found}: {_summary(answer)}")


def _summary(answer: dict[str, Any]) -> str:
    counts = Counter(answer["counts"])
    if not answer["written"]:
        stale = counts["written"] + counts["removed"]
        if stale:
            return f"{terminal.count(stale, 'file')} out of date, run `wfgen prebuild`"
        return f"{terminal.count(counts['unchanged'], 'file')} up to date"
    parts = [f"{terminal.count(counts['written'], 'file')} written"]
    parts += [f"{counts[word]} {word}" for word in ("unchanged", "removed", "kept") if counts[word]]
    return ", ".join(parts)
