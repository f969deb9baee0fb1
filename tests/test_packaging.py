"""Each folder is a distribution of its own; the root ships nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    options = ["-q", "--no-deps", "--no-build-isolation", "-w", folder]
    _run(sys.executable, "-m", "pip", "wheel", *options, *(ROOT / member for member in [*MODULES, "."]), cwd=folder)
    found = {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}
    assert len(found) == len(MODULES) + 1
    return {member: found["wfgen" if member == "." else f"wfgen_{member}"] for member in [*MODULES, "."]}


def _empty_environment(folder: Path) -> Path:
    """A new environment with nothing in it, not even pip; gives its Python."""
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=ROOT)
    return folder / "bin" / "python"


def _install(python: Path, *what: str | Path, cwd: Path) -> None:
    """Install into an environment with the pip of this one."""
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check", *what, cwd=cwd
    )


def _needed(names: Iterable[str]) -> set[str]:
    """Distributions that some ask for, and those that these ask for in turn, as they are called in requirements."""
    found, left = set[str](), [*names]
    while left:
        for text in metadata.requires(left.pop()) or ():
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(name)
                left.append(name)
    return found


def _pins(names: set[str]) -> str:
    """The part of the requirements that pins those: each pin goes on in indented lines."""
    parts = re.split(r"\n(?=\S)", (ROOT / "requirements.txt").read_text(encoding="utf-8"))
    return "\n".join(part for part in parts if canonicalize_name(re.split(r"[=\[ ]", part, maxsplit=1)[0]) in names)


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
    place = next(name for name in names if name.endswith("METADATA"))
    text = zipfile.ZipFile(wheels["."]).read(place).decode()
    for member in MODULES:
        assert f"Requires-Dist: wfgen-{member}==" in text


def test_the_wheels_install_together_into_an_empty_environment(wheels: dict[str, Path], tmp_path: Path) -> None:
    """From wheels alone, with the pins of what they ask for, the command answers, every module imports, and folder
    names do not."""
    environment = tmp_path / "env"
    python = _empty_environment(environment)
    pins = tmp_path / "pins.txt"
    pins.write_text(_pins(_needed(path.name.partition("-")[0] for path in wheels.values())), encoding="utf-8")
    _install(python, "--require-hashes", "-r", pins, cwd=tmp_path)
    _install(python, "--no-deps", *wheels.values(), cwd=tmp_path)
    _run(python, "-c", f"import {', '.join(MODULES.values())}", cwd=tmp_path)
    for name in MODULES:
        gone = subprocess.run([str(python), "-c", f"import {name}"], cwd=tmp_path, capture_output=True)
        assert gone.returncode == 1, f"`{name}` must not be importable"
    assert "wfgen 0.1.0" in _run(environment / "bin" / "wfgen", "--version", cwd=tmp_path)
    _run(sys.executable, "-m", "pip", "--python", python, "check", cwd=tmp_path)


def test_the_runtime_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    """`pip install ./runtime` in an empty environment gives a working `import wfgen`."""
    python = _empty_environment(tmp_path / "env")
    _install(python, wheels["runtime"], cwd=tmp_path)
    code = "import wfgen, sys; print(wfgen.__version__, 'libcst' in sys.modules)"
    assert _run(python, "-c", code, cwd=tmp_path).split() == ["0.1.0", "False"]
