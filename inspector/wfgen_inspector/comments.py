"""Comments that suppress findings: `# wfgen: ignore[WF101]`."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen_inspector.facts import Suppression

_SUPPRESSION = re.compile(r"#\s*wfgen:\s*ignore(?:\s*\[([^\]]*)\])?")


def suppressions(text: str, tree: ast.Module) -> tuple[Suppression, ...]:
    """All suppressing comments of a file, in order. Comments are told from strings by Python's own tokeniser."""
    if "wfgen:" not in text:
        return ()
    found: list[Suppression] = []
    statements: dict[int, tuple[int, int]] | None = None
    for token in _comments(text):
        comment = _SUPPRESSION.search(token.string)
        if comment is None:
            continue
        if statements is None:
            statements = _statement_lines(tree)
        line, column = token.start[0], token.start[1] + 1 + comment.start()
        codes = tuple(code.strip() for code in (comment[1] or "").split(",") if code.strip())
        span = Span(line=line, column=column, end_line=line, end_column=column + len(comment[0]))
        found.append(Suppression(line, codes, span, *statements.get(line, (line, line))))
    return tuple(found)


def _comments(text: str) -> Iterator[tokenize.TokenInfo]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):
        return  # the parser is more lenient in places; what came before counts


def _statement_lines(tree: ast.Module) -> dict[int, tuple[int, int]]:
    """Line -> first and last line of the innermost statement, or header of a compound one, that covers it."""
    lines: dict[int, tuple[int, int]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        end = node.end_lineno or node.lineno
        if body:
            first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
            end = min(end, max(node.lineno, first.lineno - 1))
        for line in range(node.lineno, end + 1):
            lines[line] = max(lines.get(line, (0, 0)), (node.lineno, end))
    return lines
