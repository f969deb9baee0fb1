"""What several commands do with the sources: inspect them, and tell what is wrong on the side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wfgen_cli import terminal
from wfgen_inspector import inspect

if TYPE_CHECKING:
    from wfgen.manifest import Manifest
    from wfgen.settings import Settings


def sound_manifest(settings: Settings) -> Manifest:
    """What the sources define; errors in them are only counted, on stderr."""
    inspection = inspect(settings)
    errors = sum(d.severity == "error" for d in inspection.diagnostics)
    if errors:
        terminal.note(
            f"The sources have {terminal.count(errors, 'error')}, see `wfgen check`; something may be missing."
        )
    return inspection.manifest
