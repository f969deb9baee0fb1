"""Fixes that put a few words in the place of others: from what is to be written to an edit that is safe there."""

from __future__ import annotations

from dataclasses import replace

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Edit
from wfgen_inspector.facts import Problem, Replace
from wfgen_inspector.positions import Text


def with_replacement(problem: Problem, path: str, text: Text) -> Problem:
    """A problem with the edit of its plain replacement; without the rewrite where a comment would be lost.

    Args:
        problem: any; one without such a rewrite is given back as it is.
        path: of the file in which it stands.
        text: of that file.
    """
    rewrite = problem.rewrite
    if not isinstance(rewrite, Replace):
        return problem
    span = rewrite.span
    if _loses_comment(span, rewrite.text, text.lines):
        return replace(problem, rewrite=None)
    new = _apart(span, rewrite.text, text.lines)
    return replace(problem, edits=(Edit(path, span.line, span.column, span.end_line, span.end_column, new),))


def _loses_comment(span: Span, new: str, lines: list[str]) -> bool:
    """Whether what looks like a comment stands in the stretch and not in what is written there."""
    ends = lines[span.line - 1 : span.end_line - 1]
    if ends:
        ends = [ends[0][span.column - 1 :], *ends[1:]]
    return any("#" in line and line[line.index("#") :].strip() not in new for line in ends)


def _apart(span: Span, new: str, lines: list[str]) -> str:
    """New code with a blank where it would run together with a word beside it, as in `return(f)()`."""
    if not new or (span.line, span.column) == (span.end_line, span.end_column):
        return new
    before = lines[span.line - 1][: span.column - 1][-1:]
    after = lines[span.end_line - 1][span.end_column - 1 :][:1]
    start = " " if _is_word(before) and _is_word(new[0]) else ""
    end = " " if _is_word(after) and _is_word(new[-1]) else ""
    return f"{start}{new}{end}"


def _is_word(character: str) -> bool:
    return character.isidentifier() or character.isdigit()
