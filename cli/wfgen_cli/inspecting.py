"""What several commands do with the sources: inspect them, and tell what is wrong on the side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wfgen_cli import terminal

if TYPE_CHECKING:
    from pathlib import Path

    from wfgen.manifest import Manifest
    from wfgen.settings import Settings


def sound_manifest(settings: Settings) -> Manifest:
    """What the sources define; errors in them are only counted, on stderr."""
    from wfgen_inspector import inspect

    inspection = inspect(settings)
    if not inspection.sources:
        note_no_sources(settings.project)
    errors = sum(d.severity == "error" for d in inspection.diagnostics)
    if errors:
        terminal.note(
            f"The sources have {terminal.count(errors, 'error')}, see `wfgen check`; something may be missing."
        )
    return inspection.manifest


def note_no_sources(project: Path) -> None:
    """Tell, on stderr, that a project has nothing for wfgen to read, which is more often a wrong folder than meant."""
    terminal.note(
        f"No *.workflow.py or *.worker.py was found below {terminal.printable(project)}; "
        "`wfgen init` writes a project to start from."
    )
