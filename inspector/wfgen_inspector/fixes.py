"""Applying fixes to text, and telling whether they helped."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_NUMBER = re.compile(r"\d+")

Stretch = tuple[int, int, str]
"""First character, one past the last one, and what takes their place."""
Place = tuple[int, int]
"""Line and column."""


@dataclass(slots=True)
class Fixed:
    """What applying fixes gave."""

    texts: dict[str, str] = field(default_factory=dict)
    """Files whose text changed, with their new text."""
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    """Those that were made, by file."""
    applied: tuple[Diagnostic, ...] = ()
    left: tuple[Diagnostic, ...] = ()
    """Findings whose fix overlaps one that was applied: inspect again and apply again."""


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Apply the edits of one file; equal edits count once. New lines end as those do beside which they stand.

    Raises:
        ValueError: two edits overlap, or one lies outside the text.
    """
    page = _Page(text)
    for edit in edits:
        page.add(edit)
    return page.outcome()


def apply_fixes(texts: Mapping[str, str], diagnostics: Iterable[Diagnostic], *, unsafe: bool = False) -> Fixed:
    """Apply the fixes of findings, each wholly or not at all, the first one first.

    A fix is left when it overlaps one that was applied, or no longer fits the text.

    Args:
        texts: file -> its present text.
        diagnostics: findings in output order; those without a fix are passed over.
        unsafe: whether to apply fixes that somebody has to look at, too.
    """
    pages = {file: _Page(text) for file, text in texts.items()}
    chosen: dict[str, list[Edit]] = {}
    applied: list[Diagnostic] = []
    left: list[Diagnostic] = []
    for finding in diagnostics:
        fix = finding.fix
        if fix is None or (fix.applicability == "unsafe" and not unsafe):
            continue
        if _fits(pages, fix):
            for edit in fix.edits:
                chosen.setdefault(edit.file, []).append(edit)
            applied.append(finding)
        else:
            left.append(finding)
    changed = {file: pages[file].outcome() for file in sorted(chosen)}
    return Fixed(
        {file: text for file, text in changed.items() if text != texts[file]}, chosen, tuple(applied), tuple(left)
    )


