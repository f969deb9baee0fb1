"""Nothing is dropped, on real code: each function of the standard library, its first parameter taken for the handle."""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from wfgen.manifest import Span, walk
from wfgen_inspector.body import build
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.reading import Reading

WHOLE = os.environ.get("WFGEN_TEST_WHOLE_STDLIB") == "1"
"""Every file of the library; else each third one."""
LIBRARY = Path(sysconfig.get_path("stdlib"))
KINDS = frozenset({"step", "use", "opaque", "parallel", "sequence"})
CODES = frozenset({"WF104", "WF105", "WF306"})
Function = ast.FunctionDef | ast.AsyncFunctionDef
_BINDERS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def sample() -> Iterator[Path]:
    """Top-level modules and packages of the library, without its tests."""
    skipped = {"site-packages", "test", "tests", "idle_test", "idlelib", "lib2to3"}
    paths = sorted(path for path in LIBRARY.rglob("*.py") if not skipped.intersection(path.relative_to(LIBRARY).parts))
    return iter(paths if WHOLE else paths[::3])


def loads(function: Function, name: str) -> list[ast.Name]:
    """Where a function reads its parameter; none if anything else is bound to the name, or where it is in an f-string,
    whose positions Python 3.11 does not know."""
    found: list[ast.Name] = []
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Name) and node.id == name:
            if not isinstance(node.ctx, ast.Load):
                return []
            found.append(node)
        if isinstance(node, _BINDERS) and not isinstance(node, ast.ClassDef):
            arguments = node.args
            if any(argument.arg == name for argument in ast.walk(arguments) if isinstance(argument, ast.arg)):
                return []
        bound = getattr(node, "name", None), *getattr(node, "names", ())
        if name in bound or any(
            isinstance(alias, ast.alias) and (alias.asname or alias.name) == name for alias in bound
        ):
            return []
        if not isinstance(node, ast.JoinedStr):
            left += ast.iter_child_nodes(node)
    return found


def covers(span: Span, node: ast.Name) -> bool:
    place = (node.lineno, node.col_offset + 1)
    return (span.line, span.column) <= place < (span.end_line, span.end_column)


def unaccounted(reading: Reading, function: Function) -> tuple[int, list[ast.Name]]:
    """How often the parameter is read, and which of these show neither as a node nor as a finding."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    uses = loads(function, parameters[0].arg) if parameters else []
    if not uses:
        return 0, []
    before = len(reading.problems)
    body = build(reading, function, parameters[0].arg)
    spans = [node.span for node in walk(body.nodes) if node.file is None and node.kind in KINDS]
    spans += [p.span for p in reading.problems[before:] if p.file is None and p.code in CODES]
    return len(uses), [use for use in uses if not any(covers(span, use) for span in spans)]


def test_every_use_in_real_code_is_a_node_or_a_finding(tmp_path: Path) -> None:
    """Attributes, calls, aliases, closures, comprehensions, generators, `with`, `del`: whatever people write."""
    total, functions, missing = counted(tmp_path)
    assert total > 10_000
    assert functions > 3_000
    assert not missing, "\n".join(missing[:40])


def test_the_count_notices_what_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property is able to fail: without the findings of escapes many uses are missing."""
    monkeypatch.setattr(sys.modules[__name__], "CODES", frozenset())
    monkeypatch.setattr(sys.modules[__name__], "KINDS", KINDS - {"opaque"})
    total, _, missing = counted(tmp_path)
    assert len(missing) > total / 4


def counted(tmp_path: Path) -> tuple[int, int, list[str]]:
    """Uses, functions with uses, and the uses that show nowhere."""
    total = functions = 0
    missing: list[str] = []
    program = Program(tmp_path, tmp_path, "wfgen_gen")
    for path in sample():
        try:
            text = path.read_text(encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        if not text.isascii():
            continue  # columns of `ast` count bytes
        place = SourcePath("a.workflow.py", "workflow", "files.a", "")
        module = Module("wfgen_gen.files.a", place.path, place.package, Text(text), tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count, left = unaccounted(Reading(place, module, program), node)
                total += count
                functions += count > 0
                missing += [f"{path.name}:{use.lineno}:{use.col_offset + 1} in {node.name}" for use in left]
    return total, functions, missing
