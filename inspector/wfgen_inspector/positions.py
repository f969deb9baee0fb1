"""Spans and texts of syntax nodes.

`ast` counts columns in UTF-8 bytes from 0; wfgen counts characters from 1. Nodes inside f-strings have no reliable
positions before Python 3.12, so whoever walks into one asks for the span of the whole f-string instead.
"""

from __future__ import annotations

import ast
from functools import cached_property

from wfgen.manifest import Span

MAX_TEXT = 200
"""Characters of source that a node quotes."""

Located = ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias | ast.excepthandler | ast.pattern


class Text:
    """A file's text with `\\n` line ends, and what the positions of its syntax tree mean in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ascii = text.isascii()

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def column(self, line: int, offset: int) -> int:
        """1-based character column of a byte offset in a 1-based line."""
        if self._ascii:
            return offset + 1
        content = self.lines[line - 1]
        if content.isascii():
            return offset + 1
        return len(content.encode()[:offset].decode(errors="replace")) + 1

    def span(self, node: Located) -> Span:
        """Where a node stands."""
        return self.stretch(node, node)

    def stretch(self, first: Located, last: Located) -> Span:
        """From the start of one node to the end of another."""
        end_line = last.end_lineno or last.lineno
        end_offset = last.col_offset if last.end_col_offset is None else last.end_col_offset
        return Span(
            line=first.lineno,
            column=self.column(first.lineno, first.col_offset),
            end_line=end_line,
            end_column=self.column(end_line, end_offset),
        )

    def source(self, node: Located) -> str:
        """A node as written, on one line and not too long."""
        if node.end_lineno != node.lineno or node.end_col_offset is None:
            return self.normal(node)
        line = self.lines[node.lineno - 1]
        if self._ascii or line.isascii():
            return _short(line[node.col_offset : node.end_col_offset])
        return _short(line.encode()[node.col_offset : node.end_col_offset].decode(errors="replace"))

    def normal(self, node: ast.AST) -> str:
        """A node as Python would write it, on one line and not too long."""
        return _short(" ".join(ast.unparse(node).split("\n")))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
