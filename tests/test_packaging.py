"""Each folder is a distribution of its own; the root ships nothing."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    "runtime": "wfgen",
    "inspector": "wfgen_inspector",
    "templates": "wfgen_templates",
    "codegen": "wfgen_codegen",
    "cli": "wfgen_cli",
}


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A built wheel for each distribution, the root's included."""
    folder = tmp_path_factory.mktemp("wheels")
    built = {}
    for member in [*MODULES, "."]:
        out = folder / member.replace(".", "root")
        _run(
            sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, ROOT / member,
            cwd=folder,
        )  # fmt: skip
        (built[member],) = out.glob("*.whl")
    return built


@pytest.mark.parametrize("member", sorted(MODULES))
def test_a_wheel_holds_its_own_module_and_nothing_else(wheels: dict[str, Path], member: str) -> None:
    """Each member's wheel has one top-level package, typed; no folder name becomes an importable name."""
    names = zipfile.ZipFile(wheels[member]).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {MODULES[member]}
    assert f"{MODULES[member]}/py.typed" in names


def test_the_root_wheel_ships_no_module(wheels: dict[str, Path]) -> None:
    """The distribution `wfgen` only pins the five."""
    names = zipfile.ZipFile(wheels["."]).namelist()
    assert all(".dist-info/" in name for name in names)
    metadata = next(name for name in names if name.endswith("METADATA"))
    text = zipfile.ZipFile(wheels["."]).read(metadata).decode()
    for member in MODULES:
        assert f"Requires-Dist: wfgen-{member}==" in text


def test_the_wheels_install_together_into_an_empty_environment(wheels: dict[str, Path], tmp_path: Path) -> None:
    """From wheels alone the command answers, every module imports, and folder names do not."""
    environment = tmp_path / "env"
    _run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    pins = ["--require-hashes", "-r", str(ROOT / "requirements.txt")]
    _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *pins, cwd=tmp_path)
    _run(
        python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", *wheels.values(), cwd=tmp_path
    )
    _run(python, "-c", f"import {', '.join(MODULES.values())}", cwd=tmp_path)
    for name in MODULES:
        gone = subprocess.run([str(python), "-c", f"import {name}"], cwd=tmp_path, capture_output=True)
        assert gone.returncode == 1, f"`{name}` must not be importable"
    assert "wfgen 0.1.0" in _run(environment / "bin" / "wfgen", "--version", cwd=tmp_path)
    _run(python, "-m", "pip", "check", cwd=tmp_path)


def test_the_runtime_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    """`pip install ./runtime` in an empty environment gives a working `import wfgen`."""
    environment = tmp_path / "env"
    _run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheels["runtime"], cwd=tmp_path)
    code = "import wfgen, sys; print(wfgen.__version__, 'libcst' in sys.modules)"
    assert _run(python, "-c", code, cwd=tmp_path).split() == ["0.1.0", "False"]
