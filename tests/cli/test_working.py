"""What a command works, what it prints for programs, and what it says when nobody works."""

from __future__ import annotations

import json
import os
from typing import Any

TEA = '{"item": "tea"}'


def test_run_leaves_other_runs_alone(shop: Any) -> None:
    """`wfgen run` works its own run; another one that is due waits for a worker."""
    other = shop.inside("start", "order", "--input", '{"item": "jam"}').stdout.strip()
    assert shop("run", "order", "--input", TEA).returncode == 0
    assert (shop.folder / "effects.log").read_text() == "reserve tea\n"
    left = shop.ask("runs", "show", other, "--json")
    assert (left["status"], left["claims"], left["owner"]) == ("pending", 0, None)
    assert shop("worker", "--until-idle").returncode == 0
    assert (shop.folder / "effects.log").read_text() == "reserve tea\nreserve jam\n"


def test_what_workers_print_stays_out_of_the_json(shop: Any) -> None:
    """With `--json` standard output is for the program that reads it, also when a worker prints."""
    shop.replace("shop/stock.worker.py", "    with Path", '    print("reserving")\n    with Path')
    shown = shop("run", "order", "--input", TEA)
    assert shown.stdout.startswith("reserving\n")
    done = shop("run", "order", "--input", TEA, "--json")
    assert json.loads(done.stdout)["status"] == "completed"
    assert "reserving\n" in done.stderr
    shop.inside("start", "order", "--input", TEA)
    worked = shop("worker", "--until-idle", "--json")
    assert [json.loads(line)["type"] for line in worked.stdout.splitlines()][-1] == "run_completed"
    assert "reserving\n" in worked.stderr


def test_nobody_works(shop: Any, until: Any) -> None:
    """Who starts or resumes a run is told when no process works the store, and is not when one does."""
    idle = "No process works this store now: `wfgen worker` does.\n"
    started = shop.inside("start", "approve", "--input", TEA)
    run_id = started.stdout.strip()
    assert started.stderr == idle
    resume = ("hooks", "resume", "--run", run_id, "--name", "approval", "--input", '{"ok": true}')
    assert shop.inside(*resume).stderr == idle
    assert shop.inside("runs", "cancel", run_id).stderr == idle
    assert (
        "wfgen worker --engine sqlite:///other.db"
        in shop.inside("start", "nap", "--engine", "sqlite:///other.db").stderr
    )
    shop.start("worker")
    until(lambda: shop.ask("runs", "show", run_id, "--json")["status"] == "cancelled")
    assert shop.inside("start", "nap").stderr == ""


def test_sources_that_have_changed_since_the_prebuild(shop: Any) -> None:
    """Who works or starts is told in one line, on stderr; a copy, and what was not generated here, are no change."""
    told = "warning[WF601]: shop/orders.workflow.py changed since the package was generated: run `wfgen prebuild`.\n"
    start = ("start", "nap", "--json")
    assert "WF601" not in shop(*start).stderr
    source = shop.folder / "shop/orders.workflow.py"
    os.utime(source, (1, 1))
    assert "WF601" not in shop(*start).stderr
    shop.replace("shop/orders.workflow.py", "Reserve and bill.", "Reserve, then bill.")
    for words in (start, ("run", "order", "--input", TEA, "--json"), ("worker", "--until-idle")):
        done = shop(*words)
        assert (done.returncode, done.stderr.count("WF601")) == (0, 1)
        assert told in done.stderr
        assert words[0] == "worker" or json.loads(done.stdout)["status"]
    shop.write("shop/more.workflow.py", source.read_text().replace('name="', 'name="more_'))
    assert "WF601]: shop/more.workflow.py and 1 more changed" in shop(*start).stderr
    memory = shop.folder / ".wfgen/prebuild.json"
    kept = memory.read_bytes()
    memory.unlink()
    assert "WF601" not in shop(*start).stderr
    memory.write_bytes(kept)
    shop("prebuild")
    assert "WF601" not in shop(*start).stderr


def test_why_a_run_was_terminated(shop: Any) -> None:
    """`runs show` has the reason, and no time of an end before there is one."""
    run_id = shop.inside("start", "nap").stdout.strip()
    assert "finished" not in shop.inside("runs", "show", run_id).stdout
    assert shop.ask("runs", "show", run_id, "--json")["reason"] is None
    shop.inside("runs", "terminate", run_id, "--reason", "a test order")
    assert "reason    a test order\n" in shop.inside("runs", "show", run_id).stdout
    told = shop.ask("runs", "show", run_id, "--json")
    assert (told["reason"], told["error"]) == ("a test order", None)


def test_a_failed_run_says_where_to_look(shop: Any) -> None:
    """The advice is a command that works, with the options that were given."""
    done = shop("run", "broken", "--engine", "sqlite:///other.db")
    command = done.stderr.rpartition("hint: `wfgen ")[2].partition("`")[0]
    assert "explode  failed" in shop.inside(*command.split()).stdout


def test_a_worker_is_idle_when_all_that_is_left_is_not_for_it(shop: Any) -> None:
    """Runs that wait for long outside of memory, and those whose key is not here, are nothing to stay for."""
    shop.inside("start", "nap")
    assert shop("worker", "--until-idle", env={"WFGEN_RESIDENT": "0"}).returncode == 0
    shop.inside("keys", "new", "keys.json")
    shop.inside("start", "order", "--input", TEA, env={"WFGEN_ENCRYPTION_KEYS": "file:keys.json"})
    done = shop("worker", "--until-idle")
    assert done.returncode == 0
    assert "is left alone" in done.stderr
