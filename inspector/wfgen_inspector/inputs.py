"""All that an inspection depends on, and one hash of it: what has to be known before anything is parsed.

Light on purpose: a command that finds the hash unchanged needs nothing else of the inspector.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from wfgen.settings import Settings
from wfgen_inspector.discovery import Layout, SourcePath, discover
from wfgen_inspector.sources import Source, UnreadableError, read
from wfgen_inspector.versions import code_digest

_SETTINGS = {"root", "output", "exclude", "select", "ignore"}
"""Those that change what an inspection gives."""


@dataclass(frozen=True)
class Inputs:
    """Settings, what was found on disk, and the bytes of every source file."""

    settings: Settings
    layout: Layout
    sources: tuple[tuple[SourcePath, Source | UnreadableError], ...]

    @cached_property
    def fingerprint(self) -> str | None:
        """Hash of it all, and of wfgen's own code; None when a file or folder could not be read."""
        files: list[tuple[str, str]] = []
        for place, source in self.sources:
            if isinstance(source, UnreadableError):
                return None
            files.append((place.path, source.hash))
        if self.layout.unreadable:
            return None
        settings = self.settings.model_dump(mode="json", include=_SETTINGS)
        layout = [self.layout.package, self.layout.output, self.layout.stubs]
        text = json.dumps([code_digest(), settings, layout, files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def gather(settings: Settings) -> Inputs:
    """Find all source files and read their bytes."""
    layout = discover(settings)
    sources: list[tuple[SourcePath, Source | UnreadableError]] = []
    for place in layout.sources:
        try:
            sources.append((place, read(settings.project / place.path)))
        except UnreadableError as error:
            sources.append((place, error))
    return Inputs(settings, layout, tuple(sources))
