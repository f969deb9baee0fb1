"""JSON that comes in by the command line: an argument, a file or stdin."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from wfgen.errors import InvalidInputError
from wfgen_cli.failures import ArgumentError

LIMIT = 64 * 1024 * 1024
"""Bytes that are read at most: far above any payload limit, far below what hurts."""


def read_input(text: str | None, file: str | None, dash: str | None) -> str | bytes | None:
    """The input as it was given, or None when none was.

    Args:
        text: `--input`.
        file: `--input-file`.
        dash: a lone `-`.

    Raises:
        ArgumentError: it was given twice, cannot be read, or is far too large.
    """
    if dash not in (None, "-"):
        raise ArgumentError(f"unexpected argument {dash!r}.", hint="Give the input with --input or --input-file.")
    given = [name for name, value in (("--input", text), ("--input-file", file), ("-", dash)) if value is not None]
    if len(given) > 1:
        raise ArgumentError(f"the input is given twice, by {' and '.join(given)}.", hint="Give one of them.")
    if dash == "-" or text == "-" or file == "-":
        return _limited(sys.stdin.buffer.read(LIMIT + 1), "stdin")
    if file is None:
        return text
    try:
        with Path(file).open("rb") as stream:
            return _limited(stream.read(LIMIT + 1), file)
    except OSError as error:
        raise ArgumentError(f"--input-file {file} cannot be read: {error.strerror}.") from None


@contextlib.contextmanager
def advised() -> Iterator[None]:
    """Say how an input or payload is given, where one is missing or does not fit."""
    try:
        yield
    except InvalidInputError as error:
        error.hint = error.hint or "Give it with --input JSON or --input-file FILE."
        raise


def _limited(data: bytes, place: str) -> bytes:
    if len(data) > LIMIT:
        raise ArgumentError(f"{place} holds more than {LIMIT // 1024 // 1024} MiB.", hint="Pass a reference instead.")
    return data
