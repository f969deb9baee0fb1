"""`wfgen prebuild`: writing, checking, showing, refusing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WARNED = """\
from wfgen import Workflow, define_workflow


@define_workflow
async def warned(workflow: Workflow) -> None:
    await workflow.do("same", lambda: 1)
    await workflow.do("same", lambda: 2)
"""


def _state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of the last write and content of each generated file."""
    files = (path for path in (folder / "shop/wfgen_gen").rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_summary(shop: Any) -> None:
    """It says what it found and wrote; a second one finds nothing to do and touches no file."""
    before = _state(shop.folder)
    (shop.folder / ".wfgen/prebuild.json").unlink()
    files = len(before)
    assert shop("prebuild").stdout == f"4 workflows, 1 worker: 0 files written, {files} unchanged\n"
    assert shop("prebuild").stdout == f"4 workflows, 1 worker: 0 files written, {files} unchanged\n"
    assert _state(shop.folder) == before


def test_only_what_changed_is_written(shop: Any) -> None:
    """An edit rewrites the files that depend on it and leaves all others alone."""
    before = _state(shop.folder)
    shop.replace("shop/stock.worker.py", "-> str:", "-> bytes:")
    shop.replace("shop/stock.worker.py", 'return f"{order.amount} x {order.item}"', "return order.item.encode()")
    assert shop("prebuild").returncode == 0
    after = _state(shop.folder)
    changed = {path for path in after if after[path] != before.get(path)}
    assert "shop/wfgen_gen/workers.py" in changed
    assert "shop/wfgen_gen/clients/order.py" not in changed
    assert "shop/wfgen_gen/registry.py" not in changed


def _drift(shop: Any) -> bool:
    """Whether a look at everything finds outputs that do not fit the sources."""
    return bool(shop("prebuild", "--check").returncode)


def test_a_few_changes(shop: Any) -> None:
    """After edits of a few sources, back and forth, outputs and answer are those of a look at everything."""
    files = len(_state(shop.folder))
    first = _state(shop.folder)
    assert shop("prebuild").returncode == 0
    edit = ("shop/orders.workflow.py", '"bill"', '"charge"')
    for path, old, new in (edit, (edit[0], edit[2], edit[1]), edit, (edit[0], edit[2], edit[1])):
        shop.replace(path, old, new)
        told = shop("prebuild").stdout
        assert told == f"4 workflows, 1 worker: 2 files written, {files - 2} unchanged\n"
        assert shop("prebuild").stdout == f"4 workflows, 1 worker: 0 files written, {files} unchanged\n"
        assert not _drift(shop)
    assert {path: content for path, (_, content) in _state(shop.folder).items()} == {
        path: content for path, (_, content) in first.items()
    }


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("shop/orders.workflow.py", 'name="nap", version="1"', 'name="nap", version="2"'),
        ("shop/orders.workflow.py", 'name="nap"', 'name="long.nap"'),
        ("shop/orders.workflow.py", 'hook("approval", Approval', 'hook("consent", Approval'),
        ("shop/orders.workflow.py", "-> Receipt:", "-> object:"),
        ("shop/stock.worker.py", "-> str:", "-> object:"),
        ("shop/models.py", "amount: int = 1", "amount: int = 2"),
    ],
)
def test_a_change_that_others_show(shop: Any, path: str, old: str, new: str) -> None:
    """An edit that reaches outputs of other sources, or that all share, reaches them."""
    assert shop("prebuild").returncode == 0
    shop.replace(path, old, new)
    assert shop("prebuild").returncode == 0
    assert not _drift(shop)


def test_a_few_changes_and_a_touched_output(shop: Any) -> None:
    """When an output was removed or edited as well, the look is at everything."""
    assert shop("prebuild").returncode == 0
    (shop.folder / "shop/wfgen_gen/client.py").unlink()
    shop.replace("shop/orders.workflow.py", '"bill"', '"charge"')
    assert "3 files written" in shop("prebuild").stdout
    path = shop.folder / "shop/wfgen_gen/clients/order.py"
    path.write_text(path.read_text() + "# mine\n")
    shop.replace("shop/orders.workflow.py", '"charge"', '"bill"')
    done = shop("prebuild")
    assert done.returncode == 1
    assert "error[WF602]" in done.stderr


def test_finding_that_stays_is_told_again(shop: Any) -> None:
    """What an earlier prebuild found in a file that is unchanged is told again after an edit of another."""
    shop.write("shop/warned.workflow.py", WARNED)
    assert "warning[WF102]" in shop("prebuild").stdout
    shop.replace("shop/orders.workflow.py", '"bill"', '"charge"')
    assert "warning[WF102]" in shop("prebuild").stdout


