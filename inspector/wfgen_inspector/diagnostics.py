"""Findings: what is wrong, where, and what to do about it.

Lines and columns are 1-based and count characters, not bytes; an end column is one past the last character. Files are
POSIX paths relative to the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wfgen.manifest import Span

Severity = Literal["error", "warning", "info"]
Applicability = Literal["safe", "unsafe"]

DOCUMENTATION = "docs/rules.md"
"""Where the rules are documented, relative to the root of wfgen's documentation."""


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to a finding, such as the other of two equal ids."""

    file: str
    line: int
    column: int
    message: str
    is_past: bool = False
    """Whether it stood there in a release: today's file may hold something else in this place."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a stretch of one file by `text`; an empty stretch inserts."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends a finding."""

    message: str
    applicability: Applicability
    """`safe`: the program means the same, or what was plainly meant; `unsafe`: somebody has to look at it."""
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of one rule in one place."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    severity: Severity
    message: str
    """What happened, in one sentence."""
    hint: str | None = None
    """What to do."""
    related: tuple[Related, ...] = ()
    fix: Fix | None = None

    @property
    def url(self) -> str:
        """The rule's place in wfgen's documentation."""
        return address_of(self.code)

    @property
    def span(self) -> Span:
        return Span(line=self.line, column=self.column, end_line=self.end_line, end_column=self.end_column)

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """Order of output: file, line, column, code, message."""
        return (self.file, self.line, self.column, self.code, self.message)


def address_of(code: str) -> str:
    """A rule's place in wfgen's documentation."""
    return f"{DOCUMENTATION}#{code.lower()}"


def ordered(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort findings for output and drop exact repetitions."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: d.sort_key))


def has_errors(diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether any finding is an error."""
    return any(d.severity == "error" for d in diagnostics)
