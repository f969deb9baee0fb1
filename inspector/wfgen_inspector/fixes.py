"""Applying fixes to text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")


@dataclass(slots=True)
class Fixed:
    """What applying fixes gave."""

    texts: dict[str, str] = field(default_factory=dict)
    """Files whose text changed, with their new text."""
    applied: tuple[Diagnostic, ...] = ()
    left: tuple[Diagnostic, ...] = ()
    """Findings whose fix overlaps one that was applied: inspect again and apply again."""


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Apply the edits of one file; equal edits count once.

    Raises:
        ValueError: two edits overlap, or one lies outside the text.
    """
    starts = _line_starts(text)
    stretches = sorted({_stretch(edit, text, starts) for edit in edits})
    pieces: list[str] = []
    end_of_last = 0
    for index, (start, end, replacement) in enumerate(stretches):
        if index and _overlap(stretches[index - 1], (start, end, replacement)):
            raise ValueError(f"edits overlap at character {start}")
        pieces += [text[end_of_last:start], replacement]
        end_of_last = end
    return "".join(pieces) + text[end_of_last:]


def apply_fixes(texts: Mapping[str, str], diagnostics: Iterable[Diagnostic], *, unsafe: bool = False) -> Fixed:
    """Apply the fixes of findings, each wholly or not at all, the first one first.

    A fix is left when it overlaps one that was applied, or no longer fits the text.

    Args:
        texts: file -> its present text.
        diagnostics: findings in output order; those without a fix are passed over.
        unsafe: whether to apply fixes that somebody has to look at, too.
    """
    chosen: dict[str, list[Edit]] = {}
    applied: list[Diagnostic] = []
    left: list[Diagnostic] = []
    for finding in diagnostics:
        fix = finding.fix
        if fix is None or (fix.applicability == "unsafe" and not unsafe):
            continue
        if _fits(texts, chosen, fix):
            for edit in fix.edits:
                chosen.setdefault(edit.file, []).append(edit)
            applied.append(finding)
        else:
            left.append(finding)
    changed = {file: apply_edits(texts[file], edits) for file, edits in sorted(chosen.items())}
    return Fixed({file: text for file, text in changed.items() if text != texts[file]}, tuple(applied), tuple(left))


def _fits(texts: Mapping[str, str], chosen: Mapping[str, list[Edit]], fix: Fix) -> bool:
    """Whether all edits of a fix can be made beside those already chosen."""
    if any(edit.file not in texts for edit in fix.edits):
        return False
    try:
        for file in {edit.file for edit in fix.edits}:
            apply_edits(texts[file], [*chosen.get(file, ()), *(e for e in fix.edits if e.file == file)])
    except ValueError:
        return False
    return True


def _line_starts(text: str) -> list[int]:
    starts = [match.start() for match in _LINE.finditer(text) if match.group()]
    if not starts or text.endswith(("\r", "\n")):
        starts.append(len(text))
    return starts


def _stretch(edit: Edit, text: str, starts: list[int]) -> tuple[int, int, str]:
    start = _offset(edit.line, edit.column, text, starts)
    end = _offset(edit.end_line, edit.end_column, text, starts)
    if end < start:
        raise ValueError(f"edit of line {edit.line} ends before it starts")
    return start, end, edit.text


def _offset(line: int, column: int, text: str, starts: list[int]) -> int:
    if not 1 <= line <= len(starts):
        raise ValueError(f"line {line} is outside the text")
    offset = starts[line - 1] + column - 1
    limit = starts[line] if line < len(starts) else len(text)
    if column < 1 or offset > limit:
        raise ValueError(f"column {column} is outside line {line}")
    return offset


def _overlap(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Two insertions at one place overlap as well: their order is nobody's to guess."""
    return other[0] < one[1] or other[0] == one[0]
