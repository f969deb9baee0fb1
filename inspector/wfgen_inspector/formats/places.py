"""Paths as services that show findings know them: from the root of the checked-out repository."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

_CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Variables in which GitHub and GitLab keep the folder of the repository."""


def repository_prefix(project: Path) -> str:
    """What leads from the root of the checked-out repository to the project: empty, or a folder with its slash."""
    for variable in _CHECKOUTS:
        checkout = os.environ.get(variable)
        if not checkout:
            continue
        try:
            folder = project.resolve().relative_to(Path(checkout).resolve()).as_posix()
        except ValueError:
            continue
        return "" if folder == "." else f"{folder}/"
    return ""


def relative_uri(path: str) -> str | None:
    """A POSIX path as a URI reference; None if it leads out of where it starts."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if path.startswith("/") or ".." in parts else _quoted("/".join(parts))


def file_uri(path: Path) -> str:
    """An absolute path as a URI."""
    return f"file://{_quoted(Path(os.path.abspath(path)).as_posix())}"


def _quoted(path: str) -> str:
    # Names that are no UTF-8 stand in a text as lone surrogates, each for one byte.
    try:
        return quote(path.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return quote(path.encode("utf-8", "surrogatepass"))
