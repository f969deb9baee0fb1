"""`wfgen doctor`: what is well, and what is not."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from typing import Any


def _findings(shop: Any, topic: str, *words: str, code: int = 0, **options: Any) -> list[dict[str, Any]]:
    told = shop.ask("doctor", "--json", *words, code=code, **options)
    return [finding for finding in told["findings"] if finding["topic"] == topic]


def test_all_is_well(shop: Any) -> None:
    """A healthy project has no problems, and each part is named."""
    shop("run", "order", "--input", '{"item": "tea"}')
    done = shop("doctor")
    assert done.returncode == 0, done.stdout
    for topic in ("python", "wfgen", "project", "setting", "outputs", "store", "runs"):
        assert f"ok       {topic}" in done.stdout
    assert "No problems." in done.stdout
    assert "(schema " in done.stdout


def test_no_store_yet(shop: Any) -> None:
    """A store that does not exist yet is no problem, and is not made by looking."""
    assert _findings(shop, "store")[0]["state"] == "info"
    assert not (shop.folder / ".wfgen/wfgen.db").exists()


def test_where_settings_come_from(shop: Any) -> None:
    """Each setting that was given says where, and a password is not shown."""
    shop.write("pyproject.toml", '[tool.wfgen]\nlease = "20s"\n')
    url = "postgresql://me:secret@host/db"
    settings = _findings(shop, "setting", "--engine", url, code=1, env={"WFGEN_CONCURRENCY": "5"})
    origins = {finding["name"]: finding["origin"] for finding in settings}
    assert origins["engine"] == "--engine"
    assert origins["concurrency"] == "WFGEN_CONCURRENCY in the environment"
    assert origins["lease"].startswith("[tool.wfgen] in ")
    assert "secret" not in shop.inside("doctor", "--engine", url).stdout


def test_outputs(shop: Any) -> None:
    """Outputs that are out of date and sources with errors are problems."""
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    assert "out of date" in _findings(shop, "outputs", code=1)[0]["message"]
    shop.write("shop/half.workflow.py", "def (:\n")
    assert _findings(shop, "sources", code=1)[0]["message"] == "1 error"


def test_damaged_store(shop: Any) -> None:
    """A store that is none is a problem with its code."""
    shop.write(".wfgen/wfgen.db", "this is no database" * 100)
    assert _findings(shop, "store", code=1)[0]["message"].startswith("WF801: ")


def test_runs_that_do_not_move(shop: Any) -> None:
    """Runs that nobody works, or whose workflow is gone, are named with advice."""
    run_id = shop("start", "nap").stdout.strip()
    assert _findings(shop, "runs")[0]["unfinished"] == 1
    with closing(sqlite3.connect(shop.folder / ".wfgen/wfgen.db")) as store:
        store.execute("UPDATE runs SET updated_at = updated_at - 3600")
        store.commit()
    stuck = _findings(shop, "runs", code=1)[1]
    assert stuck["run_ids"] == [run_id]
    assert "wfgen worker" in stuck["hint"]
    shop.replace("shop/orders.workflow.py", 'name="nap", version="1"', 'name="nap", version="2"')
    shop("prebuild")
    assert "'nap' version '1' is not defined" in _findings(shop, "runs", code=1)[1]["message"]


def test_processes(shop: Any, until: Any) -> None:
    """B14: a worker that lives is shown with its lease and what it serves, one that was killed as gone."""
    worker = shop.start("worker")
    until(lambda: (shop.folder / ".wfgen/wfgen.db").exists() and _findings(shop, "process"))
    living = _findings(shop, "process")[0]
    assert (living["state"], living["pid"]) == ("ok", worker.pid)
    (member,) = shop.ask("workers", "list", "--json")
    assert (member["state"], member["pid"], member["wfgen"]) == ("live", worker.pid, "0.1.0")
    assert [one["name"] for one in member["workflows"]] == ["approve", "broken", "nap", "order"]
    assert (member["workers"], member["queues"]) == (["stock.reserve"], None)
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    gone = _findings(shop, "process")[0]
    assert gone["state"] == "info"
    assert "ended" in gone["message"]
    assert [member["state"] for member in shop.ask("workers", "list", "--json")] == ["ended"]
