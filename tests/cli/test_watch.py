"""`wfgen watch`: what it writes, what it tells, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings
from wfgen_cli import typedaemon
from wfgen_cli.rebuilding import Outcome, Rebuilder
from wfgen_cli.typedaemon import CancelledError, Daemon
from wfgen_cli.typewatching import TypeWatch
from wfgen_codegen import mypy_call
from wfgen_inspector import inspect

GEN = "shop/wfgen_gen"
EXTRA = "from wfgen import Workflow, define_workflow\n\n@define_workflow\nasync def extra(w: Workflow) -> None: ...\n"


@pytest.fixture
def watch(shop: Any, until: Any) -> Any:
    """The shop, watched."""
    process = shop.start("watch", "--no-types")
    until(lambda: "Watching " in shop.err())
    yield shop
    assert process.poll() is None, shop.err()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
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
    shop.start("watch", "--no-types")
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
    assert "1 error left" in until(lambda: [line for line in _lines(watch) if "stock.worker.py changed" in line])[0]
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


HELPER = """\
from wfgen import Workflow


async def doze(workflow: Workflow) -> None:
    await workflow.do("doze", lambda: 1)
"""


def test_modules_that_workflows_use(watch: Any, until: Any) -> None:
    """A module that a workflow uses is followed like the workflow's own file, from when it appears to when it goes."""
    diagram = watch.folder / GEN / "diagrams/nap@1.md"
    watch.replace("shop/orders.workflow.py", 'workflow.do("first", lambda: 1)', "doze(workflow)")
    watch.replace("shop/orders.workflow.py", "from wfgen import", "from shop.steps import doze\nfrom wfgen import")
    until(lambda: "error[WF104]" in watch.out())
    watch.write("shop/steps.py", HELPER)
    until(lambda: "doze()" in diagram.read_text())
    until(lambda: "mended[WF104]" in watch.out())
    assert "shop.steps added: " in until(lambda: [line for line in _lines(watch) if "shop.steps" in line])[0]
    watch.replace("shop/steps.py", '"doze", lambda', '"slumber", lambda')
    until(lambda: "slumber" in diagram.read_text())
    watch.replace("shop/steps.py", "await workflow", "workflow")
    until(lambda: "error[WF103]" in watch.out())
    watch.write("shop/steps.py", HELPER)
    until(lambda: "mended[WF103]" in watch.out())
    (watch.folder / "shop/steps.py").unlink()
    until(lambda: watch.out().count("error[WF104]") == 2)
    until(lambda: any(line.startswith("shop.steps removed: ") for line in _lines(watch)))


def test_other_modules_are_no_news(watch: Any, until: Any) -> None:
    """A module that no workflow uses, and what is written into the output folder, leads to no line."""
    watch.write("shop/unused.py", HELPER)
    watch.write(f"{GEN}/unused.py", HELPER)
    watch.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: "Reserve, then bill." in (watch.folder / GEN / "clients/order.py").read_text())
    assert [line.split()[0] for line in until(lambda: _lines(watch))] == ["shop/orders.workflow.py"]


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
    process = shop.start("watch", "--no-types")
    until(lambda: "Watching " in shop.err())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert "Traceback" not in shop.err()


def test_poll(shop: Any, until: Any) -> None:
    """Where no events come, `--poll` finds changes by looking."""
    shop.start("watch", "--poll", "--no-types")
    until(lambda: "Watching " in shop.err())
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    until(lambda: "Reserve, then bill." in (shop.folder / GEN / "clients/order.py").read_text())


def test_first_look_writes(shop: Any, until: Any) -> None:
    """Watching begins by bringing everything up to date, errors or not."""
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    shop.write("shop/half.workflow.py", "def (:\n")
    shop.start("watch", "--no-types")
    until(lambda: "Watching " in shop.err())
    assert "error[WF001]" in shop.out()
    assert "Reserve, then bill." in (shop.folder / GEN / "clients/order.py").read_text()


WRONG = ("item=data.item", "item=data.itm")


def _daemons(watcher: int) -> dict[int, str]:
    """Processes of the daemon of one watcher and of those that ask it: pid -> command line."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes().decode(errors="replace").replace("\0", " ")
            if f"dmypy-{watcher}.json" in command:
                found[int(path.parent.name)] = command
    return found


def _children(pid: int) -> list[str]:
    """Child processes, those that ended and that nobody has asked for among them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def _daemon(shop: Any, watcher: int) -> int | None:
    """The pid of the daemon, from its status file; None until that is written."""
    try:
        status = json.loads((shop.folder / f".wfgen/dmypy-{watcher}.json").read_bytes())
    except (OSError, ValueError):
        return None
    assert os.path.exists(status["connection_name"])
    return int(status["pid"])


