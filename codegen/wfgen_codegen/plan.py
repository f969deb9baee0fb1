"""From rendered files to the output folder: one plan serves writing, `--check` and `--diff`."""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from wfgen_codegen import ownership
from wfgen_codegen.errors import OutputEditedError, OutputWriteError, TemplateError

Action = Literal["create", "update", "unchanged", "delete"]

_STAGING = ".wfgen-staging-"
_ABANDONED = 3600.0
"""Seconds after which a staging folder belongs to nobody: its process was killed."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one file."""

    path: str
    """POSIX, relative to the output folder."""
    action: Action
    before: bytes | None
    """What is on disk; None when there is no file."""
    after: bytes | None
    """What should be; None when it is deleted."""
    edited: bool
    """Whether wfgen did not write what is on disk, or somebody edited it since. Only force touches such a file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between what was rendered and what is on disk. Nothing has been written yet."""

    output: Path
    """Absolute path of the output folder."""
    changes: tuple[Change, ...]
    """Sorted by path; one for each rendered file and each orphan."""

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """Files that have to be written, but hold what wfgen did not write. They stop `apply`."""
        return tuple(change for change in self.changes if change.edited and change.action in ("create", "update"))

    @property
    def kept(self) -> tuple[Change, ...]:
        """Orphans that were edited by hand. They stay, and are no drift."""
        return tuple(change for change in self.changes if change.edited and change.action == "delete")

    @property
    def drift(self) -> bool:
        """Whether `apply` would change anything."""
        return any(change.action != "unchanged" and change not in self.kept for change in self.changes)

    def diff(self) -> str:
        """The changes as a unified diff, sorted by path; empty without drift."""
        texts: list[str] = []
        for change in self.changes:
            if change.action != "unchanged" and change not in self.kept:
                texts += _unified(change)
        return "".join(texts)

    def apply(self, *, force: bool = False) -> None:
        """Bring the folder to what was rendered.

        New contents are all written aside first and then put in place one by one, each in a single step. If that
        fails in between, what was there before is put back.

        Args:
            force: also overwrite and delete what was edited by hand.

        Raises:
            OutputEditedError: a file to be written was edited or is not wfgen's; nothing has been written.
            OutputWriteError: the folder cannot be written; it holds what it held before.
        """
        if self.conflicts and not force:
            raise _edited(self.output, self.conflicts)
        writes = [change for change in self.changes if change.action in ("create", "update")]
        deletes = [c for c in self.changes if c.action == "delete" and (force or not c.edited)]
        if not writes and not deletes:
            return
        staging: Path | None = None
        made: list[Path] = []
        done: list[Change] = []
        try:
            made += _make_folder(self.output)
            _remove_abandoned(self.output)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.output))
            aside, place = str(staging), str(self.output)
            for number, change in enumerate(writes):
                with open(f"{aside}/{number}", "xb") as file:
                    file.write(change.after or b"")
            for inside in sorted({change.path.rpartition("/")[0] for change in writes}):
                made += _make_folder(self.output / inside)
            for number, change in enumerate(writes):
                os.replace(f"{aside}/{number}", f"{place}/{change.path}")
                done.append(change)
            for change in deletes:
                (self.output / change.path).unlink()
                done.append(change)
        except OSError as error:
            _restore(self.output, done)
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)
            for folder in reversed(made):
                _remove_if_empty(folder)
            raise OutputWriteError(
                f"{error.filename2 or error.filename or self.output} cannot be written: {error.strerror}.",
                hint="Nothing was changed. Check the folder's permissions and free space.",
            ) from None
        shutil.rmtree(staging, ignore_errors=True)
        for change in deletes:
            _tidy(self.output, change.path)


