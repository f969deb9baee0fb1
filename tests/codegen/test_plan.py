"""One plan serves writing, `--check` and `--diff`, and never destroys what is not wfgen's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wfgen_codegen import plan, render
from wfgen_codegen.errors import OutputEditedError, OutputWriteError, TemplateError


@pytest.fixture
def files(make: Any) -> dict[str, bytes]:
    return render(make.project(make.workflow("a"), make.workflow("crm.b"), make.worker()), make.settings)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_writes_what_was_rendered(files: dict[str, bytes], tmp_path: Path) -> None:
    """A new folder gets exactly the rendered files, and nothing is left beside them."""
    out = tmp_path / "deep" / "gen"
    first = plan(files, out)
    assert first.drift
    assert {change.action for change in first.changes} == {"create"}
    assert not out.exists()
    first.apply()
    assert {path: content for path, (content, _) in snapshot(out).items()} == files
    assert not plan(files, out).drift
    assert plan(files, out).diff() == ""


def test_unchanged_files_are_not_touched(files: dict[str, bytes], make: Any, tmp_path: Path) -> None:
    """Only what differs is written; the other files keep their modification time."""
    plan(files, tmp_path).apply()
    before = snapshot(tmp_path)
    changed = render(make.project(make.workflow("a", doc="New."), make.workflow("crm.b"), make.worker()), make.settings)
    result = plan(changed, tmp_path)
    result.apply()
    after = snapshot(tmp_path)
    updated = {path for path in after if after[path] != before[path]}
    assert updated == {c.path for c in result.changes if c.action == "update"}
    assert "clients/a.py" in updated
    assert not updated & {"clients/crm/b.py", "workers.py", "registry.py", "__init__.py"}


def test_line_ends_are_no_drift(files: dict[str, bytes], tmp_path: Path) -> None:
    """A checkout with the line ends of Windows is not rewritten."""
    plan(files, tmp_path).apply()
    for path in files:
        (tmp_path / path).write_bytes(files[path].replace(b"\n", b"\r\n"))
    assert not plan(files, tmp_path).drift


def test_orphans_are_removed(files: dict[str, bytes], make: Any, tmp_path: Path) -> None:
    """Files of a workflow that is gone are deleted, with their compiled forms and their empty folders."""
    plan(files, tmp_path).apply()
    cache = tmp_path / "clients" / "crm" / "__pycache__"
    cache.mkdir()
    (cache / "b.cpython-311.pyc").write_bytes(b"")
    (cache / "__init__.cpython-311.pyc").write_bytes(b"")
    fewer = render(make.project(make.workflow("a"), make.worker()), make.settings)
    result = plan(fewer, tmp_path)
    assert {c.path for c in result.changes if c.action == "delete"} == set(files) - set(fewer)
    result.apply()
    assert set(snapshot(tmp_path)) == set(fewer)
    assert not (tmp_path / "clients" / "crm").exists()


def test_foreign_files_are_left_alone(files: dict[str, bytes], tmp_path: Path) -> None:
    """A file that the user put into the folder is neither deleted nor reported."""
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "mine.py").write_text("x = 1\n")
    (tmp_path / "notes.md").write_text("mine\n")
    result = plan(files, tmp_path)
    assert not {"notes.md", "clients/mine.py"} & {change.path for change in result.changes}
    result.apply(force=True)
    plan({}, tmp_path).apply(force=True)
    assert set(snapshot(tmp_path)) == {"notes.md", "clients/mine.py"}


@pytest.mark.parametrize("path", ["client.py", "registry.py", "clients/a.py", "manifest/index.json", "diagrams/a@1.md"])
def test_edited_files_stop_the_write(files: dict[str, bytes], make: Any, tmp_path: Path, path: str) -> None:
    """A generated file that was edited is not overwritten without force; the error names it and nothing is written."""
    plan(files, tmp_path).apply()
    text = (tmp_path / path).read_text().replace("a", "b", 40)
    (tmp_path / path).write_text(text)
    before = snapshot(tmp_path)
    result = plan(files, tmp_path)
    assert result.drift
    assert [change.path for change in result.conflicts] == [path]
    with pytest.raises(OutputEditedError, match="--force") as caught:
        result.apply()
    assert caught.value.code == "WF602"
    assert caught.value.paths == (path,)
    assert str(tmp_path / path) in str(caught.value)
    assert snapshot(tmp_path) == before
    result.apply(force=True)
    assert (tmp_path / path).read_bytes() == files[path]


def test_foreign_file_in_the_way_stops_the_write(files: dict[str, bytes], tmp_path: Path) -> None:
    """A path that wfgen needs may hold the user's own file: that is never overwritten unasked."""
    (tmp_path / "client.py").write_text("mine = True\n")
    with pytest.raises(OutputEditedError, match=r"client\.py"):
        plan(files, tmp_path).apply()
    assert set(snapshot(tmp_path)) == {"client.py"}


