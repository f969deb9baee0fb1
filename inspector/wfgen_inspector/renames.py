"""New names for steps whose name is taken: `wait` becomes `wait_2`."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen.names import is_step_name
from wfgen_inspector.facts import Replace
from wfgen_inspector.modules import Module


class Renames:
    """Names that are free in a workflow's file and the modules that are entered from it, each given once.

    Any text that stands in these files counts as taken.

    Args:
        module: the file.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._given: dict[tuple[str, Span], str] = {}
        self._read: set[str] = set()
        self._taken: set[str] = set()

    def of(self, name: str, node: ast.expr, module: Module) -> Replace | None:
        """What gives a step a name of its own; None unless the name is written there, in one literal.

        Args:
            name: which the step has now.
            node: the expression that names it.
            module: in whose file it stands.
        """
        text = module.text
        if not isinstance(node, ast.Constant) or node.lineno != node.end_lineno:
            return None
        line = text.lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode(errors="replace")
        quotes = _quotes(line)
        if quotes is None or ast.literal_eval(line) != name:
            return None
        span = text.span(node)
        if (module.path, span) not in self._given:
            self._given[module.path, span] = self._free(name, module)
        new = self._given[module.path, span]
        if not is_step_name(new):
            return None
        column = span.end_column - len(quotes)
        place = Span(line=span.line, column=column, end_line=span.line, end_column=column)
        return Replace(place, new.removeprefix(name), f"call it {new!r}", "unsafe")

    def _free(self, name: str, module: Module) -> str:
        for one in (self._module, module):
            if one.path not in self._read:
                self._read.add(one.path)
                self._taken |= set(_texts(one.tree))
        between = next((mark for mark in (" ", "_", "-", ".") if mark in name), "_")
        number = 2
        while (candidate := f"{name}{between}{number}") in self._taken:
            number += 1
        self._taken.add(candidate)
        return candidate


def _quotes(code: str) -> str | None:
    """The quotation marks around a literal; None if the code is something else, or several literals in a row."""
    try:
        tokens = [token for token in tokenize.generate_tokens(io.StringIO(code).readline) if token.string]
    except (tokenize.TokenError, SyntaxError):
        return None
    if [token.type for token in tokens] != [tokenize.STRING]:
        return None
    return code[-3:] if code.endswith(("'''", '"""')) and len(code) >= 6 else code[-1]


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
