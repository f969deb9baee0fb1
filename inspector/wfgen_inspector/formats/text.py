"""What the formats for people share: colours, harmless text, display width."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from wfgen_inspector.diagnostics import Diagnostic, Severity

_SEVERITY_COLORS: dict[Severity, str] = {"error": "1;31", "warning": "1;33", "info": "1;36"}


class Paint:
    """Terminal colours, or none."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def severity(self, severity: Severity, text: str) -> str:
        return self._paint(_SEVERITY_COLORS[severity], text)

    def _paint(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._enabled else text


def printable(text: str) -> str:
    """One line that cannot steer a terminal and can be encoded: source text and file names are not to be trusted."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def excerpt(text: str) -> str:
    """A source line for display: tabs stay, other characters that do not print become `�`, one for one."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def padding(text: str) -> str:
    """Blanks as wide as a text looks on a terminal, with its tabs kept."""
    return "".join("\t" if c == "\t" else " " * width(c) for c in text)


def width(text: str) -> int:
    """Terminal columns that a text without tabs takes."""
    return sum(map(_columns, text))


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """How many findings of which severity, such as `2 errors, 1 warning (1 fixable with `wfgen check --fix`)`."""
    counts = [(s, sum(d.severity == s for d in diagnostics)) for s in _SEVERITY_COLORS]
    text = ", ".join(f"{n} {_plural(s, n)}" for s, n in counts if n)
    fixes = [d.fix.applicability for d in diagnostics if d.fix is not None]
    safe, unsafe = fixes.count("safe"), fixes.count("unsafe")
    parts = [f"{safe} fixable with `wfgen check --fix`"] if safe else []
    if unsafe:
        parts.append(f"{unsafe} more with --unsafe-fixes" if safe else f"{unsafe} fixable with --fix --unsafe-fixes")
    return f"{text} ({', '.join(parts)})" if parts else text


def told(finding: Diagnostic) -> str:
    """What happened and what to do, in one text."""
    return f"{finding.message} {finding.hint}" if finding.hint else finding.message


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _plural(severity: str, count: int) -> str:
    return severity if count == 1 or severity == "info" else f"{severity}s"


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