def test_types(shop: Any, until: Any) -> None:
    """Findings of mypy appear after a save and are mended; at the end nothing of its daemon is left."""
    process = shop.start("watch")
    until(lambda: "Watching " in shop.err())
    shop.replace("shop/orders.workflow.py", *WRONG)
    until(lambda: "error[WF410]" in shop.out(), seconds=60)
    assert 'shop/orders.workflow.py:11:25: error[WF410] "Order" has no attribute "itm"' in shop.out()
    # A second mistake of the same kind is told as well, and so is that one of the two is gone.
    shop.replace("shop/orders.workflow.py", "approval.ok}", "data.itm}")
    until(lambda: "shop/orders.workflow.py:18:27: error[WF410]" in shop.out())
    shop.replace("shop/orders.workflow.py", *reversed(WRONG))
    until(lambda: "mended[WF410]" in shop.out())
    daemon = _daemon(shop, process.pid)
    assert daemon is not None
    listening = json.loads((shop.folder / f".wfgen/dmypy-{process.pid}.json").read_bytes())["connection_name"]
    until(lambda: list(_daemons(process.pid)) == [daemon])
    assert _children(process.pid) == [str(daemon)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert _daemons(process.pid) == {}
    assert list(shop.folder.glob(".wfgen/dmypy*")) == []
    assert not os.path.exists(os.path.dirname(listening))
    assert "Traceback" not in shop.err() + shop.out()
    assert (shop.out().count("error[WF410]"), shop.out().count("mended[WF410]")) == (2, 1)


def test_types_after_the_daemon_died(shop: Any, until: Any) -> None:
    """A daemon that dies is replaced at the next save; what hinders mypy is told once, and when it is over."""
    process = shop.start("watch")
    until(lambda: "Watching " in shop.err())
    daemon = until(lambda: _daemon(shop, process.pid))
    os.kill(daemon, signal.SIGKILL)
    shop.replace("shop/orders.workflow.py", *WRONG)
    until(lambda: "error[WF410]" in shop.out(), seconds=60)
    assert _daemon(shop, process.pid) not in (None, daemon)
    assert str(daemon) not in _children(process.pid)
    shop.write("mypy.ini", "[mypy]\nnonsense = 1\n")
    until(lambda: "error[WF612]" in shop.out())
    shop.write("shop/orders.workflow.py", (shop.folder / "shop/orders.workflow.py").read_text() + "# more\n")
    (shop.folder / "mypy.ini").unlink()
    until(lambda: "mended checking types again" in shop.out(), seconds=60)
    assert shop.out().count("error[WF612]") == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert _daemons(process.pid) == {}
    assert "Traceback" not in shop.err() + shop.out()


@pytest.mark.parametrize("wait", [0.0, 0.3, 1.0])
def test_end_while_types_are_checked(shop: Any, until: Any, wait: float) -> None:
    """Whatever mypy is doing, watching ends at once, and the daemon with it."""
    process = shop.start("watch")
    until(lambda: "Watching " in shop.err())
    until(lambda: _daemons(process.pid))
    time.sleep(wait)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert _daemons(process.pid) == {}
    assert list(shop.folder.glob(".wfgen/dmypy*")) == []
    assert shop.err().endswith("Stopped watching.\n")


def test_no_types(watch: Any, until: Any) -> None:
    """With `--no-types` there is no daemon."""
    watch.replace("shop/orders.workflow.py", *WRONG)
    until(lambda: _lines(watch))
    assert _daemons(watch.processes[-1].pid) == {}
    assert "WF410" not in watch.out()


def test_wanted_daemon(shop: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long nothing is saved, the daemon of a watcher that is there stays."""
    monkeypatch.setattr(typedaemon, "IDLE", 3)
    monkeypatch.setattr(typedaemon, "PING", 0.3)
    asked = []
    ping = Daemon.ping
    monkeypatch.setattr(Daemon, "ping", lambda self: (asked.append(time.monotonic()), ping(self))[1])
    rebuilder = Rebuilder(str(shop.folder))
    rebuilder.rebuild()
    ready = threading.Event()
    with TypeWatch(ready.set) as types:
        types.look(rebuilder)
        assert ready.wait(60)
        assert types.news() == Outcome()
        daemon, began = _daemon(shop, os.getpid()), time.monotonic()
        assert daemon is not None
        until(lambda: asked and asked[-1] > began + 4)
        # Where the machine was so slow that it was not asked in time, it may have ended.
        if max(b - a for a, b in pairwise([began, *asked, time.monotonic()])) < 2:
            assert _daemon(shop, os.getpid()) == daemon
            os.kill(daemon, 0)
    assert _daemons(os.getpid()) == {}


def test_forgotten_daemon(shop: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that nobody asks any more, because its watcher was killed, ends by itself."""
    monkeypatch.setattr(typedaemon, "IDLE", 4)
    settings = Settings.load(shop.folder)
    call = mypy_call(inspect(settings).manifest, settings)
    daemon = Daemon(settings)
    try:
        assert daemon.check(call) == ([], False)
        first = daemon.pid
        assert first is not None
        until(lambda: daemon.pid is None)
        assert list(shop.folder.glob(".wfgen/dmypy*")) == []
        assert daemon.check(call) == ([], False)
        assert daemon.pid not in (None, first)
        daemon.cancel()
        with pytest.raises(CancelledError):
            daemon.check(call)
    finally:
        daemon.close()
    assert _daemons(os.getpid()) == {}
