"""Prebuild: from the sources to the generated package, and what is told of it."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfgen_cli import freshness, terminal
from wfgen_cli.inspecting import note_no_sources

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_codegen import Plan
    from wfgen_inspector import Inspection

WORDS = {"create": "written", "update": "written", "unchanged": "unchanged", "delete": "removed"}
DRIFT = {
    "create": ("WF601", "is missing"),
    "update": ("WF601", "is out of date"),
    "edited": ("WF602", "was edited by hand, or is not wfgen's"),
    "delete": ("WF603", "belongs to no source any more"),
}
"""What `--check` says about a file that would change."""

FEW = 100
"""Changed sources up to which only their own outputs are rendered and compared."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    check: bool = False
    """Write nothing; any drift is a failure."""
    diff: bool = False
    """Write nothing; show what would change."""
    types_only: bool = False
    force: bool = False
    """Overwrite files that were edited by hand."""
    as_json: bool = False


_OPTIONS = {"--check": "check", "--diff": "diff", "--types-only": "types_only", "--force": "force", "--json": "as_json"}


def wanted(words: Sequence[str]) -> Wanted | None:
    """What a command line asks for, if it is `prebuild` with nothing but switches; else None."""
    if words[:1] != ["prebuild"] or not _OPTIONS.keys() >= set(words[1:]):
        return None
    return Wanted(**{_OPTIONS[word]: True for word in words[1:]})


def generate(folder: str | None, wanted: Wanted) -> int:
    """Bring the generated package up to date, or say how far it is from it.

    Args:
        folder: a folder of the project; None for the current one.
        wanted: what was asked for.

    Returns:
        The exit code.
    """
    memory: freshness.Memory | None = None
    looks: freshness.Looks | None = None
    if not (wanted.check or wanted.diff or wanted.force):
        memory = freshness.left_behind(Path(folder or "."), types_only=wanted.types_only)
    if memory is not None:
        looks = freshness.look(memory.place, outputs=True)
        if looks == memory.looks:
            _tell(memory.answer, memory.place.project, as_json=wanted.as_json)
            return 0
        if looks.tools != memory.looks.tools:  # settings may have moved things
            memory = None
    return _generate(folder, wanted, memory, looks)


def _generate(
    folder: str | None, wanted: Wanted, memory: freshness.Memory | None, looks: freshness.Looks | None
) -> int:
    """Generate what is not known to be up to date.

    Args:
        folder: a folder of the project; None for the current one.
        wanted: what was asked for.
        memory: what the last prebuild left behind, if it can be used.
        looks: how everything in the memory's place looks now.
    """
    from wfgen_cli.failures import FOUND
    from wfgen_cli.project import load_settings

    settings = load_settings(folder)
    if memory is None or looks is None:
        from wfgen_inspector.discovery import discover

        place = _place(settings, discover(settings).output)
        looks = freshness.look(place, outputs=False)
    else:
        place = memory.place
    looked = time.monotonic()
    from wfgen_codegen import plan, render  # these take a while, which the clock needs anyway
    from wfgen_inspector.inspection import collector_paused, inspect

    time.sleep(max(0.0, looked + freshness.TICK - time.monotonic()))
    with collector_paused(at_end=True):
        inspection = inspect(settings)
        if has_failed(settings, inspection):
            freshness.forget(settings.project)
            _tell(_answer(settings, inspection, None, written=False), settings.project, as_json=wanted.as_json)
            return FOUND
        output = settings.project / inspection.manifest.output
        is_elsewhere = place != _place(settings, inspection.manifest.output)
        planned = None
        if memory is not None and not is_elsewhere:
            planned = _planned_of_few(settings, inspection, memory, looks)
        if planned is None:
            memory = None
            planned = plan(render(inspection.manifest, settings, types_only=wanted.types_only), output)
    looks_only = wanted.check or wanted.diff
    answer = _answer(settings, inspection, planned, written=not looks_only)
    if memory is not None:
        answer = _completed(answer, memory.answer)
    if wanted.diff and not wanted.as_json:
        terminal.say_text(planned.diff())
    elif looks_only:
        _tell(answer, settings.project, as_json=wanted.as_json)
    if looks_only:
        return FOUND if planned.drift else 0
    planned.apply(force=wanted.force)
    _tell(answer, settings.project, as_json=wanted.as_json)
    _warn_of_old_package(settings, output)
    if is_elsewhere:  # what was looked at before was another place
        freshness.forget(settings.project)
        return 0
    looks = replace(looks, outputs="" if planned.drift else looks.outputs)
    left = freshness.Memory(place, looks, _settled(answer), dict(inspection.digests))
    freshness.remember(left, types_only=wanted.types_only)
    return 0


def _planned_of_few(
    settings: Settings, inspection: Inspection, memory: freshness.Memory, looks: freshness.Looks
) -> Plan | None:
    """The plan of the outputs of the few sources that have changed, where all others are known to be up to date."""
    from wfgen_codegen import plan, render
    from wfgen_codegen.faces import face
    from wfgen_codegen.stored import load_source

    if looks.outputs != memory.looks.outputs or inspection.unreadable:
        return None
    if inspection.digests.keys() != memory.facts.keys() or len(inspection.digests) != len(inspection.sources):
        return None
    changed = {file for file, digest in inspection.digests.items() if memory.facts[file] != digest}
    if len(changed) > FEW:
        return None
    for now in inspection.manifest.files:
        if now.file in changed:
            then = load_source(Path(memory.place.output), now.module)
            # What a worker is called decides what the steps of other sources are.
            if then is None or now.workers or then.workers or face(then) != face(now):
                return None
    files = render(inspection.manifest, settings, only=changed, shared=False)
    planned = plan(files, Path(memory.place.output), keep=("",))
    return None if any(c.action == "create" or c.edited for c in planned.changes) else planned


def has_failed(settings: Settings, inspection: Inspection) -> bool:
    """Whether the findings are such that nothing is to be written."""
    if inspection.errors:
        return True
    return settings.strict and any(d.severity == "warning" for d in inspection.diagnostics)


def _place(settings: Settings, output: str) -> freshness.Place:
    root = settings.import_root
    roots = [settings.project] if root.is_relative_to(settings.project) else [settings.project, root]
    templates = None if settings.templates is None else os.path.normpath(settings.project / settings.templates)
    folders = tuple(map(os.path.normpath, roots))
    return freshness.Place(settings.project, folders, os.path.normpath(settings.project / output), templates)


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


def _completed(answer: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """An answer that tells of some outputs only, as if it had looked at all of them."""
    written = answer["counts"]["written"]
    counts = {
        "written": written,
        "unchanged": before["counts"]["unchanged"] - written,
        "kept": before["counts"]["kept"],
    }
    return {**answer, "counts": Counter(counts), "changes": [*before["changes"], *answer["changes"]]}


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
