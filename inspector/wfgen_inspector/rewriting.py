"""Fixes that rewrite source: from what is to be done with a piece of code to edits of the file's text.

The file is parsed a second time, with LibCST, whose trees keep every space and comment. That takes many times as long
as `ast`, so it is done only for files with something to mend; this module is loaded for those alone.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from keyword import iskeyword
from typing import Literal

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Edit
from wfgen_inspector.facts import AbsoluteImport, AddAwait, Problem
from wfgen_inspector.fixes import apply_edits
from wfgen_inspector.nesting import is_deep

_Key = tuple[int, int, int, int, type[cst.CSTNode]]


def with_edits(path: str, text: str, tree: ast.Module, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems of one file, with edits for those that can be mended by rewriting.

    Never raises: where LibCST cannot read the file, or the outcome were no Python, there are no edits.

    Args:
        path: of the file, for the edits.
        text: its text with `\\n` line ends.
        tree: the same, parsed.
        problems: in any order.
    """
    if is_deep(tree, text):
        return tuple(problems)
    try:
        rewriter = _Rewriter(path, text)
        found = {p: rewriter.edits(p) for p in problems if not p.edits}
    except (cst.ParserSyntaxError, cst.CSTValidationError, RecursionError, SyntaxError, ValueError):
        return tuple(problems)
    if not _is_python(text, [edit for edits in found.values() for edit in edits]):
        found = {problem: edits for problem, edits in found.items() if _is_python(text, edits)}
    return tuple(replace(problem, edits=found[problem]) if found.get(problem) else problem for problem in problems)


class _Rewriter:
    """One file as a LibCST tree, in which nodes are found by position."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        self._module = self._wrapper.module
        places = self._wrapper.resolve(PositionProvider)
        self._places = {node: _span(r) for node, r in places.items() if isinstance(node, cst.Call | cst.ImportFrom)}
        self._nodes = {_key(span, type(node)): node for node, span in reversed(self._places.items())}

    @cached_property
    def _parents(self) -> Mapping[cst.CSTNode, cst.CSTNode]:
        """The node around each node; imports do without."""
        return self._wrapper.resolve(ParentNodeProvider)

    def edits(self, problem: Problem) -> tuple[Edit, ...]:
        """What mends a problem; nothing if it cannot be mended safely."""
        match problem.rewrite:
            case AddAwait(call):
                return self._add_await(problem.span, call)
            case AbsoluteImport(module):
                return self._absolute_import(problem.span, module)
            case _:
                return ()

    # Calls

    def _add_await(self, span: Span, text: str) -> tuple[Edit, ...]:
        call = self._call(span, text)
        if call is None or not self._may_await(call) or self._is_part_of_awaited(call):
            return ()
        bare = call.with_changes(lpar=(), rpar=())
        code = self._module.code_for_node(bare)
        awaited = cst.Await(bare)
        if not call.lpar and (self._is_primary(call) or code.startswith("(")):  # `return(f)(x)` has no space to spare
            awaited = awaited.with_changes(lpar=(cst.LeftParen(),), rpar=(cst.RightParen(),))
        before, _, after = self._module.code_for_node(awaited).partition(code)
        place = self._places[call]
        start, end = (place.line, place.column), (place.end_line, place.end_column)
        edits = (Edit(self._path, *start, *start, before), Edit(self._path, *end, *end, after))
        return edits if after else edits[:1]

    def _call(self, span: Span, text: str) -> cst.Call | None:
        """The call that has a span, or the only one that reads like that in the f-string that has it."""
        if not text:
            call = self._nodes.get(_key(span, cst.Call))
            return call if isinstance(call, cst.Call) else None
        calls = ((node, place) for node, place in self._places.items() if isinstance(node, cst.Call))
        found = [node for node, place in calls if _contains(span, place) and self._normal(node) == text]
        return found[0] if len(found) == 1 else None

    def _normal(self, node: cst.BaseExpression) -> str:
        """An expression as Python would write it."""
        return ast.unparse(_parsed(f"({self._module.code_for_node(node)}\n)", "eval"))

    def _may_await(self, node: cst.CSTNode) -> bool:
        """Whether `await` can stand at a node, and makes nothing but the node asynchronous."""
        parent = self._parents.get(node)
        while parent is not None:
            match parent:
                case cst.FunctionDef(body=body) if node is body:
                    return parent.asynchronous is not None
                case cst.Lambda(body=body) | cst.ClassDef(body=body) if node is body:
                    return False
                case cst.Annotation() | cst.GeneratorExp():  # the generator would become an asynchronous one
                    return False
                case cst.CompFor(iter=first) if node is first and isinstance(self._parents[parent], cst.GeneratorExp):
                    parent = self._parents[parent]  # what a generator starts from is evaluated where it is made
                case _:
                    pass
            node, parent = parent, self._parents.get(parent)
        return False

    def _is_part_of_awaited(self, node: cst.CSTNode) -> bool:
        """Whether `await f().x` awaits something of a call's result: nobody can tell which of them was meant."""
        while self._is_primary(node):
            node = self._parents[node]
        return isinstance(self._parents[node], cst.Await)

    def _is_primary(self, node: cst.CSTNode) -> bool:
        """Whether something that binds more tightly than `await` follows a node: `.x`, `[x]` or `(x)`."""
        match self._parents[node]:
            case cst.Attribute(value=value) | cst.Subscript(value=value) | cst.Call(func=value):
                return value is node
            case _:
                return False

    # Imports

    def _absolute_import(self, span: Span, module: str) -> tuple[Edit, ...]:
        found = self._nodes.get(_key(span, cst.ImportFrom))
        if not isinstance(found, cst.ImportFrom) or not all(map(_is_identifier, module.split(".") if module else ())):
            return ()
        statement = found.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
        old = self._module.code_for_node(statement)
        if module:
            return self._changed(span, old, self._module.code_for_node(_from_module(statement, module)))
        if isinstance(statement.names, cst.ImportStar) or "#" in old:
            return ()  # `import` takes no star, and no brackets, between which comments stand
        new = self._module.code_for_node(_from_root(statement, statement.names))
        if statement.lpar is None:
            return self._changed(span, old, new)
        return (Edit(self._path, span.line, span.column, span.end_line, span.end_column, new),)

    def _changed(self, span: Span, old: str, new: str) -> tuple[Edit, ...]:
        """The edit that makes the new code of the old one, which starts where the span does.

        What differs must stand before any bracket: behind one, LibCST's code of a single node lacks the indentation of
        the block around it.
        """
        start = _alike(old, new)
        same = _alike(old[start:][::-1], new[start:][::-1])
        first, last = _place(span, old[:start]), _place(span, old[: len(old) - same])
        return (Edit(self._path, *first, *last, new[start : len(new) - same]),)


