"""Rendering the golden projects, whose whole prebuild tests/e2e/test_golden_projects.py compares and updates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_codegen import load_manifest, plan, render
from wfgen_inspector import inspect

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROJECTS = sorted(path.name for path in FIXTURES.iterdir() if (path / "input").is_dir())


def render_project(project: Path) -> tuple[str, dict[str, bytes]]:
    """The output folder and its files."""
    settings = Settings.load(project)
    inspection = inspect(settings, cache=False)
    assert not inspection.errors, inspection.diagnostics
    return inspection.manifest.output, render(inspection.manifest, settings)


@pytest.mark.parametrize("name", PROJECTS)
def test_golden_is_complete(name: str) -> None:
    """Over the expected files there is nothing to do, and the manifest in them is the one that they were made of."""
    settings = Settings.load(FIXTURES / name / "input")
    manifest = inspect(settings, cache=False).manifest
    output = FIXTURES / name / "expected" / manifest.output
    result = plan(render(manifest, settings), output)
    assert not result.drift
    assert not any(change.edited for change in result.changes)
    assert load_manifest(output) == manifest


def test_output_depends_on_nothing_else(tmp_path: Path) -> None:
    """Hash seed, working directory, place of the project and repetition leave every byte alone."""
    script = (
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_goldens import PROJECTS, render_project\n"
        "for name in PROJECTS:\n"
        "    for _ in range(2):\n"
        "        for path, content in render_project(Path(sys.argv[2]) / name / 'input')[1].items():\n"
        "            print(name, ascii(path), hashlib.sha256(content).hexdigest())\n"
    )
    copy = tmp_path / "elsewhere"
    shutil.copytree(FIXTURES, copy)
    texts = set()
    for seed, cwd, root in (("0", tmp_path, FIXTURES), ("1", copy, copy), ("4711", copy / "simple" / "input", copy)):
        done = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent), str(root)],
            cwd=cwd,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        texts.add(done.stdout)
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) > 100