def test_edited_orphans_stay(files: dict[str, bytes], make: Any, tmp_path: Path) -> None:
    """An orphan that was edited is kept and reported, is no drift, and goes with force."""
    plan(files, tmp_path).apply()
    edited = tmp_path / "clients" / "crm" / "b.py"
    edited.write_text(edited.read_text() + "# mine\n")
    fewer = render(make.project(make.workflow("a"), make.worker()), make.settings)
    plan(fewer, tmp_path).apply()
    result = plan(fewer, tmp_path)
    assert edited.exists()
    assert [change.path for change in result.kept] == ["clients/crm/b.py"]
    assert not result.drift
    assert result.diff() == ""
    result.apply(force=True)
    assert not edited.exists()


def test_kept_paths_are_no_orphans(files: dict[str, bytes], make: Any, tmp_path: Path) -> None:
    """What belongs to a source that cannot be read just now is not deleted."""
    plan(files, tmp_path).apply()
    fewer = render(make.project(make.workflow("a"), make.worker()), make.settings)
    result = plan(fewer, tmp_path, keep=("clients/crm/", "diagrams/crm.b@1.md"))
    assert not [change for change in result.changes if change.action == "delete"]
    assert not [change for change in plan({}, tmp_path, keep=("",)).changes if change.action == "delete"]


def test_diff_is_unified_and_sorted(files: dict[str, bytes], make: Any, tmp_path: Path) -> None:
    """The diff shows creations, updates and deletions in the order of their paths."""
    plan(files, tmp_path).apply()
    changed = render(make.project(make.workflow("a", doc="New."), make.workflow("z"), make.worker()), make.settings)
    diff = plan(changed, tmp_path).diff()
    heads = [line[4:] for line in diff.splitlines() if line.startswith("+++ ")]
    sources = [line[4:] for line in diff.splitlines() if line.startswith("--- ")]
    assert "b/clients/z.py" in heads
    assert "a/clients/crm/b.py" in sources
    assert "/dev/null" in heads
    assert '+    """New."""' in diff
    names = [(h if h != "/dev/null" else s)[2:] for h, s in zip(heads, sources, strict=True)]
    assert names == sorted(names)


def test_malformed_files_are_never_written(tmp_path: Path) -> None:
    """Code that does not compile and JSON that does not parse stop the plan."""
    for path in ("a.py", "a.pyi", "a.json"):
        with pytest.raises(TemplateError, match=path):
            plan({path: b"(\n"}, tmp_path)


def test_read_only_folder(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the right to write gives a clear error, and is as it was."""

    def denied(prefix: str, dir: Path) -> str:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.mkdtemp", denied)
    with pytest.raises(OutputWriteError, match=r"gen cannot be written: Permission denied\. Nothing was changed"):
        plan(files, tmp_path / "gen").apply()
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_way_of_the_folder(files: dict[str, bytes], tmp_path: Path) -> None:
    """An output folder that is a file gives a clear error."""
    (tmp_path / "gen").write_text("mine\n")
    with pytest.raises(OutputWriteError, match="gen"):
        plan(files, tmp_path / "gen").apply()


@pytest.mark.parametrize("number", [0, 1, 7])
def test_failing_in_the_middle_restores(
    files: dict[str, bytes], make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """When a write fails half-way, the folder holds what it held before."""
    old = render(make.project(make.workflow("old"), make.worker("old")), make.settings)
    plan(old, tmp_path).apply()
    before = {path: content for path, (content, _) in snapshot(tmp_path).items()}
    replace, calls = os.replace, 0

    def failing(source: Any, target: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > number:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OutputWriteError, match="No space left on device"):
        plan(files, tmp_path).apply()
    assert {path: content for path, (content, _) in snapshot(tmp_path).items()} == before
    assert not (tmp_path / "clients" / "crm").exists()


def test_left_over_staging_is_cleared(files: dict[str, bytes], tmp_path: Path) -> None:
    """What a killed process left aside is not taken for output, and goes with a later write."""
    left = tmp_path / ".wfgen-staging-x"
    left.mkdir()
    (left / "client.py").write_bytes(b"half")
    os.utime(left, (0, 0))
    plan(files, tmp_path).apply()
    assert {path: content for path, (content, _) in snapshot(tmp_path).items()} == files


def test_types_only_leaves_out_what_no_checker_reads(make: Any) -> None:
    """The types alone are the same files as in the whole, without manifest, diagrams and modules behind stubs."""
    manifest = make.project(make.workflow("a"), make.worker())
    everything = render(manifest, make.settings)
    types = render(manifest, make.settings, types_only=True)
    assert types.items() < everything.items()
    left_out = set(everything) - set(types)
    assert left_out == {
        "diagrams/a@1.md",
        "files/onboarding.py",
        "manifest/files/onboarding.json",
        "manifest/index.json",
    }
