"""How failures are told: one line that says what happened, one that says what to do, and an exit code.

WfgenError
├── ArgumentError   WF610  an argument names something that is not there or cannot be used
├── OutputError     WF611  standard output cannot be written
├── TypeCheckError  WF612  mypy cannot say whether the types agree
└── FixError        WF613  a file cannot be given its fixes
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import ClassVar

from wfgen.errors import RunCancelledError, RunFailedError, WfgenError
from wfgen_cli import terminal

FOUND = 1
"""Exit code for errors in the sources, drift, and runs that failed."""
EDITED = "WF602"
"""Code of the error for generated files that were edited by hand, which is drift."""
UNUSABLE = 2
"""Exit code for bad arguments and settings, unusable stores and internal errors."""


class ArgumentError(WfgenError):
    """An argument of a command names something that is not there or cannot be used."""

    code: ClassVar[str] = "WF610"


class OutputError(WfgenError):
    """What a command has to say cannot be written to standard output."""

    code: ClassVar[str] = "WF611"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the output cannot be written: {reason}.",
            hint="Check where standard output goes: a full disk, or `>&-` in a script.",
        )


class TypeCheckError(WfgenError):
    """mypy cannot say whether the types agree: it is not installed, refuses its configuration, or crashed.

    `--no-types` leaves it out.
    """

    code: ClassVar[str] = "WF612"


class FixError(WfgenError):
    """A file cannot be given its fixes: it is read-only, or has changed meanwhile. It is as it was.

    Attributes:
        is_failure: whether that is a failure; a generated file is left alone on purpose.
    """

    code: ClassVar[str] = "WF613"

    def __init__(self, message: str, *, hint: str | None = None, is_failure: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.is_failure = is_failure


def report(error: Exception) -> int:
    """Print an error to stderr and return the exit code. The traceback only with `WFGEN_DEBUG=1`."""
    if os.environ.get("WFGEN_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    told = told_of(error)
    tell(told.code, told.message, told.hint)
    found = isinstance(told, RunFailedError | RunCancelledError) or told.code == EDITED
    return FOUND if found else UNUSABLE


def told_of(error: Exception) -> WfgenError:
    """The error itself if it is one of wfgen's, else what to say of a bug."""
    if isinstance(error, WfgenError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return WfgenError(
        f"internal error{place}: {type(error).__name__}: {terminal.printable(error)}",
        hint="This is a bug of wfgen: please report it with the output of the same command under WFGEN_DEBUG=1.",
    )


def tell(code: str, message: str, hint: str | None = None, *, severity: str = "error") -> None:
    """Print one failure (or warning) to stderr."""
    style = "red" if severity == "error" else "yellow"
    terminal.note(f"{terminal.paint(f'{severity}[{code}]', style, sys.stderr)}: {message}")
    if hint:
        terminal.note(f"  {terminal.paint('hint', 'cyan', sys.stderr)}: {hint}")
