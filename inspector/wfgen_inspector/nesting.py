"""How deeply code is nested: LibCST's parser ends the process, or never ends, where Python's own only gives up."""

from __future__ import annotations

import ast
import io
import tokenize

MAX_DEPTH = 50
"""Syntax nodes within each other. LibCST takes up to 20 KiB of stack for each; 2 MiB in all is common."""
MAX_BRACKETS = 20
"""Brackets within each other, on top of that: those that only group are no syntax nodes."""
MAX_CASE_BRACKETS = 6
"""Brackets within each other after `case`, where each one makes LibCST's parser up to six times as slow."""

_LAYOUT = frozenset({tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT})


def is_deep(tree: ast.Module, text: str) -> bool:
    """Whether a file is nested more deeply than LibCST's parser can be trusted with.

    Args:
        tree: of the file.
        text: of the file, in which brackets are counted.
    """
    nodes: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        nodes = [child for node in nodes for child in ast.iter_child_nodes(node)]
    try:
        return bool(nodes) or _has_deep_brackets(text)
    except (tokenize.TokenError, SyntaxError):  # the parser is more lenient in places
        return True


def _has_deep_brackets(text: str) -> bool:
    depth, limit, is_start = 0, MAX_BRACKETS, True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if is_start:  # of a statement, or of the layout before it
            limit = MAX_CASE_BRACKETS if token.string == "case" else MAX_BRACKETS
        is_start = depth == 0 and token.type in _LAYOUT
        inside = 0
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        elif token.type == tokenize.STRING and _is_formatted(token.string):
            inside = _brackets_within(token.string)  # before Python 3.12 an f-string is one token
        if depth + inside > limit:
            return True
    return False


def _is_formatted(literal: str) -> bool:
    prefix, _, _ = literal.partition(literal[-1])
    return "f" in prefix.lower()


def _brackets_within(literal: str) -> int:
    depth = deepest = 0
    for character in literal:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(depth - 1, 0)
    return deepest
