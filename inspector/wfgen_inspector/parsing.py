"""Python source to a syntax tree."""

from __future__ import annotations

import ast
import warnings

from wfgen.manifest import Span

_START = Span(line=1, column=1, end_line=1, end_column=1)


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
        hint = "Mend it there, or on the line before: Python noticed it only here."
        end = "" if error.msg.endswith((".", "?")) else "."
        raise BadSyntaxError(f"syntax error: {error.msg}{end}", span, hint) from None
    except ValueError as error:  # null bytes, lone surrogates
        raise BadSyntaxError(f"syntax error: {error}.", _START, "Take such characters out.") from None
    except (RecursionError, MemoryError):
        hint = "Python itself refuses such a file: split the expression."
        raise BadSyntaxError("syntax error: nested too deeply.", _START, hint) from None