def plan(rendered: Mapping[str, bytes], output: Path, *, keep: Collection[str] = ()) -> Plan:
    """Compare rendered files with the output folder, and check that whatever is new is well-formed.

    Args:
        rendered: path relative to the output folder -> content.
        output: the output folder; it need not exist.
        keep: paths, or beginnings of paths, that are not orphans though they were not rendered. `("",)` keeps all.

    Raises:
        TemplateError: a rendered file does not compile.
        OutputWriteError: the folder cannot be read.
    """
    output = output.absolute()
    changes = []
    prefixes = tuple(keep)
    place = str(output)
    try:
        existing = None if "" in prefixes else dict.fromkeys(_existing(output))
        for path, after in rendered.items():
            before = _content(f"{place}/{path}") if existing is None or path in existing else None
            changes.append(_compare(path, before, after))
        for path in existing or ():
            if path not in rendered and not (prefixes and path.startswith(prefixes)):
                before = (output / path).read_bytes()
                state = ownership.state(path, before)
                if state != "foreign":
                    changes.append(Change(path, "delete", before, None, state == "edited"))
    except OSError as error:
        raise OutputWriteError(f"{error.filename or output} cannot be read: {error.strerror}.") from None
    return Plan(output, tuple(sorted(changes, key=lambda change: change.path)))


def _content(path: str) -> bytes | None:
    """What a file holds; None if there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _compare(path: str, before: bytes | None, after: bytes) -> Change:
    if before == after or (before is not None and before.replace(b"\r\n", b"\n") == after):
        return Change(path, "unchanged", before, after, edited=False)
    _check(path, after)
    if before is None:
        return Change(path, "create", None, after, edited=False)
    return Change(path, "update", before, after, edited=ownership.state(path, before) != "ours")


def _check(path: str, content: bytes) -> None:
    """Refuse a file that Python or a JSON reader would refuse."""
    try:
        if path.endswith(".py"):
            compile(content, path, "exec", dont_inherit=True)
        elif path.endswith(".pyi"):
            ast.parse(content, path)
        elif path.endswith(".json"):
            json.loads(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise TemplateError(
            f"the generated {path}{line} is malformed: {error}.", hint="Nothing was written. Look at its template."
        ) from None


def _existing(output: Path) -> Iterator[str]:
    """Every file below the folder but those in caches and hidden folders, POSIX, relative to it."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(output / folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "__pycache__":
                    folders.append(path)
            else:
                yield path


def _remove_abandoned(output: Path) -> None:
    for folder in output.glob(f"{_STAGING}*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were missing, outermost first."""
    missing = [folder] if not folder.is_dir() else []
    while missing and not missing[0].parent.is_dir():
        missing.insert(0, missing[0].parent)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _restore(output: Path, done: list[Change]) -> None:
    """Put back what was there before, as far as the file system lets us."""
    for change in done:
        try:
            if change.before is None:
                (output / change.path).unlink()
            else:
                (output / change.path).write_bytes(change.before)
        except OSError:
            continue


def _tidy(output: Path, path: str) -> None:
    """Remove what a deleted module leaves: its compiled form, and folders that are now empty."""
    target = output / path
    cache = target.parent / "__pycache__"
    if path.endswith(".py"):
        for compiled in cache.glob(f"{target.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
    _remove_if_empty(cache)
    for parent in PurePosixPath(path).parents:
        if str(parent) == "." or not _remove_if_empty(output / parent):
            return


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _edited(output: Path, conflicts: tuple[Change, ...]) -> OutputEditedError:
    paths = tuple(change.path for change in conflicts)
    listed = ", ".join(str(output / path) for path in paths[:5])
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return OutputEditedError(
        f"not written by wfgen, or edited since: {listed}{more}. Nothing was written.",
        paths=paths,
        hint="Move your changes out of the generated files, or overwrite them with --force.",
    )


def _unified(change: Change) -> Iterator[str]:
    before = (change.before or b"").decode("utf-8", "replace").splitlines(keepends=True)
    after = (change.after or b"").decode("utf-8", "replace").splitlines(keepends=True)
    source = "/dev/null" if change.before is None else f"a/{change.path}"
    target = "/dev/null" if change.after is None else f"b/{change.path}"
    for line in difflib.unified_diff(before, after, source, target):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
