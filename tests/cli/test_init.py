"""`wfgen init`, and the project that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
FILES = [
    ".gitignore",
    "flows/__init__.py",
    "flows/greeting.workflow.py",
    "flows/models.py",
    "flows/phrases.worker.py",
    "main.py",
    "pyproject.toml",
]


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def initial(empty: Any) -> Any:
    """The command in a folder after `wfgen init`."""
    done = empty("init")
    assert done.returncode == 0, done.stderr
    return empty


def test_files(initial: Any) -> None:
    """It writes a small project and says what to do next."""
    assert _files(initial.folder) == FILES
    assert tomllib.loads((initial.folder / "pyproject.toml").read_text())["project"]["name"] == "empty"
    again = initial("init")
    assert "wfgen prebuild" in again.stderr


def test_existing_files_stay(empty: Any) -> None:
    """A file that exists is left as it is, and named."""
    empty.write("pyproject.toml", "# mine\n")
    empty.write("main.py", "# mine too\n")
    done = empty("init")
    assert done.returncode == 0
    assert "exists  pyproject.toml" in done.stdout
    assert (empty.folder / "pyproject.toml").read_text() == "# mine\n"
    assert (empty.folder / "main.py").read_text() == "# mine too\n"
    assert _files(empty.folder) == FILES
    assert "Nothing to write" in empty("init").stderr


def test_other_folder(empty: Any) -> None:
    """A folder that is named is made, and the next steps begin by going there."""
    done = empty("init", "some where/my Shop")
    assert done.returncode == 0
    assert _files(empty.folder / "some where/my Shop") == FILES
    assert "cd 'some where/my Shop'" in done.stderr
    name = tomllib.loads((empty.folder / "some where/my Shop/pyproject.toml").read_text())["project"]["name"]
    assert name == "my-shop"


def test_folder_that_cannot_be_written(empty: Any) -> None:
    """Where nothing can be written, it says so."""
    empty.write("taken", "a file")
    done = empty("init", "taken")
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF610]: ")
    assert "taken" in done.stderr


def test_it_prebuilds_checks_and_runs(initial: Any) -> None:
    """The new project prebuilds, has no findings, and runs, by the command line and by its own program."""
    prebuilt = initial("prebuild")
    assert prebuilt.returncode == 0, prebuilt.stdout
    assert prebuilt.stdout.startswith("1 workflow, 1 worker: ")
    assert initial("check", "--strict").returncode == 0
    assert initial.json("run", "greeting", "--input", '{"name": "Ada", "language": "fr"}') == {
        "text": "Bonjour, Ada!",
        "characters": 13,
    }
    program = subprocess.run(
        [sys.executable, "main.py"], cwd=initial.folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert program.stdout.splitlines()[-1] == "Hello, Ada!"


def test_it_type_checks(initial: Any) -> None:
    """mypy --strict and basedpyright accept the new project, and refuse a wrong call of its client."""
    assert initial("prebuild").returncode == 0
    good = (initial.folder / "main.py").read_text()
    initial.write("wrong.py", good.replace('Person(name="Ada")', '"Ada"'))
    paths = [str(p.relative_to(initial.folder)) for p in sorted(initial.folder.rglob("*.py"))]
    mypy = _checked(initial.folder, "mypy", "--strict", "--no-error-summary", *paths)
    assert len(mypy) == 1, mypy
    assert mypy[0].startswith('wrong.py:11: error: Argument 1 to "start" of "GreetingClient" has incompatible type')
    pyright = _checked(
        initial.folder, "basedpyright", "--level", "error", "--pythonpath", sys.executable, "--outputjson"
    )
    found = json.loads("".join(pyright))["generalDiagnostics"]
    assert [(Path(d["file"]).name, d["rule"]) for d in found] == [("wrong.py", "reportArgumentType")]


def _checked(folder: Path, checker: str, *words: str) -> list[str]:
    done = subprocess.run([BIN / checker, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout.splitlines()
