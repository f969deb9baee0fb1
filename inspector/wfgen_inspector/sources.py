"""Source files as bytes and as text."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_BOM = b"\xef\xbb\xbf"
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ONLY_COMMENT = re.compile(rb"^[ \t\f]*(?:#.*)?$")


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
        data = self.data.removeprefix(_BOM)
        encoding = _declared(data)
        if data is not self.data and not _is_utf8(encoding):
            raise UnreadableError(
                f"the file starts as UTF-8 (byte order mark) and declares {encoding!r}.", hint="Drop the declaration."
            )
        try:
            text = data.decode(encoding)
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
        return text.replace("\r\n", "\n").replace("\r", "\n")


def read(path: Path) -> Source:
    """Read a file.

    Raises:
        UnreadableError: it cannot be read, or is something that need not have an end, such as a pipe.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for whoever writes to it
            raise UnreadableError("this is not a regular file.", hint="Put a file in its place, or rename it.")
        with open(path, "rb", buffering=0) as file:
            return Source(file.read())
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