def _from_module(statement: cst.ImportFrom, module: str) -> cst.ImportFrom:
    """`from .a import b` as `from package.a import b`."""
    after, before = statement.whitespace_after_from, statement.whitespace_before_import
    space = cst.SimpleWhitespace(" ")
    return statement.with_changes(
        relative=(),
        module=cst.parse_expression(module),
        whitespace_after_from=space if after.empty else after,
        whitespace_before_import=space if before.empty else before,
    )


def _from_root(statement: cst.ImportFrom, aliases: Sequence[cst.ImportAlias]) -> cst.Import:
    """`from . import a, b as c` as `import a, b as c`, on one line if it was in brackets."""
    if statement.lpar is None:
        return cst.Import(names=aliases, whitespace_after_import=statement.whitespace_after_import)
    names = [(alias.name, alias.asname and cst.AsName(alias.asname.name)) for alias in aliases]
    return cst.Import(names=[cst.ImportAlias(name, asname) for name, asname in names])


def _key(span: Span, kind: type[cst.CSTNode]) -> _Key:
    """What a node is found by; comparing spans themselves takes many times as long."""
    return span.line, span.column, span.end_line, span.end_column, kind


def _span(place: CodeRange) -> Span:
    start, end = place.start, place.end
    return Span(line=start.line, column=start.column + 1, end_line=end.line, end_column=end.column + 1)


def _contains(outer: Span, inner: Span) -> bool:
    return (outer.line, outer.column) <= (inner.line, inner.column) and (inner.end_line, inner.end_column) <= (
        outer.end_line,
        outer.end_column,
    )


def _place(span: Span, code: str) -> tuple[int, int]:
    """Line and column after some code that starts where a span does."""
    line, newline, last = span.line + code.count("\n"), code.rpartition("\n")[1], code.rpartition("\n")[2]
    return line, len(last) + 1 if newline else span.column + len(code)


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common at their start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _is_identifier(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _is_python(text: str, edits: Sequence[Edit]) -> bool:
    """Whether a file is still Python after some edits, which must not overlap."""
    try:
        _parsed(apply_edits(text, edits), "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parsed(code: str, mode: Literal["exec", "eval"]) -> ast.AST:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the user's code, such as invalid escapes: not ours to print
        return ast.parse(code, mode=mode)
