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
from typing import Any

FORMAT = 1
MEMORY = Path(".wfgen", "prebuild.json")
PACKAGES = ("wfgen", "wfgen_inspector", "wfgen_templates", "wfgen_codegen", "wfgen_cli")
TICK = 0.02
"""Seconds within which two writes may carry one time stamp, generously."""
_SKIPPED = frozenset({"__pycache__", "node_modules"})
_SUFFIXES = (".py", ".pyi")


@dataclass(frozen=True)
class Memory:
    """What a prebuild left behind."""

    project: Path
    """Absolute project root."""
    roots: tuple[str, ...]
    """Absolute folders whose Python files count: the project and, where it lies elsewhere, the import root."""
    output: str
    """Absolute folder of the generated package."""
    templates: str | None
    """Absolute folder of replaced templates."""
    inputs: str
    outputs: str
    answer: dict[str, Any]
    """What the prebuild found and did, to be told again."""


def recall(start: Path, *, types_only: bool) -> Memory | None:
    """What the last prebuild of the project around `start` left behind, if nothing has changed since."""
    memory = _load(start, types_only)
    if memory is None or memory.inputs != inputs(memory.project, memory.roots, memory.output, memory.templates):
        return None
    return memory if memory.outputs == outputs(memory.output) else None


def last_output(project: Path) -> Path | None:
    """Where the last prebuild of a project put its package, if it is known and still there."""
    raw = _read(project / MEMORY)
    output = raw.get("output") if raw else None
    return project / output if isinstance(output, str) and (project / output).is_dir() else None


def remember(memory: Memory, *, types_only: bool) -> None:
    """Write the memory; where that is not possible, the next prebuild is slower and nothing else.

    `memory.inputs` must have been computed before the sources were read, and at least `TICK` earlier.
    """
    time.sleep(TICK)  # so that an edit from now on gets another time stamp than our own writes
    path = memory.project / MEMORY
    content = {
        "format": FORMAT,
        "types_only": types_only,
        "roots": [os.path.relpath(root, memory.project) for root in memory.roots],
        "output": os.path.relpath(memory.output, memory.project),
        "templates": None if memory.templates is None else os.path.relpath(memory.templates, memory.project),
        "inputs": memory.inputs,
        "outputs": outputs(memory.output),
        "answer": memory.answer,
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        forget(memory.project)


def forget(project: Path) -> None:
    """Drop the memory: the next prebuild looks at everything."""
    with contextlib.suppress(OSError):  # where the folder cannot be written, there is no memory of ours
        (project / MEMORY).unlink(missing_ok=True)


def inputs(project: Path, roots: tuple[str, ...], output: str, templates: str | None) -> str:
    """A hash of all that a prebuild depends on."""
    digest = hashlib.sha256(f"{FORMAT} {sys.version} {sys.platform}".encode())
    for key in sorted(os.environ):
        if key.startswith("WFGEN_"):
            digest.update(f"\0{key}={os.environ[key]}".encode(errors="surrogateescape"))
    for folder in (project, *project.parents):
        _add_file(digest, os.path.join(folder, "pyproject.toml"))
    for path in (*_installed(), *([templates] if templates else [])):
        _add_folder(digest, path, skip=None, suffixes=None)
    for root in roots:
        _add_folder(digest, root, skip=output, suffixes=_SUFFIXES)
    return digest.hexdigest()


def outputs(folder: str) -> str:
    """A hash of all files in the folder of the generated package."""
    digest = hashlib.sha256()
    _add_folder(digest, folder, skip=None, suffixes=None)
    return digest.hexdigest()


def _load(start: Path, types_only: bool) -> Memory | None:
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
                output = _absolute(folder, raw["output"])
                return Memory(folder, roots, output, templates, raw["inputs"], raw["outputs"], raw["answer"])
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
