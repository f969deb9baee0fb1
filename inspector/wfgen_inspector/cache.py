"""Facts of files that were read before, kept between runs.

One file, `.wfgen/cache/facts.json`: a header line that says for what it is valid, then one line per source file. What
is damaged, stale or unwritable counts as not there; a file's facts are found by its path and its content.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from wfgen_inspector.facts import FileFacts
from wfgen_inspector.versions import code_digest

FOLDER = ".wfgen/cache"
_FILE = "facts.json"
_FORMAT = 1

Key = tuple[str, str]
"""Path and content hash."""

_recent: dict[str, tuple[str, dict[Key, FileFacts], dict[Key, bytes]]] = {}
"""What this process has loaded or stored last, by cache file: validity, facts, and their lines. Serves `watch`."""


class Cache:
    """Facts by path and content.

    Args:
        project: absolute project root.
        package: import name of the generated package, on which type expressions depend.
    """

    def __init__(self, project: Path, package: str) -> None:
        self._path = project / FOLDER / _FILE
        self._validity = json.dumps([_FORMAT, code_digest(), package])
        """What kept facts depend on besides the file itself."""
        self._known: dict[Key, FileFacts] = {}
        self._lines: dict[Key, bytes] = {}

    def load(self) -> Mapping[Key, FileFacts]:
        """All facts that are kept, empty if there are none or they cannot be used."""
        recent = _recent.get(str(self._path.absolute()))
        if recent is not None and recent[0] == self._validity and self._path.exists():
            _, self._known, self._lines = recent
        else:
            self._read()
        return self._known

    def store(self, facts: Mapping[Key, FileFacts]) -> None:
        """Keep these facts in place of all others. Never raises: a cache that cannot be written is none."""
        if self._known.keys() == facts.keys() and all(self._known[key] is fact for key, fact in facts.items()):
            return
        lines: dict[Key, bytes] = {}
        for key, fact in sorted(facts.items()):
            line = self._lines.get(key) if self._known.get(key) is fact else None
            if line := line or _line(key, fact):
                lines[key] = line
        self._known, self._lines = dict(facts), lines
        _recent[str(self._path.absolute())] = (self._validity, self._known, lines)
        temporary: str | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            ignore = self._path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{_FILE}.")
            with os.fdopen(handle, "wb") as file:
                file.write(b"\n".join((self._validity.encode(), *lines.values(), b"")))
            os.replace(temporary, self._path)
        except OSError:
            if temporary is not None:
                _remove(temporary)

    def _read(self) -> None:
        try:
            header, *lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return
        if header.decode("utf-8", "replace") != self._validity:
            return
        adapter = _adapter()
        for line in lines:
            head, _, content = line.partition(b"\t")
            try:
                path, source_hash, digest = json.loads(head)
                if _digest(content) != digest:
                    continue
                fact = adapter.validate_json(content)
            except (ValueError, TypeError, RecursionError):
                continue
            if (fact.path, fact.source_hash) == (path, source_hash):
                self._known[path, source_hash] = fact
                self._lines[path, source_hash] = line
        _recent[str(self._path.absolute())] = (self._validity, self._known, self._lines)


def _line(key: Key, fact: FileFacts) -> bytes | None:
    """Facts as one line; None if they are nested too deeply to be written and have to be read anew each time."""
    try:
        content = _adapter().dump_json(fact)
    except (ValueError, RecursionError):
        return None
    return json.dumps([*key, _digest(content)]).encode() + b"\t" + content


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
