"""Source files as bytes and as text."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_BOM = b"\xef\xbb\xbf"
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ONLY_COMMENT = re.compile(rb"^[ \t\f]*(?:#.*)?$")

Edited = Mapping[str, bytes]
"""Content to read in place of what is on disk: real path -> bytes."""


class UnreadableError(Exception):
    """A source file that has no text.

    Attributes:
        line: of the first bad byte, or 1.
        column: of the first bad byte, or 1.
        hint: what to do.
    """

    def __init__(self, message: str, *, place: tuple[int, int] = (1, 1), hint: str | None = None) -> None:
        super().__init__(message)
        self.line, self.column = place
        self.hint = hint


@dataclass(frozen=True)
class Source:
    """The bytes of one source file."""

    data: bytes

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content; how lines end makes no difference, so that checkouts on two systems agree."""
        return hashlib.sha256(self.data.replace(b"\r\n", b"\n")).hexdigest()

    def text(self) -> str:
        """The text, without byte order mark and with `\\n` line ends.

        Raises:
            UnreadableError: the bytes are no text in UTF-8, or in the encoding that the file declares.
        """
        return self.written().replace("\r\n", "\n").replace("\r", "\n")

    def written(self) -> str:
        """The text, without byte order mark and with the line ends that it has.

        Raises:
            UnreadableError: the bytes are no text in UTF-8, or in the encoding that the file declares.
        """
        data = self.data.removeprefix(_BOM)
        encoding = _declared(data)
        if data is not self.data and not _is_utf8(encoding):
            raise UnreadableError(
                f"the file starts as UTF-8 (byte order mark) and declares {encoding!r}.", hint="Drop the declaration."
            )
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise UnreadableError(
                f"byte {data[error.start]:#04x} is not {'UTF-8' if encoding == 'utf-8' else encoding}.",
                place=_place(data, error.start),
                hint="Save the file as UTF-8.",
            ) from None
        except Exception as error:  # a codec may raise anything; `# coding: hex` raises binascii.Error
            raise UnreadableError(
                f"the declared encoding {encoding!r} cannot be used: {error}.",
                hint="Save the file as UTF-8 and drop the declaration.",
            ) from None

    def with_text(self, text: str) -> Source:
        """The same file with another text: its byte order mark and its encoding are kept.

        Args:
            text: without byte order mark, as `written` gives it.

        Raises:
            UnreadableError: the file's encoding has no bytes for that text, or gives other ones for the present text.
        """
        data = self.data.removeprefix(_BOM)
        encoding, mark = _declared(data), self.data[: len(self.data) - len(data)]
        try:
            if self.written().encode(encoding) != data:
                raise UnreadableError(f"its bytes are not what {encoding} makes of its text.")
            changed = Source(mark + text.encode(encoding))
        except UnicodeError:
            raise UnreadableError(f"the new text cannot be written in {encoding}.", hint="Save it as UTF-8.") from None
        if _declared(changed.data.removeprefix(_BOM)) != encoding:
            raise UnreadableError(f"{encoding!r} would no longer be declared in one of its first two lines.")
        return changed


_SETTLED = 2.5
"""Seconds after which a file's time stamps are old enough that another write will change them, whatever the file
system's clock counts in."""

_Look = tuple[int, int, int, int, int]
_recent: dict[str, tuple[_Look, Source]] = {}
"""By path: what this process has read last, and how the file looked then. Serves `watch`."""


def read(path: str | Path, edited: Edited | None = None) -> Source:
    """Read a file, unless it looks as it did when this process read it before.

    A file's time of last change of state cannot be set, so that what looks the same is the same.

    Args:
        path: of the file.
        edited: what counts in place of what is on disk.

    Raises:
        UnreadableError: it cannot be read, or is something that need not have an end, such as a pipe.
    """
    if edited and (data := edited.get(os.path.realpath(path))) is not None:
        return Source(data)
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for whoever writes to it
            raise UnreadableError("this is not a regular file.", hint="Put a file in its place, or rename it.")
        look = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
        known = _recent.get(str(path))
        if known is not None and known[0] == look:
            return known[1]
        with open(path, "rb", buffering=0) as file:
            source = Source(file.read())
        if os.name == "posix" and time.time() - found.st_ctime > _SETTLED:
            _recent[str(path)] = (look, source)
        else:
            _recent.pop(str(path), None)
        return source
    except OSError as error:
        raise UnreadableError(
            f"the file cannot be read: {error.strerror or error}.", hint="Check that it exists and its permissions."
        ) from None


def _declared(data: bytes) -> str:
    """The encoding that a comment in one of the first two lines declares, else UTF-8."""
    if b"coding" not in data[:400]:
        return "utf-8"
    first, *rest = re.split(rb"\r\n|\r|\n", data, maxsplit=2)[:2]
    for line in (first, *(rest if _ONLY_COMMENT.match(first) else ())):
        found = _CODING.match(line)
        if found:
            return found[1].decode("ascii", "replace")
    return "utf-8"


def _is_utf8(encoding: str) -> bool:
    """As Python compares: `utf8` is refused after a byte order mark."""
    name = encoding.lower().replace("_", "-")
    return name == "utf-8" or name.startswith("utf-8-")


def _place(data: bytes, offset: int) -> tuple[int, int]:
    before = data[:offset].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")
