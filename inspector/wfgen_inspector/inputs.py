"""All that is read before anything is parsed: settings, what lies where, and the bytes of the source files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from wfgen.settings import Settings
from wfgen_inspector.discovery import Layout, SourcePath, discover
from wfgen_inspector.sources import Edited, Source, UnreadableError, read


@dataclass(frozen=True)
class Inputs:
    """Settings, what was found on disk, and the bytes of every source file."""

    settings: Settings
    layout: Layout
    sources: tuple[tuple[SourcePath, Source | UnreadableError], ...]
    edited: Edited = field(default_factory=dict)
    """What counts in place of what is on disk."""


def gather(settings: Settings, edited: Edited | None = None) -> Inputs:
    """Find all source files and read their bytes, those that are edited from memory."""
    layout = discover(settings)
    sources: list[tuple[SourcePath, Source | UnreadableError]] = []
    project = str(settings.project)
    for place in layout.sources:
        try:
            sources.append((place, read(os.path.join(project, place.path), edited)))
        except UnreadableError as error:
            sources.append((place, error))
    return Inputs(settings, layout, tuple(sources), edited or {})
