"""Findings for people: place, message, the source with a caret, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.formats.text import Paint, excerpt, padding, printable, summary, width

_MAX_LINE = 160
"""Characters of a source line that are shown; longer lines are cut around the finding."""
_NEWLINE = re.compile(r"\r\n|\r|\n")


def render(diagnostics: Sequence[Diagnostic], project: Path, *, color: bool = False) -> str:
    """Render findings with an excerpt of the source; a source that cannot be read has no excerpt."""
    if not diagnostics:
        return ""
    paint = Paint(color)
    sources: dict[str, list[str]] = {}
    blocks: list[str] = []
    for finding in diagnostics:
        if finding.file not in sources:
            sources[finding.file] = _read(project / finding.file)
        blocks.append("\n".join(_block(finding, sources[finding.file], paint)))
    fixable = sum(d.fix is not None and d.fix.applicability == "safe" for d in diagnostics)
    end = f"Found {summary(diagnostics)}."
    if fixable:
        end += f" {fixable} can be fixed safely."
    return "\n\n".join(blocks) + f"\n\n{end}\n"


def _block(finding: Diagnostic, source: list[str], paint: Paint) -> list[str]:
    place = f"{printable(finding.file)}:{finding.line}:{finding.column}"
    label = paint.severity(finding.severity, f"{finding.severity}[{finding.code}]")
    lines = [f"{paint.bold(place)}: {label} {paint.bold(printable(finding.message))}"]
    gutter = len(str(finding.line))
    if finding.line <= len(source) and source[finding.line - 1].strip():
        lines += _excerpt(finding, source[finding.line - 1], gutter, paint)
    indent = " " * gutter
    notes = [
        f"{paint.dim('see')}: {printable(r.file)}:{r.line}:{r.column}: {printable(r.message)}" for r in finding.related
    ]
    if finding.hint:
        notes.append(f"{paint.dim('help')}: {printable(finding.hint)}")
    if finding.fix:
        notes.append(f"{paint.dim('fix')} ({finding.fix.applicability}): {printable(finding.fix.message)}")
    return lines + [f"{indent} {paint.dim('=')} {note}" for note in notes]


def _excerpt(finding: Diagnostic, line: str, gutter: int, paint: Paint) -> list[str]:
    start = min(finding.column - 1, len(line))
    end = min(finding.end_column - 1, len(line)) if finding.end_line == finding.line else len(line.rstrip())
    left = max(0, start - _MAX_LINE // 3) if len(line) > _MAX_LINE else 0
    right = min(len(line), left + _MAX_LINE)
    end = max(start, min(end, right))
    before, after = "… " if left else "", " …" if right < len(line) else ""
    shown = excerpt(line[left:right])
    marked = shown[start - left : end - left]
    caret = "^" * max(1, width(marked.replace("\t", " ")))
    pad = padding(before + shown[: start - left])
    bar = paint.dim("|")
    return [
        f"{' ' * gutter} {bar}",
        f"{paint.dim(str(finding.line))} {bar} {before}{shown}{after}",
        f"{' ' * gutter} {bar} {pad}{paint.severity(finding.severity, caret)}",
    ]


def _read(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return []
    return _NEWLINE.split(text)
