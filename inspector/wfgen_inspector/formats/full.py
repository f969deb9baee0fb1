"""Findings for people: place, message, the source with a caret, what leads to it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic, Related
from wfgen_inspector.formats.source import Lines
from wfgen_inspector.formats.text import Paint, excerpt, padding, printable, summary, width
from wfgen_inspector.rules import RULES

_WIDEST = 160
"""Terminal columns of a source line that are shown at most; longer lines are cut around the finding."""
_NARROWEST = 20
_TAB = 8
"""Terminal columns that a tab takes at most."""
_NAME = re.compile(r"[\w.]*")
_Mark = Callable[[int], str]
"""Marks as many columns of a terminal."""


def render(diagnostics: Sequence[Diagnostic], project: Path, *, color: bool = False, columns: int | None = None) -> str:
    """Render findings with excerpts of the source; a source that cannot be read has no excerpt.

    Args:
        diagnostics: findings in output order.
        project: project root.
        color: whether to use terminal colours.
        columns: of the terminal, into which excerpts have to fit; None if it is none.
    """
    if not diagnostics:
        return ""
    page = _Page(Lines(project), Paint(color), columns)
    blocks = ["\n".join(page.block(finding)) for finding in diagnostics]
    return "\n\n".join(blocks) + f"\n\nFound {summary(diagnostics)}.\n"


class _Page:
    def __init__(self, lines: Lines, paint: Paint, columns: int | None) -> None:
        self._lines = lines
        self._paint = paint
        self._columns = columns

    def block(self, finding: Diagnostic) -> Iterator[str]:
        """The lines of one finding."""
        paint = self._paint
        place = f"{printable(finding.file)}:{finding.line}:{finding.column}"
        label = paint.severity(finding.severity, f"{finding.severity}[{finding.code}]")
        yield f"{paint.bold(place)}: {label} {paint.bold(printable(finding.message))}"
        gutter = len(str(max([finding.line, *(related.line for related in finding.related)])))
        line = self._lines.line(finding.file, finding.line)
        start = min(finding.column - 1, len(line))
        end = min(finding.end_column - 1, len(line)) if finding.end_line == finding.line else len(line.rstrip())
        yield from self._excerpt(
            line, finding.line, start, end, gutter, lambda n: paint.severity(finding.severity, "^" * n)
        )
        rule = RULES.get(finding.code)
        word = "via" if rule is not None and rule.chained else "see"
        for related in finding.related:
            yield from self._related(related, word, gutter)
        if finding.hint:
            yield self._note("help", printable(finding.hint), gutter)
        if finding.fix:
            yield self._note(f"fix ({finding.fix.applicability})", printable(finding.fix.message), gutter)

    def _related(self, related: Related, word: str, gutter: int) -> Iterator[str]:
        place = f"{printable(related.file)}:{related.line}:{related.column}"
        yield self._note(word, f"{place}: {printable(related.message)}", gutter)
        line = "" if related.is_past else self._lines.line(related.file, related.line)
        start = min(related.column - 1, len(line))
        named = _NAME.match(line, start)
        end = start if named is None else named.end()
        yield from self._excerpt(line, related.line, start, end, gutter, lambda n: self._paint.dim("-" * n))

    def _note(self, word: str, text: str, gutter: int) -> str:
        name, _, more = word.partition(" ")
        return f"{' ' * gutter} {self._paint.dim('=')} {self._paint.dim(name)}{f' {more}' if more else ''}: {text}"

    def _excerpt(self, line: str, number: int, start: int, end: int, gutter: int, mark: _Mark) -> Iterator[str]:
        """A source line and what marks a stretch of it; nothing where there is no line to show."""
        if not line.strip():
            return
        # The gutter, its bar, and the dots where a line is cut take the rest.
        room = _WIDEST if self._columns is None else min(_WIDEST, max(_NARROWEST, self._columns - gutter - 7))
        left, right = _window(line, start, room)
        end = max(start, min(end, right))
        before, after = "… " if left else "", " …" if right < len(line) else ""
        shown = excerpt(line[left:right])
        marked = shown[start - left : end - left]
        pad = padding(before + shown[: start - left])
        bar, blank = self._paint.dim("|"), " " * gutter
        yield f"{blank} {bar}"
        yield f"{self._paint.dim(str(number).rjust(gutter))} {bar} {before}{shown}{after}"
        yield f"{blank} {bar} {pad}{mark(max(1, width(marked.replace(chr(9), ' '))))}"


def _window(line: str, start: int, room: int) -> tuple[int, int]:
    """The part of a line that is shown: all of it, or what fits around a place.

    Args:
        line: of source.
        start: index of the place.
        room: terminal columns.
    """
    base = max(0, start - room)
    taken = [_TAB if c == "\t" else width(c) for c in line[base : start + room]]
    if base == 0 and len(taken) == len(line) and sum(taken) <= room:
        return 0, len(line)
    left = right = start - base
    before = room // 3
    while left and taken[left - 1] <= before:
        left -= 1
        before -= taken[left]
    room -= sum(taken[left:right])
    while right < len(taken) and taken[right] <= room:
        room -= taken[right]
        right += 1
    return base + left, base + right
