"""The manifest on disk reads back, or says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wfgen.manifest import Arm, Branch
from wfgen_codegen import carry_over, load_manifest, plan, render
from wfgen_codegen.errors import StoredManifestError


def write(make: Any, output: Path) -> Any:
    body = Branch(span=make.span, form="if", arms=(Arm(label="if", test="x", body=(make.step("rpc", "\ud800"),)),))
    manifest = make.manifest(
        make.source(make.workflow("a", "1", body), file="flows/a.workflow.py", module="files.a"),
        make.source(make.worker(), file="flows/b.worker.py", module="files.sub.b_worker"),
    )
    plan(render(manifest, make.settings), output).apply()
    return manifest


def test_reads_back(make: Any, tmp_path: Path) -> None:
    """What was rendered loads as the same manifest, lone surrogates included."""
    manifest = write(make, tmp_path)
    assert load_manifest(tmp_path) == manifest


def test_missing(tmp_path: Path) -> None:
    """Without a prebuild there is a clear error that says what to run."""
    with pytest.raises(StoredManifestError, match=r"does not exist.*wfgen prebuild"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"files": 3}', b'{"files": ["../../x"]}'])
def test_damaged_index(make: Any, tmp_path: Path, content: bytes) -> None:
    """A damaged index names itself."""
    write(make, tmp_path)
    (tmp_path / "manifest" / "index.json").write_bytes(content)
    with pytest.raises(StoredManifestError, match=r"index\.json is damaged"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"file": 3}', b"[" * 100_000])
def test_damaged_file(make: Any, tmp_path: Path, content: bytes) -> None:
    """A damaged part names itself."""
    write(make, tmp_path)
    (tmp_path / "manifest" / "files" / "a.json").write_bytes(content)
    with pytest.raises(StoredManifestError, match=r"a\.json is damaged"):
        load_manifest(tmp_path)


def test_newer(make: Any, tmp_path: Path) -> None:
    """A manifest of a newer wfgen is refused."""
    write(make, tmp_path)
    path = tmp_path / "manifest" / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(StoredManifestError, match="newer wfgen"):
        load_manifest(tmp_path)


def test_carry_over_keeps_unreadable_files(make: Any, tmp_path: Path) -> None:
    """What is known of a file that cannot be read just now stays, so that its outputs do."""
    manifest = write(make, tmp_path)
    today = manifest.model_copy(update={"files": manifest.files[:1]})
    assert carry_over(today, load_manifest(tmp_path), {"flows/b.worker.py"}) == manifest
    assert carry_over(today, load_manifest(tmp_path), set()) == today
    assert carry_over(manifest, load_manifest(tmp_path), {"flows/b.worker.py"}) == manifest