def test_orphans_are_removed(shop: Any) -> None:
    """What belongs to a workflow that is gone goes too."""
    text = (shop.folder / "shop/orders.workflow.py").read_text()
    (shop.folder / "shop/orders.workflow.py").write_text(text.partition('@define_workflow(name="broken"')[0])
    check = shop("prebuild", "--check")
    assert check.returncode == 1
    assert "shop/wfgen_gen/clients/broken.py: error[WF603]" in check.stdout
    done = shop("prebuild")
    assert done.returncode == 0
    assert "removed" in done.stdout
    assert not (shop.folder / "shop/wfgen_gen/clients/broken.py").exists()
    assert (shop.folder / "shop/wfgen_gen/clients/order.py").exists()


def test_check(shop: Any) -> None:
    """`--check` fails after an edit, says which files, writes nothing, and passes after a prebuild."""
    assert shop("prebuild", "--check").returncode == 0
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, and bill.")
    before = _state(shop.folder)
    done = shop("prebuild", "--check")
    assert done.returncode == 1
    assert "shop/wfgen_gen/clients/order.py: error[WF601] is out of date" in done.stdout
    assert "run `wfgen prebuild`" in done.stdout
    assert _state(shop.folder) == before
    assert shop("prebuild").returncode == 0
    assert shop("prebuild", "--check").returncode == 0


def test_check_before_the_first_prebuild(shop: Any) -> None:
    """A package that is not there at all is drift."""
    for path in sorted((shop.folder / "shop/wfgen_gen").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    done = shop("prebuild", "--check")
    assert done.returncode == 1
    assert "error[WF601] is missing" in done.stdout


def test_diff(shop: Any) -> None:
    """`--diff` prints a unified diff and writes nothing."""
    same = shop("prebuild", "--diff")
    assert (same.returncode, same.stdout) == (0, "")
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, and bill.")
    before = _state(shop.folder)
    done = shop("prebuild", "--diff")
    assert done.returncode == 1
    assert "--- a/clients/order.py\n+++ b/clients/order.py\n" in done.stdout
    assert "\n+" in done.stdout
    assert "Reserve, and bill." in done.stdout
    assert _state(shop.folder) == before


def test_edited_output(shop: Any) -> None:
    """A file that was edited by hand stops the prebuild unless forced."""
    path = shop.folder / "shop/wfgen_gen/clients/order.py"
    good = path.read_text()
    path.write_text(good + "# mine\n")
    check = shop("prebuild", "--check")
    assert check.returncode == 1
    assert "shop/wfgen_gen/clients/order.py: error[WF602]" in check.stdout
    done = shop("prebuild")
    assert done.returncode == 1
    assert done.stderr.startswith("error[WF602]: ")
    assert str(path) in done.stderr
    assert "  hint: " in done.stderr
    assert path.read_text() == good + "# mine\n"
    assert shop("prebuild", "--force").returncode == 0
    assert path.read_text() == good


@pytest.mark.parametrize("how", ["edited", "removed", "touched", "added"])
def test_outputs_are_looked_at(shop: Any, how: str) -> None:
    """Also right after a prebuild, when nothing is rendered, outputs that were touched are noticed."""
    assert shop("prebuild").returncode == 0
    path = shop.folder / "shop/wfgen_gen/clients/order.py"
    good = path.read_bytes()
    before = path.stat()
    if how == "edited":  # to the same size, and with the same times
        path.write_bytes(good[:-5] + b"#####")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert shop("prebuild").returncode == 1
    elif how == "removed":
        path.unlink()
        assert "1 file written" in shop("prebuild").stdout
        assert path.read_bytes() == good
    elif how == "touched":
        os.utime(path)
        assert "0 files written" in shop("prebuild").stdout
    else:  # something that wfgen wrote once for a workflow that is gone
        (path.parent / "old.py").write_bytes(good)
        assert "1 removed" in shop("prebuild").stdout


def test_errors_write_nothing(shop: Any) -> None:
    """With an error in any source nothing is written, also not for the sound ones."""
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, and bill.")
    shop.write("shop/half.workflow.py", "from wfgen import define_workflow\n@define_workflow(\n")
    before = _state(shop.folder)
    done = shop("prebuild")
    assert done.returncode == 1
    assert "shop/half.workflow.py:" in done.stdout
    assert "error[WF001]" in done.stdout
    assert "Nothing is written" in done.stderr
    assert _state(shop.folder) == before


def test_warnings_are_told_every_time(shop: Any) -> None:
    """Warnings hold nothing up, and are told again when nothing has changed; with `strict` they are errors."""
    shop.replace("shop/orders.workflow.py", 'workflow.do("bill", lambda', "workflow.do(data.item, lambda")
    for _ in range(2):
        done = shop("prebuild")
        assert done.returncode == 0, done.stdout
        assert "warning[WF101]" in done.stdout
    strict = shop("prebuild", env={"WFGEN_STRICT": "true"})
    assert strict.returncode == 1


def test_types_only(shop: Any) -> None:
    """`--types-only` gives what checkers read, and a full prebuild afterwards the rest."""
    for path in sorted((shop.folder / "shop/wfgen_gen").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert shop("prebuild", "--types-only").returncode == 0
    assert (shop.folder / "shop/wfgen_gen/clients/order.py").exists()
    assert not (shop.folder / "shop/wfgen_gen/manifest").exists()
    assert shop("prebuild").returncode == 0
    assert (shop.folder / "shop/wfgen_gen/manifest/index.json").exists()


def test_json(shop: Any) -> None:
    """`--json` tells a program what was found and done."""
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, and bill.")
    told = shop.json("prebuild", "--json")
    assert told["schema_version"] == 1
    assert (told["workflows"], told["workers"], told["written"], told["failed"]) == (4, 1, True, False)
    assert {"path": "clients/order.py", "action": "update", "edited": False} in told["changes"]
    assert told["diagnostics"] == []
    again = shop.json("prebuild", "--json")
    assert again["changes"] == []
    assert again["counts"]["unchanged"] == told["counts"]["unchanged"] + told["counts"]["written"]


def test_read_only_output(shop: Any) -> None:
    """A folder that cannot be written is told with code, place and advice, and keeps what it holds."""
    folder = shop.folder / "shop/wfgen_gen/clients"
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, and bill.")
    before = {path: content for path, (_, content) in _state(shop.folder).items()}
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        done = shop("prebuild", unprivileged=True)
    finally:
        folder.chmod(stat.S_IRWXU)
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF604]: ")
    assert str(folder) in done.stderr
    assert "  hint: " in done.stderr
    assert {path: content for path, (_, content) in _state(shop.folder).items()} == before


def test_output_is_a_file(shop: Any) -> None:
    """Where the output folder should be stands a file: told, and left alone."""
    shop.write("gen", "mine")
    done = shop("prebuild", env={"WFGEN_OUTPUT": "gen"})
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF604]: ")
    assert (shop.folder / "gen").read_text() == "mine"