def without_effect(texts: Mapping[str, str], fixed: Fixed, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those findings whose fix was applied, and which are there all the same.

    A finding that now comes with a fix for another place was helped: several causes may have one place.

    Args:
        texts: file -> its text before.
        fixed: what applying the fixes gave.
        found: findings of the texts afterwards.
    """
    by_kind: dict[tuple[str, str, str], list[Diagnostic]] = {}
    for finding in found:
        by_kind.setdefault(_kind(finding), []).append(finding)
    places = {file: _Moves(texts[file], fixed.texts[file], fixed.edits[file]) for file in fixed.texts}

    def moved(file: str, line: int, column: int) -> tuple[Place, Place]:
        moves = places.get(file)
        return ((line, column), (line, column)) if moves is None else moves.of(line, column)

    def is_there(before: Diagnostic) -> bool:
        candidates = by_kind.get(_kind(before))
        if not candidates or before.fix is None:
            return False
        first, last = moved(before.file, before.line, before.column)
        edit = before.fix.edits[0]
        first_edit, last_edit = moved(edit.file, edit.line, edit.column)
        for after in candidates:
            if first <= (after.line, after.column) <= last:
                if after.fix is None:
                    return True
                now = after.fix.edits[0]
                if now.file == edit.file and first_edit <= (now.line, now.column) <= last_edit:
                    return True
        return False

    return tuple(finding for finding in fixed.applied if is_there(finding))


class _Moves:
    """Where the places of a text are after some edits."""

    def __init__(self, before: str, after: str, edits: Sequence[Edit]) -> None:
        self._before = before
        self._starts, self._new_starts = _line_starts(before), _line_starts(after)
        page = _Page(before)
        for edit in edits:
            page.add(edit)
        self._stretches = page.stretches

    def of(self, line: int, column: int) -> tuple[Place, Place]:
        """The first and the last place where that may be which was at line and column.

        What is inserted there may stand before it or after it; what takes its place may have it anywhere.
        """
        offset = _offset(line, column, self._before, self._starts)
        shift = first = last = 0
        for start, end, replacement in self._stretches:
            if start > offset:
                break
            if start <= offset < end:
                first, last = start - offset, start - offset + len(replacement) - 1
                break
            if start == end == offset:
                last = len(replacement)
                break
            shift += len(replacement) - (end - start)
        return self._place(offset + shift + first), self._place(offset + shift + last)

    def _place(self, offset: int) -> Place:
        line = max(bisect_right(self._new_starts, offset), 1)
        return line, offset - self._new_starts[line - 1] + 1


def _kind(finding: Diagnostic) -> tuple[str, str, str]:
    """What stays of a finding when lines move: messages may name lines."""
    return finding.code, finding.file, _NUMBER.sub("0", finding.message)


class _Page:
    """A text and what is to be replaced in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.stretches: list[Stretch] = []
        """Sorted, apart from each other."""

    @cached_property
    def _starts(self) -> list[int]:
        return _line_starts(self._text)

    def add(self, edit: Edit) -> Stretch | None:
        """Take an edit in, unless there is an equal one; gives what was added.

        Raises:
            ValueError: it overlaps another one, or lies outside the text.
        """
        stretch = _stretch(edit, self._text, self._starts)
        index = bisect_left(self.stretches, stretch)
        around = self.stretches[max(index - 1, 0) : index + 1]
        if stretch in around:
            return None
        if any(_overlap(*sorted((stretch, other))) for other in around):
            raise ValueError(f"edits overlap at character {stretch[0]}")
        self.stretches.insert(index, stretch)
        return stretch

    def outcome(self) -> str:
        pieces: list[str] = []
        end_of_last = 0
        for start, end, replacement in self.stretches:
            pieces += [self._text[end_of_last:start], replacement]
            end_of_last = end
        return "".join(pieces) + self._text[end_of_last:]


def _fits(pages: Mapping[str, _Page], fix: Fix) -> bool:
    """Take in all edits of a fix; none if one of them cannot be made beside those of other fixes."""
    added: list[tuple[_Page, Stretch]] = []
    try:
        for edit in fix.edits:
            stretch = pages[edit.file].add(edit)
            if stretch is not None:
                added.append((pages[edit.file], stretch))
    except (KeyError, ValueError):
        for page, stretch in added:
            page.stretches.remove(stretch)
        return False
    return bool(fix.edits)


def _line_starts(text: str) -> list[int]:
    starts = [match.start() for match in _LINE.finditer(text) if match.group()]
    if not starts or text.endswith(("\r", "\n")):
        starts.append(len(text))
    return starts


def _stretch(edit: Edit, text: str, starts: list[int]) -> Stretch:
    start = _offset(edit.line, edit.column, text, starts)
    end = _offset(edit.end_line, edit.end_column, text, starts)
    if end < start:
        raise ValueError(f"edit of line {edit.line} ends before it starts")
    if "\n" not in edit.text:
        return start, end, edit.text
    beside = _NEWLINE.search(text, starts[edit.line - 1]) or _NEWLINE.search(text)
    return start, end, _NEWLINE.sub("\n" if beside is None else beside[0], edit.text)


def _offset(line: int, column: int, text: str, starts: list[int]) -> int:
    if not 1 <= line <= len(starts):
        raise ValueError(f"line {line} is outside the text")
    offset = starts[line - 1] + column - 1
    limit = starts[line] if line < len(starts) else len(text)
    if column < 1 or offset > limit:
        raise ValueError(f"column {column} is outside line {line}")
    return offset


def _overlap(one: Stretch, other: Stretch) -> bool:
    """Two insertions at one place overlap as well: their order is nobody's to guess."""
    return other[0] < one[1] or other[0] == one[0]
