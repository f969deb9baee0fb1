"""The inspector reads real code of every kind without falling over.

By default that is each eighth file of the standard library, without its tests, and of some packages that are installed
for wfgen's tests.
"""

from __future__ import annotations

import ast
import itertools
import os
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.body import build
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.modules import Module
from wfgen_inspector.positions import Text
from wfgen_inspector.program import Program
from wfgen_inspector.reading import Reading

WHOLE = os.environ.get("WFGEN_TEST_WHOLE_STDLIB") == "1"
"""Every file, and the standard library's own tests: about sixteen times as many."""
MORE = os.environ.get("WFGEN_TEST_PACKAGES") == "1"
"""Adds twenty large packages, which are installed for it."""
PACKAGES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "sympy", "networkx", "django", "sqlalchemy", "twisted"),
    *("celery", "sphinx", "ipython", "aiohttp", "botocore", "ansible-core", "transformers", "sqlglot", "dask", "bokeh"),
)
INSTALLED_PACKAGES = frozenset({"_pytest", "hypothesis", "pydantic", "rich"})
LIBRARY = Path(sysconfig.get_path("stdlib"))
INSTALLED = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of Python files."""
    if not MORE:
        return [LIBRARY, INSTALLED]
    folder = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
    subprocess.run(pip, check=True)
    return [LIBRARY, INSTALLED, folder]


def files_of(folder: Path) -> Iterator[Path]:
    """Python files of a corpus, relative to it."""
    return itertools.islice(_all_of(folder), 0, None, 1 if WHOLE else 8)


def _all_of(folder: Path) -> Iterator[Path]:
    skipped = {"site-packages", "__pycache__", "node_modules"}
    if folder == LIBRARY and not WHOLE:
        skipped |= {"test", "tests", "idle_test"}
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        is_wanted = folder != INSTALLED or relative.parts[0] in INSTALLED_PACKAGES
        is_visible = not any(part.startswith(".") for part in relative.parts)
        if is_wanted and is_visible and not skipped.intersection(relative.parts) and ".workflow." not in path.name:
            yield relative


def test_real_code_is_read_without_a_crash(tmp_path: Path, corpora: list[Path]) -> None:
    """Every file gives facts, or the error that Python itself has with it; none an internal error."""
    for number, folder in enumerate(corpora):
        refused: set[str] = set()
        count = 0
        project = tmp_path / str(number)
        for relative in files_of(folder):
            data = (folder / relative).read_bytes()
            target = project / relative.with_suffix(".workflow.py")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            count += 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(data, str(relative), "exec", dont_inherit=True, flags=0x400)  # 0x400: to a tree only
            except (SyntaxError, ValueError):
                refused.add(target.relative_to(project).as_posix())
        assert count > 40
        found = inspect(Settings(project=project), cache=False)
        assert [d for d in found.diagnostics if d.code.startswith("WF9")] == []
        assert found.unreadable == refused
        assert len(found.sources) == count


def test_every_function_of_real_code_can_be_walked_as_a_workflow(corpora: list[Path]) -> None:
    """Taking each function's first parameter for the handle, the walk through its body ends without an error."""
    for folder in corpora:
        count = 0
        program = Program(folder, folder, "wfgen_gen")
        for relative in itertools.islice(files_of(folder), 0, None, 1 if WHOLE else 2):
            try:
                text = (folder / relative).read_text(encoding="utf-8")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                continue
            place = SourcePath(relative.as_posix(), "workflow", "files.a", ".".join(relative.parent.parts))
            name = ".".join((*relative.parent.parts, relative.stem)).removesuffix(".__init__")
            module = Module(name, place.path, place.package, Text(text), tree)
            reading = Reading(place, module, program)
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    names = [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]
                    build(reading, node, names[0] if names else None)
                    count += 1
        assert count > 250
