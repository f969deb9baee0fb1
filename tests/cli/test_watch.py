"""`wfgen watch`: what it writes, what it tells, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GEN = "shop/wfgen_gen"
EXTRA = "from wfgen import Workflow, define_workflow\n\n@define_workflow\nasync def extra(w: Workflow) -> None: ...\n"


@pytest.fixture
def watch(shop: Any, until: Any) -> Any:
    """The shop, watched."""
    process = shop.start("watch")
    until(lambda: "Watching " in shop.err())
    yield shop
    assert process.poll() is None, shop.err()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert shop.err().endswith("Stopped watching.\n")
    assert "Traceback" not in shop.err() + shop.out()


def _lines(shop: Any) -> list[str]:
    """What was told since the first look, without the time."""
    return [line.partition(" ")[2] for line in shop.out().splitlines()[1:]]


def test_a_save_is_one_line(watch: Any, until: Any) -> None:
    """A save rewrites what depends on it, and is told in one line."""
    other = watch.folder / GEN / "clients/nap.py"
    before = other.stat().st_mtime_ns
    client = watch.folder / GEN / "clients/order.py"
    watch.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: "Reserve, then bill." in client.read_text())
    told = until(lambda: _lines(watch))
    assert len(told) == 1
    assert told[0].startswith("shop/orders.workflow.py changed: ")
    assert "written in " in told[0]
    assert other.stat().st_mtime_ns == before


def _in_place(path: Path, text: str) -> None:
    path.write_text(text)


def _by_rename(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.swp")
    new.write_text(text)
    os.replace(new, path)


def _by_backup(path: Path, text: str) -> None:
    path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)


def _in_pieces(path: Path, text: str) -> None:
    with path.open("w") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()


@pytest.mark.parametrize("save", [_in_place, _by_rename, _by_backup, _in_pieces])
def test_ways_to_save(watch: Any, until: Any, save: Callable[[Path, str], None]) -> None:
    """However an editor saves, the outputs follow, and no half of it is told as an error that stays."""
    path = watch.folder / "shop/orders.workflow.py"
    client = watch.folder / GEN / "clients/order.py"
    for number in range(3):
        save(path, path.read_text().replace("Reserve and bill.", "Reserve and bill. "[:-1] + f" {number}."))
        save(path, path.read_text())
        until(lambda number=number: f"bill. {number}." in client.read_text())
        path.write_text(path.read_text().replace(f"bill. {number}.", "bill."))
        until(lambda number=number: f"bill. {number}." not in client.read_text())
    assert watch.out().count("error[") == watch.out().count("mended[")


def test_new_and_removed_sources(watch: Any, until: Any) -> None:
    """New sources, in new folders too, get outputs; those of removed sources go."""
    source = (
        "from wfgen import Workflow, define_workflow\n\n\n@define_workflow\nasync def NAME(w: Workflow) -> None: ...\n"
    )
    path = watch.write("shop/deep/er/extra.workflow.py", source.replace("NAME", "extra"))
    client = watch.folder / GEN / "clients/extra.py"
    until(client.exists)
    path.unlink()
    until(lambda: not client.exists())
    told = until(lambda: len(_lines(watch)) >= 2 and _lines(watch))
    assert told[0].startswith("shop/deep/er/extra.workflow.py added: ")
    assert told[-1].startswith("shop/deep/er/extra.workflow.py removed: ")


def test_top_level_folders(shop: Any, until: Any) -> None:
    """Folders that appear beside the others are watched as well, also when they come back."""
    shop.write("pyproject.toml", '[tool.wfgen]\noutput = "shop/wfgen_gen"\n')
    shop.start("watch")
    until(lambda: "Watching " in shop.err())
    client = shop.folder / GEN / "clients/extra.py"
    for _ in range(2):
        path = shop.write("more/inner/extra.workflow.py", EXTRA)
        until(client.exists)
        path.write_text(EXTRA.replace("None: ...", "int: return 1"))
        until(lambda: "-> int" in client.read_text())
        shutil.rmtree(shop.folder / "more")
        until(lambda: not client.exists())


def test_errors_stay_until_mended(watch: Any, until: Any) -> None:
    """A broken file keeps its outputs, is told once and when it is mended; sound files go on meanwhile."""
    client = watch.folder / GEN / "clients/order.py"
    before = client.read_bytes()
    good = (watch.folder / "shop/orders.workflow.py").read_text()
    watch.write("shop/orders.workflow.py", good.replace("return Receipt(", "return Receipt(("))
    until(lambda: "error[WF001]" in watch.out())
    watch.replace("shop/stock.worker.py", "-> str:", "-> object:")
    until(lambda: "object" in (watch.folder / GEN / "workers.py").read_text())
    assert client.read_bytes() == before
    assert "1 error left" in until(lambda: [line for line in _lines(watch) if "stock.worker.py" in line])[0]
    watch.write("shop/orders.workflow.py", good.replace("Reserve and bill.", "Reserve, then bill."))
    until(lambda: "mended[WF001]" in watch.out())
    until(lambda: "Reserve, then bill." in client.read_text())
    assert watch.out().count("error[WF001]") == 1


def test_findings_of_rules_keep_outputs_too(watch: Any, until: Any) -> None:
    """A file that can be read but breaks a rule keeps its outputs as well."""
    client = watch.folder / GEN / "clients/order.py"
    before = client.read_bytes()
    watch.replace("shop/orders.workflow.py", "    total = ", '    workflow.do("forgotten", lambda: 1)\n    total = ')
    until(lambda: "error[WF103]" in watch.out())
    watch.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: len(_lines(watch)) > 1)
    assert client.read_bytes() == before


def test_removed_output_comes_back(watch: Any, until: Any) -> None:
    """A generated file that is deleted is written again."""
    client = watch.folder / GEN / "clients/order.py"
    client.unlink()
    until(client.exists)
    assert until(lambda: _lines(watch))[0].startswith("outputs: 1 file written")


def test_settings(watch: Any, until: Any) -> None:
    """A setting that does not fit is told once, and the old outputs stay until it is mended."""
    watch.write("pyproject.toml", "[tool.wfgen]\nlaese = 1\n")
    until(lambda: "error[WF600]" in watch.out())
    watch.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    watch.write("pyproject.toml", "[tool.wfgen]\n")
    until(lambda: "mended" in watch.out())
    until(lambda: "Reserve, then bill." in (watch.folder / GEN / "clients/order.py").read_text())
    assert watch.out().count("error[WF600]") == 1


def test_edited_output(watch: Any, until: Any) -> None:
    """A generated file that was edited by hand is not overwritten; once it is gone, all goes on."""
    client = watch.folder / GEN / "clients/order.py"
    client.write_text(client.read_text() + "# mine\n")
    watch.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: "error[WF602]" in watch.out())
    assert client.read_text().endswith("# mine\n")
    client.unlink()
    until(lambda: client.exists() and "Reserve, then bill." in client.read_text())


def test_interrupt(shop: Any, until: Any) -> None:
    """Ctrl-C ends it cleanly."""
    process = shop.start("watch")
    until(lambda: "Watching " in shop.err())
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert "Traceback" not in shop.err()


def test_poll(shop: Any, until: Any) -> None:
    """Where no events come, `--poll` finds changes by looking."""
    shop.start("watch", "--poll")
    until(lambda: "Watching " in shop.err())
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: "Reserve, then bill." in (shop.folder / GEN / "clients/order.py").read_text())


def test_first_look_writes(shop: Any, until: Any) -> None:
    """Watching begins by bringing everything up to date, errors or not."""
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    shop.write("shop/half.workflow.py", "def (:\n")
    shop.start("watch")
    until(lambda: "Watching " in shop.err())
    assert "error[WF001]" in shop.out()
    assert "Reserve, then bill." in (shop.folder / GEN / "clients/order.py").read_text()
