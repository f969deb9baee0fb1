"""The replay and loop tests on the other Pythons that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.12", "3.13", "3.14")
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


@pytest.mark.parametrize("version", FOUND)
def test_the_runtime_on_another_python(version: str) -> None:
    """The loop, the replay rule and the engine behave alike on every supported Python of this machine."""
    environment = ROOT / f".venv-{version}"
    python = environment / "bin" / "python"
    if not (environment / ".installed").exists():
        subprocess.run([FOUND[version], "-m", "venv", str(environment)], check=True)
        pins = ["--require-hashes", "-r", str(ROOT / "requirements.txt")]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *pins], check=True, stderr=subprocess.DEVNULL)
        (environment / ".installed").touch()
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
