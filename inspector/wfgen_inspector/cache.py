"""Facts of files that were read before, kept between runs.

One file, `.wfgen/cache/facts.json`: a header line that says for what it is valid, then one line per source file, of
which the last one counts. A few new lines are put at its end; when too many are out of date it is written anew, to a
temporary file that is renamed. What is damaged, stale or unwritable counts as not there; a file's facts are found by
its path and its content, and each line carries a hash of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version

from pydantic import TypeAdapter

from wfgen.settings import Settings
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.versions import code_digest

FOLDER = ".wfgen/cache"
_FILE = "facts.json"
_FORMAT = 2
_SETTINGS = {"root", "determinism"}
"""Those on which facts depend."""
_LARGEST = 1 << 30
"""Bytes above which a cache is none of ours: that many are a hundred thousand files."""

Key = tuple[str, str]
"""Path and content hash."""


@dataclass
class _Kept:
    """What a cache file holds."""

    validity: str
    facts: dict[Key, FileFacts] = field(default_factory=dict)
    lines: dict[Key, bytes] = field(default_factory=dict)
    written: int = 0
    """How many lines it has, those that are out of date included; none if it is missing or cannot be used."""


_recent: dict[str, _Kept] = {}
"""What this process has loaded or stored last, by cache file. Serves `watch`."""


class Cache:
    """Facts by path and content.

    Args:
        settings: of the project.
        package: import name of the generated package, on which type expressions depend.
    """

    def __init__(self, settings: Settings, package: str) -> None:
        self._path = str((settings.project / FOLDER / _FILE).absolute())
        known = settings.model_dump(mode="json", include=_SETTINGS)
        # Fixes are part of the facts, and LibCST makes some of them.
        validity = json.dumps([_FORMAT, code_digest(), version("libcst"), package, known], sort_keys=True)
        self._kept = _Kept(validity)

    def load(self) -> Mapping[Key, FileFacts]:
        """All facts that are kept, empty if there are none or they cannot be used."""
        recent = _recent.get(self._path)
        if recent is not None and recent.validity == self._kept.validity and os.path.exists(self._path):
            self._kept = recent
        else:
            self._read()
        return self._kept.facts

    def store(self, facts: Mapping[Key, FileFacts], made: Mapping[Key, bytes]) -> None:
        """Keep these facts in place of all others. Never raises: a cache that cannot be written is none.

        Args:
            facts: to keep.
            made: lines of some of them, where they are made already.
        """
        before = self._kept
        if not facts and not before.facts:
            return
        fresh = {key: fact for key, fact in facts.items() if before.facts.get(key) is not fact}
        encodings = ((key, made.get(key) or encoded(key, fact)) for key, fact in sorted(fresh.items()))
        added = {key: line for key, line in encodings if line is not None}
        lines = {key: line for key, line in before.lines.items() if key in facts and key not in fresh} | added
        kept = _Kept(before.validity, dict(facts), lines, before.written + len(added))
        self._kept = _recent[self._path] = kept
        if before.written and (not added or (kept.written <= 2 * len(lines) and self._append(added.values()))):
            return
        kept.written = len(lines)
        if not self._write(line for _, line in sorted(lines.items())):
            kept.written = 0

    def digests(self) -> dict[str, str]:
        """By path, a hash of the facts that are kept."""
        # It stands at the end of a line's head, see `encoded`.
        return {path: line[: line.index(b"\t") - 2][-64:].decode() for (path, _), line in self._kept.lines.items()}

    def _append(self, lines: Iterable[bytes]) -> bool:
        """Put lines at the end of the file; tells whether it was there, and valid for the same as these."""
        head = self._kept.validity.encode() + b"\n"
        try:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND)
            try:
                if os.read(file, len(head)) != head:
                    return False
                # One call, so that two processes do not mix their lines, on a new line should the last one be torn.
                os.write(file, b"\n".join((b"", *lines, b"")))
            finally:
                os.close(file)
        except OSError:
            return False
        return True

    def _write(self, lines: Iterable[bytes]) -> bool:
        """Put a new file in place of the old one; tells whether that could be done."""
        folder = os.path.dirname(self._path)
        temporary: str | None = None
        try:
            os.makedirs(folder, exist_ok=True)
            ignore = os.path.join(folder, ".gitignore")
            if not os.path.exists(ignore):
                with open(ignore, "w", encoding="utf-8") as file:
                    file.write("*\n")
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{_FILE}.")
            with os.fdopen(handle, "wb") as out:
                out.write(b"\n".join((self._kept.validity.encode(), *lines, b"")))
            os.replace(temporary, self._path)
        except OSError:
            if temporary is not None:
                _remove(temporary)
            return False
        return True

    def _read(self) -> None:
        try:
            found = os.stat(self._path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                return
            with open(self._path, "rb") as file:
                header, *lines = file.read().split(b"\n")
        except (OSError, MemoryError):
            return
        kept = self._kept
        if header != kept.validity.encode():
            return
        for line in filter(None, lines):
            kept.written += 1
            found_line = decoded(line)
            if found_line is not None:
                key, kept.facts[key] = found_line
                kept.lines[key] = line
        _recent[self._path] = kept


def encoded(key: Key, fact: FileFacts) -> bytes | None:
    """Facts as one line; None if they are nested too deeply to be written and have to be read anew each time."""
    try:
        content = _adapter().dump_json(fact)
    except (ValueError, RecursionError):
        return None
    return json.dumps([*key, _digest(content)]).encode() + b"\t" + content


def decoded(line: bytes) -> tuple[Key, FileFacts] | None:
    """What `encoded` made a line of; None if the line is damaged."""
    head, _, content = line.partition(b"\t")
    try:
        path, source_hash, digest = json.loads(head)
        if _digest(content) != digest:
            return None
        fact = _adapter().validate_json(content)
    except (ValueError, TypeError, RecursionError):
        return None
    return ((path, source_hash), fact) if (fact.path, fact.source_hash) == (path, source_hash) else None


@cache
def _adapter() -> TypeAdapter[FileFacts]:
    return TypeAdapter(FileFacts)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
