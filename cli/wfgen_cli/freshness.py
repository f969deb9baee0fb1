"""Whether anything has changed since the last prebuild, answered without loading the rest of wfgen.

`.wfgen/prebuild.json` remembers a hash of all that a prebuild depends on and all that it made: the settings' files and
variables, wfgen itself, every Python file of the project, the replaced templates, and every file of the output folder.
A file counts by size, inode and the times of its last write and last change of state; the latter cannot be set, so
what looks the same is the same, on the machine that wrote the memory. Elsewhere (a fresh checkout, a restored cache)
everything looks changed, and prebuild compares contents instead. Nothing but speed depends on the memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wfgen.settings import Settings

FORMAT = 2
MEMORY = Path(".wfgen", "prebuild.json")
PACKAGES = ("wfgen", "wfgen_inspector", "wfgen_templates", "wfgen_codegen", "wfgen_cli")
TICK = 0.02
"""Seconds within which two writes may carry one time stamp, generously."""
_SKIPPED = frozenset({"__pycache__", "node_modules"})
_SUFFIXES = (".py", ".pyi")


@dataclass(frozen=True)
class Place:
    """Where a project's files lie."""

    project: Path
    """Absolute project root."""
    roots: tuple[str, ...]
    """Absolute folders whose Python files count: the project and, where it lies elsewhere, the import root."""
    output: str
    """Absolute folder of the generated package."""
    templates: str | None
    """Absolute folder of replaced templates."""


@dataclass(frozen=True)
class Looks:
    """How everything looks: a hash each of what a prebuild depends on and of what it made."""

    tools: str
    """Python, wfgen, settings and templates."""
    sources: str
    """Every Python file of the project but the generated ones."""
    outputs: str = ""
    """Every file in the folder of the generated package."""


@dataclass(frozen=True)
class Memory:
    """What a prebuild left behind."""

    place: Place
    looks: Looks
    answer: dict[str, Any]
    """What the prebuild found and did, to be told again."""
    facts: dict[str, str]
    """Source file -> hash of all that was known of it."""


def changed_sources(settings: Settings) -> list[str]:
    """Sources that have changed since the last prebuild, or come or gone, relative to the project and sorted.

    None where no prebuild has left a memory, as in production. What only looks changed, such as in a copy of the
    project, is compared by its content.
    """
    memory = left_behind(settings.project, types_only=False)
    if memory is None or look_of_sources(memory.place) == memory.looks.sources:
        return []
    from wfgen_inspector.discovery import discover

    known = dict(_generated_from(Path(memory.place.output, "manifest", "files")))
    found = {source.path for source in discover(settings).sources}
    differ = {file for file in known.keys() & found if _hash(settings.project / file) != known[file]}
    return sorted(differ | (known.keys() ^ found))


def _generated_from(folder: Path) -> Iterator[tuple[str, str]]:
    """The sources that the generated package was made from, each with the hash of its content."""
    for path in folder.rglob("*.json"):
        try:
            entry = json.loads(path.read_bytes())
            yield entry["file"], entry["source_hash"]
        except (OSError, ValueError, LookupError, TypeError):
            continue


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    except OSError:
        return None


def last_output(project: Path) -> Path | None:
    """Where the last prebuild of a project put its package, if it is known and still there."""
    raw = _read(project / MEMORY)
    output = raw.get("output") if raw else None
    return project / output if isinstance(output, str) and (project / output).is_dir() else None


