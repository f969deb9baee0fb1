"""Finding the source files of a project, and where its generated package belongs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from wfgen.names import identifier
from wfgen.settings import Settings
from wfgen_inspector.globs import pattern_of

if TYPE_CHECKING:
    from wfgen_inspector.facts import SourceKind

GENERATED = "wfgen_gen"
"""Name of the generated package's folder, unless a setting says otherwise."""
_SUFFIXES: dict[str, SourceKind] = {".workflow.py": "workflow", ".worker.py": "worker"}
_SKIPPED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class SourcePath:
    """Where one source file lies and what it is called."""

    path: str
    """POSIX, relative to the project."""
    kind: SourceKind
    module: str
    """Dotted name of its generated module below the generated package, such as `files.onboarding`."""
    package: str
    """Package in which it lies, for relative imports; empty at the import root."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found on disk."""

    root: Path
    """Absolute import root."""
    package: str
    """Import name of the generated package."""
    output: str
    """Its folder, POSIX, relative to the project."""
    sources: tuple[SourcePath, ...]
    """Sorted by path."""
    stubs: tuple[tuple[str, str], ...]
    """Stubs beside source files: (stub, source)."""
    unreadable: tuple[tuple[str, str], ...]
    """Folders that cannot be listed and files whose name is no text: (path, reason)."""


def discover(settings: Settings) -> Layout:
    """Find `*.workflow.py` and `*.worker.py` under the project and its import root.

    Hidden folders, virtual environments, `node_modules`, `__pycache__`, the generated package and `settings.exclude`
    are left out; linked folders are not followed.
    """
    project, root = settings.project, settings.import_root
    excluded = pattern_of(settings.exclude) if settings.exclude else None
    configured = None if settings.output is None else _posix(project / settings.output, project)
    files: set[str] = set()
    unreadable: list[tuple[str, str]] = []
    for start in dict.fromkeys((project, root)):
        prefix = _posix(start, project)
        if start is root and start != project and not prefix.startswith(".."):
            continue  # below the project, so already found
        for path in _walk(start, "" if prefix == "." else f"{prefix}/", configured, unreadable):
            if excluded is None or not excluded.fullmatch(path):
                files.add(path)
    usable = sorted(path for path in files if _is_text(path, unreadable))
    sources = [path for path in usable if path.endswith(".py")]
    base = _posix(root, project)
    output = configured or _default_output(sources, base)
    sources = [path for path in sources if not path.startswith(f"{output}/")]
    known = set(sources)
    return Layout(
        root=root,
        package=".".join(_below(output, base)),
        output=output,
        sources=tuple(_source(path, output, base) for path in sources),
        stubs=tuple((path, path[:-1]) for path in usable if path.endswith(".pyi") and path[:-1] in known),
        unreadable=tuple(sorted(unreadable)),
    )


def _walk(folder: Path, prefix: str, output: str | None, unreadable: list[tuple[str, str]]) -> Iterator[str]:
    """Yield source files and stubs beside them."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        unreadable.append((prefix.rstrip("/") or ".", error.strerror or str(error)))
        return
    for entry in found:
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            path = prefix + name
            if name[0] != "." and name not in _SKIPPED and path != output and not _is_environment(entry.path):
                yield from _walk(Path(entry.path), f"{path}/", output, unreadable)
        elif name.endswith((".workflow.py", ".worker.py", ".workflow.pyi", ".worker.pyi")) and name[0] != ".":
            yield prefix + name


def _is_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _is_text(path: str, unreadable: list[tuple[str, str]]) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        unreadable.append((path.encode(errors="backslashreplace").decode(), "the file's name is not UTF-8"))
        return False
    return True


def _default_output(sources: list[str], root: str) -> str:
    """`wfgen_gen` inside the one top-level package that holds all sources, else in the import root."""
    inside = [_below(path, root) for path in sources if _lies_below(path, root)]
    tops = {parts[0] if len(parts) > 1 else "" for parts in inside}
    prefix = [] if root == "." else root.split("/")
    if len(tops) == 1 and (top := tops.pop()).isidentifier():
        prefix.append(top)
    return "/".join((*prefix, GENERATED))


@lru_cache(maxsize=10_000)
def _source(path: str, output: str, root: str) -> SourcePath:
    parent = output.rpartition("/")[0] or "."
    base = next((folder for folder in (parent, root) if _lies_below(path, folder)), ".")
    *folders, name = (part for part in _below(path, base) if part != "..")
    suffix = next(suffix for suffix in _SUFFIXES if name.endswith(suffix))
    kind = _SUFFIXES[suffix]
    stem = name.removesuffix(suffix) + ("_worker" if kind == "worker" else "")
    package = _below(path, root)[:-1] if _lies_below(path, root) else []
    return SourcePath(path, kind, ".".join(("files", *map(_identifier, (*folders, stem)))), ".".join(package))


def _identifier(part: str) -> str:
    return identifier(re.sub(r"\W", "_", part))


def _lies_below(path: str, folder: str) -> bool:
    return not path.startswith("../") if folder == "." else path.startswith(f"{folder}/")


def _below(path: str, folder: str) -> list[str]:
    """Parts of a path relative to a folder above it (or of the whole path, if the folder is not above it)."""
    return (path if folder == "." else path.removeprefix(f"{folder}/")).split("/")


def _posix(path: Path, project: Path) -> str:
    return Path(os.path.relpath(path, project)).as_posix()
