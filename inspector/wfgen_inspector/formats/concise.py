"""One line a finding: `path:line:column: CODE message`."""

from __future__ import annotations

from collections.abc import Sequence

from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.formats.text import Paint, printable


def render(diagnostics: Sequence[Diagnostic], *, color: bool = False) -> str:
    """Render findings, one a line."""
    paint = Paint(color)
    return "".join(
        f"{paint.bold(printable(d.file))}:{d.line}:{d.column}: {paint.severity(d.severity, d.code)}"
        f" {printable(d.message)}\n"
        for d in diagnostics
    )
