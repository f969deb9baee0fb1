"""Which files are found, and where the generated package belongs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings
from wfgen_inspector.discovery import discover

Make = Callable[..., Settings]


def modules(settings: Settings) -> dict[str, str]:
    return {source.path: source.module for source in discover(settings).sources}


@pytest.mark.parametrize(
    ("files", "output", "package", "expected"),
    [
        ("flows/a.workflow.py flows/b.worker.py", "flows/wfgen_gen", "flows.wfgen_gen", "a b_worker"),
        ("a.workflow.py", "wfgen_gen", "wfgen_gen", "a"),
        ("one/a.workflow.py two/a.workflow.py", "wfgen_gen", "wfgen_gen", "one.a two.a"),
        ("flows/sub/a.workflow.py flows/a.workflow.py", "flows/wfgen_gen", "flows.wfgen_gen", "a sub.a"),
        ("src/app/a.workflow.py", "src/app/wfgen_gen", "app.wfgen_gen", "a"),
        ("src/a.workflow.py", "src/wfgen_gen", "wfgen_gen", "a"),
        ("not-a-name/a.workflow.py", "wfgen_gen", "wfgen_gen", "not_a_name.a"),
        ("flows/my-flow.v2.workflow.py", "flows/wfgen_gen", "flows.wfgen_gen", "my_flow_v2"),
        ("flows/class.workflow.py flows/2.worker.py", "flows/wfgen_gen", "flows.wfgen_gen", "_2_worker class_"),
        ("", "wfgen_gen", "wfgen_gen", ""),
    ],
)
def test_layouts(make: Make, files: str, output: str, package: str, expected: str) -> None:
    """One top-level package holds its generated package; flat and mixed layouts have it in the import root."""
    layout = discover(make(dict.fromkeys(files.split(), "x = 1\n")))
    assert (layout.output, layout.package) == (output, package)
    assert sorted(source.module for source in layout.sources) == [f"files.{name}" for name in expected.split()]
    assert [source.path for source in layout.sources] == sorted(files.split())


def test_the_output_may_be_set(make: Make) -> None:
    """Modules are named relative to the folder around the output, or to the import root when they lie elsewhere."""
    settings = make({"app/flows/a.workflow.py": "", "lib/b.workflow.py": ""}, output="app/generated")
    layout = discover(settings)
    assert (layout.output, layout.package) == ("app/generated", "app.generated")
    assert modules(settings) == {"app/flows/a.workflow.py": "files.flows.a", "lib/b.workflow.py": "files.lib.b"}


def test_folders_that_are_not_sources_are_left_out(make: Make) -> None:
    """Hidden folders, environments, caches, the output and what is excluded are not searched."""
    found = make(
        {
            "flows/a.workflow.py": "",
            "flows/wfgen_gen/files/b.workflow.py": "",
            ".venv/c.workflow.py": "",
            "env/pyvenv.cfg": "",
            "env/lib/d.workflow.py": "",
            "node_modules/e.workflow.py": "",
            "flows/__pycache__/f.workflow.py": "",
            "flows/.hidden.workflow.py": "",
            "legacy/g.workflow.py": "",
            "flows/tests/h.workflow.py": "",
            "flows/i_old.workflow.py": "",
            "flows/workflow.py": "",
        },
        exclude=("legacy", "**/tests/*", "flows/*_old.workflow.py"),
    )
    assert list(modules(found)) == ["flows/a.workflow.py"]


def test_stubs_beside_sources_are_noted(make: Make) -> None:
    """Only a stub with a source beside it is one."""
    layout = discover(make({"flows/a.workflow.py": "", "flows/a.workflow.pyi": "", "flows/b.workflow.pyi": ""}))
    assert layout.stubs == (("flows/a.workflow.pyi", "flows/a.workflow.py"),)


def test_the_package_of_a_file_is_that_below_the_import_root(make: Make) -> None:
    """Relative imports start at the package in which the file lies."""
    layout = discover(make({"src/app/sub/a.workflow.py": "", "src/b.workflow.py": "", "c.workflow.py": ""}))
    assert {s.path: s.package for s in layout.sources} == {
        "c.workflow.py": "",
        "src/app/sub/a.workflow.py": "app.sub",
        "src/b.workflow.py": "",
    }


def test_links_to_folders_are_not_followed(make: Make, tmp_path: Path) -> None:
    """A link that leads upwards does not make the search endless."""
    settings = make({"flows/a.workflow.py": ""})
    (tmp_path / "flows" / "loop").symlink_to(tmp_path)
    assert list(modules(settings)) == ["flows/a.workflow.py"]


def test_a_folder_that_cannot_be_listed_is_noted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is dropped in silence: the folder and the reason are kept."""
    settings = make({"flows/a.workflow.py": "", "closed/b.workflow.py": ""})
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    layout = discover(settings)
    assert layout.unreadable == (("closed", "Permission denied"),)
    assert [s.path for s in layout.sources] == ["flows/a.workflow.py"]


def test_an_import_root_outside_the_project_is_searched(tmp_path: Path) -> None:
    """Its files have paths that lead there."""
    (tmp_path / "project").mkdir()
    (tmp_path / "lib" / "flows").mkdir(parents=True)
    (tmp_path / "lib" / "flows" / "a.workflow.py").write_text("")
    layout = discover(Settings(project=tmp_path / "project", root="../lib"))
    assert [(s.path, s.module) for s in layout.sources] == [("../lib/flows/a.workflow.py", "files.a")]
    assert (layout.output, layout.package) == ("../lib/flows/wfgen_gen", "flows.wfgen_gen")
