"""What is written for the user: a new version, or a guard around a new step."""

from __future__ import annotations

from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.compatibility.mending import Today, bumped, guarded, next_version
from wfgen_inspector.compatibility.shapes import operations
from wfgen_inspector.compatibility.snapshot import LockedWorkflow, snapshot
from wfgen_inspector.fixes import apply_edits
from wfgen_inspector.sources import read

HEAD = "import wfgen\nfrom wfgen import Workflow, define_workflow\n\n\n"


def today(folder: Path, source: str) -> tuple[Today, LockedWorkflow]:
    (folder / "flow.workflow.py").write_text(source)
    manifest = inspect(Settings(project=folder), cache=False).manifest
    entries = snapshot(manifest).workflows
    return Today(manifest, lambda file: read(folder / file)), next(iter(entries.values()))


@pytest.mark.parametrize(
    ("version", "following"),
    [("1", "2"), ("9", "10"), ("2024-v9", "2024-v10"), ("1.4.2-rc", "1.4.3-rc"), ("beta", "beta-2")],
)
def test_the_next_version(version: str, following: str) -> None:
    """The last number goes up by one; a name without one gets one."""
    assert next_version(version) == following


@pytest.mark.parametrize(
    ("decorator", "mended"),
    [
        ("@define_workflow", '@define_workflow(version="2")'),
        ("@define_workflow()", '@define_workflow(version="2")'),
        ("@wfgen.define_workflow", '@wfgen.define_workflow(version="2")'),
        ('@define_workflow(name="flow")', '@define_workflow(name="flow", version="2")'),
        ('@define_workflow(version="1", name="flow")', '@define_workflow(version="2", name="flow")'),
        ("@define_workflow(  # it\n    version='7',\n)", '@define_workflow(  # it\n    version="8",\n)'),
        ('@define_workflow(version="1" + "")', None),
    ],
)
def test_a_version_is_written(tmp_path: Path, decorator: str, mended: str | None) -> None:
    """The decorator is changed where it is in plain form, and left alone otherwise."""
    source = f"{HEAD}{decorator}\nasync def flow(workflow: Workflow) -> None:\n    await workflow.sleep('s', '1h')\n"
    fix = bumped(*today(tmp_path, source))
    if mended is None:
        assert fix is None
        return
    assert fix is not None
    assert fix.applicability == "unsafe"
    changed = apply_edits(source, fix.edits)
    assert changed == source.replace(decorator, mended)
    compile(changed, "flow", "exec")


def test_versions_that_exist_are_passed_over(tmp_path: Path) -> None:
    """The next free version is taken."""
    second = '@define_workflow(name="flow", version="2")\nasync def other(workflow: Workflow) -> None: ...\n'
    source = f'{HEAD}@define_workflow(version="1")\nasync def flow(workflow: Workflow) -> None: ...\n\n\n{second}'
    fix = bumped(*today(tmp_path, source))
    assert fix is not None
    assert [edit.text for edit in fix.edits] == ['"3"']


@pytest.mark.parametrize(
    ("statement", "mended"),
    [
        ('await w.sleep("s", "1h")', 'if w.patched("add s"):\n        await w.sleep("s", "1h")'),
        (
            'await w.do(  # first\n        "s",\n\n        print,\n    )  # last',
            'if w.patched("add s"):\n        await w.do(  # first\n            "s",\n\n'
            "            print,\n        )  # last",
        ),
        ('x = await w.do("s", print)', None),
        ('await w.do("s", print); print()', None),
        ('await w.do("s", print, """a\nb""")', None),
    ],
)
def test_a_statement_is_guarded(tmp_path: Path, statement: str, mended: str | None) -> None:
    """A statement of its own is put behind the guard with its comments; nothing else is touched."""
    source = f"{HEAD}@define_workflow\nasync def flow(w: Workflow) -> None:\n    {statement}\n"
    now, entry = today(tmp_path, source)
    fix = guarded(now, entry.file, next(operations(entry.body)))
    if mended is None:
        assert fix is None
        return
    assert fix is not None
    assert apply_edits(source, fix.edits) == source.replace(statement, mended)
