"""What is printed, and where: findings to stdout, progress to stderr, colour only on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

_CODES: dict[str, str] = {"red": "31;1", "yellow": "33;1", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}


def has_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colour (`NO_COLOR` and `TERM=dumb` do not)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Colour a text if the stream (default stdout) wants it."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if has_color(stream or sys.stdout) else text


_results: TextIO | None = None
"""Where results go while standard output is somebody else's."""


@contextlib.contextmanager
def for_programs(wanted: bool) -> Iterator[None]:
    """If wanted, keep standard output for what `say` prints: what else is printed meanwhile goes to stderr."""
    global _results
    if not wanted:
        yield
        return
    _results = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _results = None


def say(text: str) -> None:
    """Print a finding or result."""
    print(text, file=_results or sys.stdout, flush=True)


def say_text(text: str) -> None:
    """Print text that ends its own lines, or nothing."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say_bytes(data: bytes) -> None:
    """Print bytes as they are, where standard output takes bytes."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        say_text(data.decode("utf-8", "replace"))
        return
    sys.stdout.flush()
    buffer.write(data)
    buffer.flush()


def note(text: str) -> None:
    """Print progress or advice."""
    print(text, file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """Print JSON for a program."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def printable(text: object) -> str:
    """Text from outside in one line, with everything escaped that could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; the last one is as long as it is."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    for index, row in enumerate((headings, *cells)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        say(paint(line, "bold") if index == 0 else line)


def moment(seconds: float | None) -> str:
    """A time in seconds since the epoch, as local time; `-` for none, `never` for one that no calendar has."""
    try:
        return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, OSError):
        return "never"


def span(seconds: float) -> str:
    """A stretch of time in a unit that fits: `12 ms`, `3.4 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
