"""Golden projects and their clients under mypy --strict and pyright, each one process for all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_codegen import mypy_call
from wfgen_inspector import inspect

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASES = Path(__file__).parent / "typing_cases"


@dataclass(frozen=True)
class Workbench:
    """All golden projects, generated, side by side; their packages have different names."""

    folder: Path
    roots: tuple[Path, ...]
    """Import roots, and the folder of the cases."""
    paths: tuple[str, ...]
    """What mypy is given, relative to the folder."""


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder = tmp_path_factory.mktemp("typing")
    roots, paths, options = [folder / "cases"], ["cases"], set()
    shutil.copytree(CASES, folder / "cases")
    for fixture in sorted(path for path in FIXTURES.iterdir() if (path / "expected").is_dir()):
        project = folder / fixture.name
        shutil.copytree(fixture / "input", project)
        shutil.copytree(fixture / "expected", project, dirs_exist_ok=True)
        settings = Settings.load(project)
        call = mypy_call(inspect(settings, cache=False).manifest, settings)
        roots.append(settings.import_root)
        options.add(tuple(argument for argument in call.arguments if argument.startswith("-")))
        paths += [f"{fixture.name}/{path}" for path in call.arguments if not path.startswith("-")]
    (common,) = options
    return Workbench(folder, tuple(roots), (*common, *paths))


def test_mypy_strict(workbench: Workbench) -> None:
    """mypy --strict accepts sources, generated code and right calls, and refuses each wrong call for its reason."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", ".mypy", *workbench.paths],
        cwd=workbench.folder,
        env={**os.environ, "MYPYPATH": os.pathsep.join(str(root) for root in workbench.roots)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_pyright(workbench: Workbench) -> None:
    """pyright does the same."""
    settings = {
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportUnusedCoroutine": "error",
        "include": ["."],
        "extraPaths": [str(root) for root in workbench.roots],
    }
    (workbench.folder / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=workbench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    found = [
        f"{Path(d['file']).name}:{d['range']['start']['line'] + 1}: {d['rule']}: {d['message']}"
        for d in report["generalDiagnostics"]
    ]
    assert found == []
    assert report["summary"]["filesAnalyzed"] > 100


def test_the_call_for_mypy_names_files_and_root() -> None:
    """mypy gets the sources by path, the generated package by folder, and the import root of a `src` layout."""
    settings = Settings.load(FIXTURES / "src_layout" / "input")
    call = mypy_call(inspect(settings, cache=False).manifest, settings)
    assert call.arguments[2:] == (
        "src/shop/checkout/cards.worker.py",
        "src/shop/checkout/checkout.workflow.py",
        "src/shop/wfgen_gen",
    )
    assert call.environment["MYPYPATH"].split(os.pathsep)[0] == str(settings.import_root)


def test_the_checkers_see_the_cases() -> None:
    """The cases do hold refusals for both checkers, so that the silence above means something."""
    text = "".join(path.read_text() for path in CASES.glob("*.py"))
    assert text.count("# type: ignore[") == text.count("# pyright: ignore[") > 25
