"""`wfgen lock`: writing, checking and reading what was released."""

from __future__ import annotations

import json
from typing import Any

import pytest

LOCK = "wfgen.lock.json"
FLOWS = "shop/orders.workflow.py"


def text(shop: Any) -> str:
    return str((shop.folder / LOCK).read_text())


def test_a_lock_is_written_once(shop: Any) -> None:
    """The first lock writes the file, a second one leaves it untouched, and --check agrees."""
    assert shop.inside("lock", "--check").returncode == 1
    done = shop.inside("lock")
    assert (done.returncode, done.stdout) == (0, "wfgen.lock.json: 4 workflow versions, 1 worker.\n")
    written = (shop.folder / LOCK).stat().st_mtime_ns
    assert "unchanged" in shop.inside("lock").stdout
    assert (shop.folder / LOCK).stat().st_mtime_ns == written
    done = shop.inside("lock", "--check")
    assert (done.returncode, done.stdout) == (0, "wfgen.lock.json is current.\n")
    assert sorted(path.name for path in shop.folder.glob("*lock*")) == [LOCK]


def test_a_lock_depends_on_nothing_but_the_sources(shop: Any) -> None:
    """Two processes with other hash seeds write the same bytes: sorted, without times, one object a version."""
    assert shop("lock", env={"PYTHONHASHSEED": "1"}).returncode == 0
    first = text(shop)
    (shop.folder / LOCK).unlink()
    assert shop("lock", env={"PYTHONHASHSEED": "2"}).returncode == 0
    assert text(shop) == first
    data = json.loads(first)
    assert list(data["workflows"]) == ["approve@1", "broken@1", "nap@1", "order@1"]
    assert data["types"]["shop.models.Order"]["fields"] == [
        {"name": "item", "type": "str"},
        {"name": "amount", "type": "int", "required": False},
    ]
    assert data["workers"]["stock.reserve"]["output"] == "str"


def test_moved_lines_leave_a_lock_alone(shop: Any) -> None:
    """Comments and a moved file do not make the lock out of date, another step does."""
    shop.inside("lock")
    before = text(shop)
    source = (shop.folder / FLOWS).read_text()
    (shop.folder / FLOWS).unlink()
    shop.write("shop/more.workflow.py", f"# All orders.\n\n{source}")
    assert shop.inside("lock", "--check").returncode == 0
    shop.inside("lock")
    assert text(shop) == before
    shop.write("shop/more.workflow.py", source.replace('"long"', '"longer"'))
    assert shop.inside("lock", "--check").returncode == 1
    shop.inside("lock")
    assert text(shop) != before


def test_gone_versions_stay_until_they_are_pruned(shop: Any) -> None:
    """A version that has gone from the sources is kept, so that check goes on to report it; --prune forgets it."""
    shop.inside("lock")
    source = (shop.folder / FLOWS).read_text()
    shop.write(FLOWS, source.replace('name="nap", version="1"', 'name="nap", version="2"'))
    assert shop.inside("lock").returncode == 0
    assert {"nap@1", "nap@2"} <= set(json.loads(text(shop))["workflows"])
    assert [d["code"] for d in shop.ask("check", "--no-types", "--output-format", "json", code=1)["diagnostics"]] == [
        "WF502"
    ]
    assert shop.inside("lock", "--prune").returncode == 0
    assert "nap@1" not in json.loads(text(shop))["workflows"]
    assert shop.inside("check", "--no-types").returncode == 0


def test_sources_with_errors_are_not_locked(shop: Any) -> None:
    """A release with errors is none: nothing is written."""
    shop.replace(FLOWS, '"stock.reserve"', '"stock.reverse"')
    done = shop.inside("lock")
    assert done.returncode == 1
    assert "Nothing is locked" in done.stderr
    assert not (shop.folder / LOCK).exists()


def test_json(shop: Any) -> None:
    """--json says what has become of each version since the last lock."""
    shop.inside("lock")
    shop.replace(FLOWS, '"long"', '"longer"')
    answer = shop.ask("lock", "--json")
    assert (answer["changed"], answer["written"]) == (True, True)
    assert answer["changes"] == [{"workflow": "nap", "version": "1", "verdict": "needs-version"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "it holds no object"),
        ("{}", "neither a lock file nor a manifest"),
        ('{"schema_version": 99, "workflows": {}}', "written by a newer wfgen"),
        ('{"schema_version": 1, "workflows": {"a@1": {"name": 3}}}', "is damaged: at workflows.a@1"),
    ],
)
@pytest.mark.parametrize("command", [("lock",), ("check", "--no-types")])
def test_a_damaged_lock_is_an_error(shop: Any, content: str, message: str, command: tuple[str, ...]) -> None:
    """A lock that cannot be read is told with its code and left as it is."""
    shop.write(LOCK, content)
    done = shop.inside(*command)
    assert done.returncode == 2
    assert "error[WF614]" in done.stderr
    assert message in done.stderr
    assert text(shop) == content


def test_a_lock_that_cannot_be_written_is_an_error(shop: Any) -> None:
    """A folder without the right to write is told, and nothing is left behind."""
    (shop.folder / ".wfgen").mkdir(exist_ok=True)
    shop.folder.chmod(0o555)
    try:
        done = shop("lock", unprivileged=True)
    finally:
        shop.folder.chmod(0o755)
    assert done.returncode == 2
    assert "error[WF614]" in done.stderr
    assert not list(shop.folder.glob(".wfgen.lock*"))
