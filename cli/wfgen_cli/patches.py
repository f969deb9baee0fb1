"""Changes of files as a patch that `patch -p1` and `git apply` take, in the files' own bytes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wfgen_cli import terminal

if TYPE_CHECKING:
    from wfgen_cli.mending import MendedFile

_STYLES = {b"---": "bold", b"+++": "bold", b"@@ ": "cyan", b"-": "red", b"+": "green"}
_QUOTED = {ord("\t"): rb"\t", ord("\n"): rb"\n", ord("\r"): rb"\r", ord('"'): rb"\"", ord("\\"): rb"\\"}


def patch(files: tuple[MendedFile, ...]) -> bytes:
    """The changes of all files as one unified diff, in their order."""
    return b"".join(line for file in files for line in _unified(file))


def colored(patch: bytes) -> str:
    """A patch for a terminal: in colour, with everything escaped that could steer it."""
    lines = patch.decode("utf-8", "replace").split("\n")
    return "\n".join(map(_painted, lines))


def _unified(file: MendedFile) -> Iterator[bytes]:
    """Lines end at `\\n` alone, as `patch` sees it: a carriage return belongs to the line."""
    before, after = (data.split(b"\n") for data in (file.before.data, file.after.data))
    source, target = _name(f"a/{file.name}"), _name(f"b/{file.name}")
    for line in difflib.diff_bytes(difflib.unified_diff, _lines(before), _lines(after), source, target):
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(pieces: list[bytes]) -> list[bytes]:
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _name(path: str) -> bytes:
    """A path as git writes it: quoted if it has to be, and ended by a tab where a blank could end it."""
    name = path.encode("utf-8", "surrogateescape")
    if re.search(rb'[\x00-\x1f\x7f"\\]', name):
        quoted = b"".join(_QUOTED.get(byte) or (b"\\%03o" % byte if byte < 32 else bytes((byte,))) for byte in name)
        return b'"' + quoted + b'"'
    return name + b"\t" if b" " in name else name


def _painted(line: str) -> str:
    text = "".join(c if c.isprintable() or c == "\t" else terminal.printable(c) for c in line.removesuffix("\r"))
    style = next((style for start, style in _STYLES.items() if line.startswith(start.decode())), None)
    return terminal.paint(text, style) if style else text