def remember(memory: Memory, *, types_only: bool) -> None:
    """Write the memory; where that is not possible, the next prebuild is slower and nothing else.

    What `memory.looks` says of the inputs must have been seen at least `TICK` before the sources were read.
    """
    time.sleep(TICK)  # so that an edit from now on gets another time stamp than our own writes
    place = memory.place
    path = place.project / MEMORY
    content = {
        "format": FORMAT,
        "types_only": types_only,
        "roots": [os.path.relpath(root, place.project) for root in place.roots],
        "output": os.path.relpath(place.output, place.project),
        "templates": None if place.templates is None else os.path.relpath(place.templates, place.project),
        "tools": memory.looks.tools,
        "sources": memory.looks.sources,
        "outputs": memory.looks.outputs or look_of_outputs(place),
        "answer": memory.answer,
        "facts": memory.facts,
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        forget(place.project)


def forget(project: Path) -> None:
    """Drop the memory: the next prebuild looks at everything."""
    with contextlib.suppress(OSError):  # where the folder cannot be written, there is no memory of ours
        (project / MEMORY).unlink(missing_ok=True)


def look(place: Place, *, outputs: bool) -> Looks:
    """How everything looks now; what a prebuild made only if `outputs` says so."""
    tools = hashlib.sha256(f"{FORMAT} {sys.version} {sys.platform}".encode())
    for key in sorted(os.environ):
        if key.startswith("WFGEN_"):
            tools.update(f"\0{key}={os.environ[key]}".encode(errors="surrogateescape"))
    for folder in (place.project, *place.project.parents):
        _add_file(tools, os.path.join(folder, "pyproject.toml"))
    for path in (*_installed(), *([place.templates] if place.templates else [])):
        _add_folder(tools, path, skip=None, suffixes=None)
    return Looks(tools.hexdigest(), look_of_sources(place), look_of_outputs(place) if outputs else "")


def look_of_sources(place: Place) -> str:
    """How every Python file of the project looks but the generated ones."""
    digest = hashlib.sha256()
    for root in place.roots:
        _add_folder(digest, root, skip=place.output, suffixes=_SUFFIXES)
    return digest.hexdigest()


def look_of_outputs(place: Place) -> str:
    """How all files in the folder of the generated package look."""
    digest = hashlib.sha256()
    _add_folder(digest, place.output, skip=None, suffixes=None)
    return digest.hexdigest()


def left_behind(start: Path, *, types_only: bool) -> Memory | None:
    """What the last prebuild of the project around `start` left behind, current or not."""
    # A settings file between here and the memory's folder might make another project of it: then nothing is known.
    start = start.absolute()
    for folder in (start, *start.parents):
        raw = _read(folder / MEMORY)
        has_settings = (folder / "pyproject.toml").exists()
        if raw is not None:
            if raw.get("types_only") is not types_only or not (has_settings or folder == start):
                return None
            try:
                roots = tuple(_absolute(folder, root) for root in raw["roots"])
                templates = None if raw["templates"] is None else _absolute(folder, raw["templates"])
                place = Place(folder, roots, _absolute(folder, raw["output"]), templates)
                looks = Looks(raw["tools"], raw["sources"], raw["outputs"])
                return Memory(place, looks, raw["answer"], raw["facts"])
            except (KeyError, TypeError):
                return None
        if has_settings:
            return None
    return None


def _absolute(folder: Path, path: str) -> str:
    return os.path.normpath(os.path.join(folder, path))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return raw if isinstance(raw, dict) and raw.get("format") == FORMAT else None


def _installed() -> Iterator[str]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield os.path.dirname(spec.origin)


def _add_file(digest: Any, path: str) -> None:
    try:
        found = os.stat(path)
    except OSError:
        digest.update(f"\0-{path}".encode(errors="surrogateescape"))
    else:
        digest.update(f"\0{path}{_signature(found)}".encode(errors="surrogateescape"))


def _add_folder(digest: Any, folder: str, *, skip: str | None, suffixes: tuple[str, ...] | None) -> None:
    """Add all files below a folder, but not those of hidden folders, caches and `skip`."""
    names: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name[0] != "." and name not in _SKIPPED and entry.path != skip:
                        folders.append(entry.path)
                elif suffixes is None or name.endswith(suffixes):
                    try:
                        names.append(f"\0{name}{_signature(entry.stat())}")
                    except OSError:
                        names.append(f"\0-{name}")
                elif name == "pyvenv.cfg":  # a virtual environment is nobody's source
                    return
    except OSError as error:
        names.append(f"\0-{error.errno}")
    digest.update(f"\0\0{folder}".encode(errors="surrogateescape"))
    digest.update("".join(sorted(names)).encode(errors="surrogateescape"))
    for path in sorted(folders):
        _add_folder(digest, path, skip=skip, suffixes=suffixes)


def _signature(found: os.stat_result) -> str:
    return f" {stat.S_IFMT(found.st_mode)} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
