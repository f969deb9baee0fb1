"""The inspector reads real code of every kind without falling over."""

from __future__ import annotations

import ast
import os
import sysconfig
import warnings
from pathlib import Path

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.body import build
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.reading import Reading

WHOLE = "WFGEN_TEST_WHOLE_STDLIB"
"""Set to 1, it adds the standard library's own tests: about twice as many files."""
SKIPPED = {"site-packages", "__pycache__", *(() if os.environ.get(WHOLE) == "1" else ("test", "tests", "idle_test"))}


def library_files() -> list[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    files = (path.relative_to(library) for path in library.rglob("*.py"))
    return sorted(path for path in files if not SKIPPED.intersection(path.parts))


def test_standard_library_is_read_without_a_crash(tmp_path: Path) -> None:
    """Every file of the library gives facts, or the error that Python itself has with it; none an internal error."""
    library = Path(sysconfig.get_path("stdlib"))
    refused: set[str] = set()
    count = 0
    for relative in library_files():
        data = (library / relative).read_bytes()
        target = tmp_path / relative.with_suffix(".workflow.py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        count += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(data, str(relative), "exec", dont_inherit=True, flags=0x400)  # 0x400: to a syntax tree only
        except (SyntaxError, ValueError):
            refused.add(target.relative_to(tmp_path).as_posix())
    assert count > 500
    found = inspect(Settings(project=tmp_path), cache=False)
    assert [d for d in found.diagnostics if d.code.startswith("WF9")] == []
    assert found.unreadable == refused
    assert len(found.sources) == count


def test_every_function_of_the_standard_library_can_be_walked_as_a_workflow(tmp_path: Path) -> None:
    """Taking each function's first parameter for the handle, the walk through its body ends without an error."""
    library = Path(sysconfig.get_path("stdlib"))
    count = 0
    program = Program(tmp_path, tmp_path, "wfgen_gen")
    for relative in library_files():
        try:
            text = (library / relative).read_text(encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, UnicodeDecodeError):
            continue
        place = SourcePath("a.workflow.py", "workflow", "files.a", "")
        module = Module("wfgen_gen.files.a", place.path, place.package, Text(text), tree)
        reading = Reading(place, module, program)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]
                build(reading, node, names[0] if names else None)
                count += 1
    assert count > 5_000