def test_from_a_folder_below(shop: Any) -> None:
    """It finds its project from any folder below, and a nested project stands for itself."""
    assert shop("prebuild", cwd=shop.folder / "shop").stdout.startswith("4 workflows")
    shop.write("inner/pyproject.toml", "[tool.wfgen]\n")
    assert shop("prebuild", cwd=shop.folder / "inner").stdout.startswith("0 workflows")


def test_settings_count(shop: Any) -> None:
    """A changed setting is noticed where nothing else has changed."""
    assert shop("prebuild").returncode == 0
    shop.write("pyproject.toml", '[tool.wfgen]\nexclude = ["shop/*.worker.py"]\n')
    assert "0 workers" in shop("prebuild").stdout or "WF401" in shop("prebuild").stdout
    assert shop("prebuild", env={"WFGEN_LAESE": "1"}).returncode == 2


def test_empty_project(empty: Any) -> None:
    """A project without workflows, and without any settings, is no error."""
    done = empty("prebuild")
    assert done.returncode == 0
    assert done.stdout.startswith("0 workflows, 0 workers: ")


def test_package_that_moved(shop: Any) -> None:
    """When new sources move the generated package, the old one is named, and what to do about it."""
    source = 'from wfgen import define_worker\n\n\n@define_worker("more")\ndef more(x: int) -> int: ...\n'
    shop.write("other/more.worker.py", source)
    shop.replace("shop/orders.workflow.py", "shop.wfgen_gen", "wfgen_gen")
    done = shop("prebuild")
    assert done.returncode == 0, done.stdout
    assert "warning[WF603]: the generated package is in " in done.stderr
    assert 'output = "shop/wfgen_gen"' in done.stderr
    assert (shop.folder / "wfgen_gen/registry.py").exists()


def test_nothing_is_rendered_when_nothing_changed(shop: Any) -> None:
    """A second prebuild answers without loading inspector, codegen or pydantic; also through -C and --project."""
    shop.write("tpl/mine/.keep", "")
    shop.write("pyproject.toml", '[tool.wfgen]\ntemplates = "./tpl/../tpl"\n')
    assert shop("prebuild").returncode == 0
    for words in (
        ["prebuild"],
        ["prebuild", "--json"],
        ["-C", str(shop.folder), "prebuild"],
        ["prebuild", "--project", "."],
    ):
        code = (
            f"import sys; from wfgen_cli.main import main; sys.argv = ['wfgen', *{words!r}]; assert main() == 0;"
            "print([m for m in ('pydantic', 'libcst', 'jinja2', 'wfgen', 'rich') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=shop.folder, capture_output=True, text=True, env=shop.environment()
        )
        assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_copied_project(shop: Any, tmp_path: Path) -> None:
    """A copy of a project answers for itself, not for what it was copied from."""
    assert shop("prebuild").returncode == 0
    copy = tmp_path / "copy"
    shutil.copytree(shop.folder, copy)
    (copy / "shop/wfgen_gen/client.py").unlink()
    assert "1 file written" in shop("prebuild", cwd=copy).stdout
    (shop.folder / "shop/wfgen_gen/client.py").unlink()
    assert shop.json("run", "order", "--input", '{"item": "tea"}', cwd=copy)["item"] == "tea"
