"""Lines of source files for excerpts and fingerprints."""

from __future__ import annotations

import re
from pathlib import Path

_NEWLINE = re.compile(r"\r\n|\r|\n")


class Lines:
    """Source files of a project, each read once and only when a line of it is asked for."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._files: dict[str, list[str]] = {}

    def line(self, file: str, number: int) -> str:
        """A line without its end; empty where there is none, or the file cannot be read.

        Args:
            file: relative to the project.
            number: 1-based.
        """
        lines = self._files.get(file)
        if lines is None:
            lines = self._files[file] = _read(self._project / file)
        return lines[number - 1] if 1 <= number <= len(lines) else ""


def _read(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except (OSError, ValueError):  # a null byte in a path is a ValueError
        return []
    return _NEWLINE.split(text)
