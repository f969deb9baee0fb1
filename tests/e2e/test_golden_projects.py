"""Golden projects: what a user writes, what `wfgen prebuild` makes of it, and what it prints.

`fixtures/<name>/input` is a project, `expected` holds the files that prebuild adds to it, and `expected.txt` what the
command prints. `WFGEN_UPDATE_GOLDENS=1` writes both anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROJECTS = sorted(path.name for path in FIXTURES.iterdir() if (path / "input").is_dir())
WFGEN = Path(sys.executable).with_name("wfgen")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but those in hidden ones."""
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return {f.as_posix(): (folder / f).read_bytes() for f in files if not any(p.startswith(".") for p in f.parts)}


@pytest.mark.parametrize("name", PROJECTS)
def test_prebuild_of_a_golden_project(name: str, tmp_path: Path) -> None:
    """Prebuild adds exactly the expected files, changes none of the user's, and prints what is expected."""
    project = tmp_path / "project"
    shutil.copytree(FIXTURES / name / "input", project, ignore=shutil.ignore_patterns("__pycache__", ".wfgen"))
    before = tree(project)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WFGEN_")} | {"NO_COLOR": "1"}
    done = subprocess.run([WFGEN, "prebuild"], cwd=project, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    after = tree(project)
    assert {path: after[path] for path in before} == before
    made = {path: content for path, content in after.items() if path not in before}
    expected, printed = FIXTURES / name / "expected", FIXTURES / name / "expected.txt"
    if os.environ.get("WFGEN_UPDATE_GOLDENS") == "1":
        shutil.rmtree(expected, ignore_errors=True)
        for path, content in made.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_bytes(content)
        printed.write_text(done.stdout, encoding="utf-8")
    assert made == tree(expected)
    assert done.stdout == printed.read_text(encoding="utf-8")
