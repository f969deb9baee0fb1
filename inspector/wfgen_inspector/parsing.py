"""Python source to a syntax tree."""

from __future__ import annotations

import ast
import re
import sys
import warnings

from wfgen.manifest import Span

START = Span(line=1, column=1, end_line=1, end_column=1)
"""For findings about a file as a whole."""


_LINES: tuple[tuple[re.Pattern[str], tuple[int, int], str], ...] = (
    (re.compile(r"\s*(async\s+def|def|class)\s+\w+\s*\[[^]]*=.*\]"), (3, 13), "defaults of type parameters"),
    (re.compile(r"\s*type\s+\w+\s*\[[^]]*=.*\]\s*="), (3, 13), "defaults of type parameters"),
    (re.compile(r"\s*(async\s+def|def|class)\s+\w+\s*\["), (3, 12), "type parameters in brackets"),
    (re.compile(r"\s*type\s+\w+\s*(\[.*\]\s*)?="), (3, 12), "`type` statements"),
    (re.compile(r"\s*except\*?\s+[\w.]+\s*,[^()]*:"), (3, 14), "`except` of several types without brackets"),
    (re.compile(r"(.*[^\w\"'])?([tT][rR]?|[rR][tT])(\"|')"), (3, 14), "template strings"),
)
"""What a line with an error looks like that a later Python accepts: from which version on, and what it is called."""
_MESSAGES: tuple[tuple[str, tuple[int, int], str], ...] = (
    ("multiple exception types must be parenthesized", (3, 14), "`except` of several types without brackets"),
    ("f-string expression part cannot include", (3, 12), "backslashes and comments in f-strings"),
)
_REUSED = re.compile(r"""(?s).*\b[rR]?[fF][rR]?(?P<quote>["'])[^"'{]*\{[^}"']*(?P=quote)[^"']*(?P=quote)[^}]*\}""")
"""An f-string with its own quotes inside its braces."""
_LINE = 1_000
"""Characters of a line that are looked at."""


class BadSyntaxError(Exception):
    def __init__(self, message: str, span: Span, hint: str) -> None:
        super().__init__(message)
        self.span = span
        self.hint = hint


def parse(text: str) -> ast.Module:
    """Parse a file's text.

    Raises:
        BadSyntaxError: Python does not accept it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's code, such as invalid escapes: not ours to print
            return ast.parse(text)
    except SyntaxError as error:
        line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
        end_line, end_column = error.end_lineno or line, error.end_offset or 0
        if end_line < line or (end_line == line and end_column <= column):
            end_line, end_column = line, column + 1
        span = Span(line=line, column=column, end_line=end_line, end_column=max(end_column, 1))
        hint = _newer(error, text) or "Mend it there, or on the line before: Python noticed it only here."
        end = "" if error.msg.endswith((".", "?")) else "."
        raise BadSyntaxError(f"syntax error: {error.msg}{end}", span, hint) from None
    except ValueError as error:  # null bytes, lone surrogates
        raise BadSyntaxError(f"syntax error: {error}.", START, "Take such characters out.") from None
    except (RecursionError, MemoryError):
        hint = "Python itself refuses such a file: split the expression."
        raise BadSyntaxError("syntax error: nested too deeply.", START, hint) from None


def _newer(error: SyntaxError, text: str) -> str | None:
    """A hint at the version of Python that accepts what this one does not, where that can be told."""
    lines = text.splitlines()
    line = lines[error.lineno - 1] if error.lineno is not None and 0 < error.lineno <= len(lines) else ""
    found = next(((version, what) for start, version, what in _MESSAGES if error.msg.startswith(start)), None)
    if found is None:
        found = next(((version, what) for looks, version, what in _LINES if looks.match(line[:_LINE])), None)
    if found is None and _REUSED.match(line[:_LINE]):
        found = (3, 12), "f-strings with their own quotes inside"
    if found is None or sys.version_info >= found[0]:
        return None
    (major, minor), what = found
    running = ".".join(map(str, sys.version_info[:2]))
    return (
        f"Python {major}.{minor} and later have {what}; this is read with Python {running}: run wfgen with a later one."
    )
