"""Starting, working, resuming, cancelling and looking at runs."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from wfgen.store.sqlite import SQLiteStore


def _types(shop: Any, run_id: str) -> list[str]:
    return [event["type"] for event in shop.ask("runs", "history", run_id, "--json")]


def test_run(shop: Any) -> None:
    """The result goes to stdout as JSON, what happens to stderr."""
    done = shop("run", "order", "--input", '{"item": "tea", "amount": 3}')
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"item": "tea", "total": 21, "reserved": "3 x tea"}
    assert done.stderr.startswith("run run_")
    assert "step completed reserve" in done.stderr
    assert "step completed bill" in done.stderr
    assert (shop.folder / "effects.log").read_text() == "reserve tea\n"


def test_run_json(shop: Any) -> None:
    """With `--json` the whole run is told."""
    told = shop.json("run", "order", "--input", '{"item": "tea"}', "--json")
    assert (told["workflow"], told["version"], told["status"]) == ("order", "1", "completed")
    assert told["input"] == {"item": "tea", "amount": 1}
    assert told["output"]["total"] == 7
    assert told["error"] is None


@pytest.mark.parametrize("words", [["-"], ["--input", "-"], ["--input-file", "-"], ["--input-file", "order.json"]])
def test_input_from_elsewhere(shop: Any, words: list[str]) -> None:
    """The input may come from stdin or from a file."""
    shop.write("order.json", '{"item": "jam"}')
    assert shop.json("run", "order", *words, input='{"item": "jam"}')["item"] == "jam"


def test_failed_run(shop: Any) -> None:
    """A run that fails gives exit code 1 and says why."""
    done = shop("run", "broken")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error[WF721]: run run_" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.ask("runs", "list", "--status", "failed", "--json")[0]["workflow"] == "broken"


def test_hook(shop: Any, until: Any) -> None:
    """A run that waits for a hook says how to resume it; that command line works, and the run ends."""
    process = shop.start("run", "approve", "--input", '{"item": "tea"}')
    line = until(lambda: next((x for x in shop.err().splitlines() if "resume it with: " in x), None))
    words = line.partition("resume it with: wfgen ")[2].split()
    wrong = shop(*[word if word != "JSON" else '{"ok": "perhaps"}' for word in words])
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error[WF703]: ")
    assert "shop.models.Approval" in wrong.stderr
    right = [word if word != "JSON" else '{"ok": true}' for word in words]
    assert shop(*right).stdout == "Sent.\n"
    assert process.wait(60) == 0
    assert json.loads(shop.out()) == "1 x tea: True"
    assert "nothing changes" in shop(*right).stdout


def test_hook_by_name_before_its_time(shop: Any) -> None:
    """A payload sent by run and name is kept until the run gets there."""
    run_id = shop("start", "approve", "--input", '{"item": "tea"}').stdout.strip()
    sent = shop.json("hooks", "resume", "--run", run_id, "--name", "approval", "--input", '{"ok": false}', "--json")
    assert sent["resume"] == "sent"
    done = shop("worker", "--until-idle")
    assert done.returncode == 0
    assert f"{run_id}  run completed" in done.stdout
    assert shop.ask("runs", "show", run_id, "--json")["output"] == "1 x tea: False"


def test_hook_that_no_run_can_have(shop: Any) -> None:
    """A hook's name that is not in the workflow's graph is refused with the one that was meant, and nothing is sent."""
    run_id = shop("start", "approve", "--input", '{"item": "tea"}').stdout.strip()
    done = shop("hooks", "resume", "--run", run_id, "--name", "aproval", "--input", '{"ok": true}')
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"error[WF725]: workflow 'approve' version '1', which run {run_id} works, has no hook"
    )
    assert "Did you mean 'approval'?" in done.stderr
    nap = shop("start", "nap").stdout.strip()
    assert "It has none." in shop("hooks", "resume", "--run", nap, "--name", "approval", "--input", "1").stderr


@pytest.mark.parametrize("name", ['f"ask {data.item}"', "await workflow.do('name', lambda: 'ask tea')"])
def test_hook_whose_name_is_not_in_the_graph(shop: Any, name: str) -> None:
    """Where a hook's name is known at run time only, any name may be the right one."""
    shop.replace("shop/orders.workflow.py", '"approval", Approval', f"{name}, Approval")
    assert shop("prebuild").returncode == 0
    run_id = shop("start", "approve", "--input", '{"item": "tea"}').stdout.strip()
    assert shop("hooks", "resume", "--run", run_id, "--name", "ask tea", "--input", '{"ok": true}').stdout == "Sent.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_is_kept(shop: Any, until: Any, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end `run` quietly with 130; the run goes on in a worker, and no step runs twice."""
    process = shop.start("run", "approve", "--input", '{"item": "tea"}')
    until(lambda: "hook created" in shop.err())
    process.send_signal(number)
    assert process.wait(60) == 130
    assert "Traceback" not in shop.err()
    assert "`wfgen worker` goes on with it" in shop.err()
    hook = shop.ask("hooks", "list", "--json")[0]
    assert shop("hooks", "resume", hook["token"], "--input", '{"ok": true}').returncode == 0
    assert shop("worker", "--until-idle").returncode == 0
    assert shop.ask("runs", "show", hook["run_id"], "--json")["status"] == "completed"
    assert (shop.folder / "effects.log").read_text() == "reserve tea\n"


def test_killed_run_is_finished_by_a_worker(shop: Any, until: Any) -> None:
    """After SIGKILL in the middle of a run, a worker finishes it without running a recorded step again."""
    process = shop.start("run", "approve", "--input", '{"item": "tea"}')
    until(lambda: "hook created" in shop.err())
    process.kill()
    process.wait(60)
    hook = shop.ask("hooks", "list", "--json")[0]
    assert shop("hooks", "resume", hook["token"], "--input", '{"ok": true}').returncode == 0
    assert shop("worker", "--until-idle").returncode == 0
    assert _types(shop, hook["run_id"])[-1] == "run_completed"
    assert (shop.folder / "effects.log").read_text() == "reserve tea\n"


def test_start_and_worker(shop: Any, until: Any) -> None:
    """`start` only records; a worker does it, prints each event, and ends on SIGTERM."""
    run_id = shop("start", "order", "--input", '{"item": "tea"}').stdout.strip()
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "pending"
    worker = shop.start("worker")
    until(lambda: f"{run_id}  run completed" in shop.out())
    assert f"{run_id}  step completed reserve" in shop.out()
    later = shop("start", "order", "--input", '{"item": "jam"}').stdout.strip()
    until(lambda: f"{later}  run completed" in shop.out())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert shop.err().endswith("stopped\n")


def test_worker_json(shop: Any) -> None:
    """With `--json` a worker prints one object a line."""
    run_id = shop("start", "order", "--input", '{"item": "tea"}').stdout.strip()
    lines = [json.loads(line) for line in shop("worker", "--until-idle", "--json").stdout.splitlines()]
    assert {line["run_id"] for line in lines} == {run_id}
    assert [line["type"] for line in lines][-1] == "run_completed"


def test_worker_leaves_long_sleeps(shop: Any) -> None:
    """`--until-idle` does not wait for a timer that is an hour away."""
    run_id = shop("start", "nap").stdout.strip()
    assert shop("worker", "--until-idle").returncode == 0
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "waiting"


def test_worker_goes_on_without_a_broken_file(shop: Any) -> None:
    """A workflow whose file cannot be executed is told of, and the others are worked."""
    shop.write(
        "shop/bad.workflow.py",
        "from wfgen import Workflow, define_workflow\n\n\n@define_workflow\nasync def bad(w: Workflow) -> None: ...\n",
    )
    assert shop("prebuild").returncode == 0
    shop.replace("shop/bad.workflow.py", "from wfgen", "import nowhere\nfrom wfgen")
    shop("start", "order", "--input", '{"item": "tea"}')
    done = shop("worker", "--until-idle")
    assert done.returncode == 0
    assert "error[WF700]: workflow 'bad' cannot be loaded: ModuleNotFoundError at " in done.stderr
    assert "bad.workflow.py:1" in done.stderr
    assert "run completed" in done.stdout
    run = shop("run", "bad")
    assert run.returncode == 2
    assert "error[WF700]: workflow 'bad'" in run.stderr


def test_worker_leaves_runs_alone_whose_worker_does_not_load(shop: Any) -> None:
    """A run does not fail since this process cannot execute a file of its workers: another process goes on with it."""
    shop.replace("shop/stock.worker.py", "from wfgen", "import nowhere\nfrom wfgen")
    started = shop("start", "order", "--input", '{"item": "tea"}')
    assert started.returncode == 0
    done = shop("worker", "--until-idle")
    assert done.returncode == 0
    assert "error[WF700]: workflow 'approve', workflow 'order' and worker 'stock.reserve' cannot be " in done.stderr
    assert "stock.worker.py:" in done.stderr
    run_id = started.stdout.strip()
    assert shop.ask("runs", "show", run_id, "--json")["error"] is None
    assert shop("run", "order", "--input", '{"item": "tea"}').returncode == 2
    shop.replace("shop/stock.worker.py", "import nowhere\n", "")
    assert "run completed" in shop("worker", "--until-idle").stdout


def test_idempotency_key(shop: Any) -> None:
    """One key gives one run; with another input it is a conflict."""
    words = ["order", "--input", '{"item": "tea"}', "--idempotency-key", "k1"]
    first = shop("start", *words).stdout
    assert shop("start", *words).stdout == first
    assert shop.json("run", *words)["item"] == "tea"
    assert len(shop.ask("runs", "list", "--json")) == 1
    conflict = shop("start", "order", "--input", '{"item": "jam"}', "--idempotency-key", "k1")
    assert conflict.returncode == 2
    assert conflict.stderr.startswith("error[WF726]: ")


def test_cancel(shop: Any) -> None:
    """A run that is asked to stop stops; asking again, or asking a finished one, is answered."""
    run_id = shop("start", "nap").stdout.strip()
    assert shop.json("runs", "cancel", run_id, "--json") == {"run_id": run_id, "cancel": "sent"}
    assert "before" in shop("runs", "cancel", run_id).stdout
    assert shop("worker", "--until-idle").returncode == 0
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "cancelled"
    again = shop("runs", "cancel", run_id)
    assert again.returncode == 2
    assert again.stderr.startswith("error[WF727]: ")


def test_looking_at_runs(shop: Any) -> None:
    """Lists, one run and its history, for people; programs get the same as JSON."""
    shop("run", "order", "--input", '{"item": "tea"}')
    run_id = shop.ask("runs", "list", "--json")[0]["run_id"]
    assert "completed" in shop.inside("runs", "list", "--workflow", "order", "--status", "completed").stdout
    assert shop.ask("runs", "list", "--workflow", "nap", "--json") == []
    shown = shop.inside("runs", "show", run_id).stdout
    assert 'input     {"item":"tea","amount":1}' in shown
    assert "result    {" in shown
    history = shop.inside("runs", "history", run_id).stdout
    assert "step_completed  reserve" in history
    assert _types(shop, run_id) == ["run_started", "step_completed", "step_completed", "run_completed"]


def test_nothing_is_made_by_looking(shop: Any) -> None:
    """Commands that only look do not make a store; what they say names the file."""
    assert shop.ask("runs", "list", "--json") == []
    assert shop.ask("hooks", "list", "--json") == []
    assert "does not exist yet" in shop.inside("runs", "list").stderr
    for words in (["runs", "show", "x"], ["runs", "history", "x"], ["runs", "cancel", "x"]):
        done = shop(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("error[WF724]: there is no run 'x': the store ")
    assert shop("hooks", "resume", "x", "--input", "1").stderr.startswith("error[WF725]: ")
    assert not (shop.folder / ".wfgen/wfgen.db").exists()


def test_engine_option(shop: Any) -> None:
    """`--engine` takes the place of the setting, also in the commands that are printed."""
    url = "sqlite:///elsewhere.db"
    run_id = shop("start", "approve", "--input", '{"item": "tea"}', "--engine", url).stdout.strip()
    assert (shop.folder / "elsewhere.db").exists()
    assert shop("worker", "--until-idle", "--engine", url).returncode == 0
    shown = shop.inside("runs", "show", run_id, "--engine", url).stdout
    assert f"--engine {url}" in shown
    assert shop.ask("runs", "list", "--json") == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["run", "ordr"], "WF701", "'order'"),
        (["run", "order", "--version", "7", "--input", "{}"], "WF701", "There is 1."),
        (["run", "order"], "WF703", "--input JSON"),
        (["run", "order", "--input", '{"item": '], "WF703", "Invalid JSON"),
        (["run", "order", "--input", '{"item": 3}'], "WF703", "item: "),
        (["start", "order", "--input", "[]"], "WF703", "shop.models.Order"),
        (["start", "nap", "--input", "1"], "WF703", "takes none"),
        (["run", "order", "--input-file", "nowhere.json"], "WF610", "nowhere.json"),
        (["run", "order", "--input-file", "shop"], "WF610", "directory"),
        (["run", "order", "--input", "{}", "--input-file", "x"], "WF610", "twice"),
        (["run", "order", "extra"], "WF610", "'extra'"),
        (["hooks", "resume"], "WF610", "--run and --name"),
        (["hooks", "resume", "token"], "WF610", "payload"),
        (["runs", "list", "--engine", "sqlte:///x.db"], "WF600", "sqlte"),
        (["runs", "list", "--engine", "sqlite:///pyproject.toml"], "WF801", "pyproject.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input(shop: Any, words: list[str], code: str, text: str) -> None:
    """Bad input is told with code and advice; nothing is recorded."""
    done = shop(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error[{code}]: ")
    assert text in done.stderr
    assert done.stdout == ""
    assert shop.ask("runs", "list", "--json") == []


def test_unknown_run_and_hook(shop: Any) -> None:
    """A run or hook that the store does not have is told with advice."""
    shop("start", "nap")
    for words, code in (
        (["runs", "show", "run_x"], "WF724"),
        (["runs", "history", "run_x"], "WF724"),
        (["runs", "cancel", "run_x"], "WF724"),
        (["hooks", "list", "--run", "run_x"], "WF724"),
        (["hooks", "resume", "--run", "run_x", "--name", "a", "--input", "1"], "WF724"),
        (["hooks", "resume", "hook_x", "--input", "1"], "WF725"),
    ):
        done = shop(*words)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error[{code}]: ")
        assert "  hint: " in done.stderr


def test_before_the_first_prebuild(empty: Any) -> None:
    """Without a generated package the advice is to prebuild."""
    for words in (["run", "x"], ["start", "x"], ["worker"]):
        done = empty(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("error[WF600]: there is no generated package in ")
        assert "Run `wfgen prebuild`." in done.stderr


@pytest.fixture
def locked(shop: Any) -> Iterator[None]:
    """A store that somebody else holds locked."""
    shop("start", "nap")
    with closing(sqlite3.connect(shop.folder / ".wfgen/wfgen.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.usefixtures("locked")
def test_locked_store(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that stays locked is told as such, not waited for endlessly."""
    monkeypatch.setattr("wfgen.store.engines.SQLiteStore", partial(SQLiteStore, busy_timeout=0.1))  # of 10 seconds
    done = shop.inside("start", "nap")
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF803]: ")
    assert "wfgen.db" in done.stderr


def test_full_disk(shop: Any) -> None:
    """Where the disk is full, a start is refused with code and place."""
    full = "/dev/full"
    done = shop("start", "nap", "--engine", f"sqlite:///{full}")
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF80")
    assert full in done.stderr
    done = shop("start", "nap", "--engine", "sqlite:////proc/wfgen.db")
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF80")


def test_worker_reload(shop: Any, until: Any) -> None:
    """A1: with `--reload` a changed source is worked by a new process; one with an error leaves the old one alone."""
    worker = shop.start("worker", "--reload")
    first = shop("start", "order", "--input", '{"item": "tea", "amount": 2}').stdout.strip()
    until(lambda: f"{first}  run completed" in shop.out())
    shop.replace("shop/orders.workflow.py", "data.amount * 7", "data.amount * 11")
    until(lambda: "started anew" in shop.err())
    second = shop("start", "order", "--input", '{"item": "jam", "amount": 2}').stdout.strip()
    until(lambda: f"{second}  run completed" in shop.out())
    totals = [shop.ask("runs", "show", run, "--json")["output"]["total"] for run in (first, second)]
    assert totals == [14, 22]
    shop.replace("shop/orders.workflow.py", '"stock.reserve"', '"stock.unknown"')
    until(lambda: "goes on with the sources as they were" in shop.err())
    assert "WF401" in shop.out()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert shop.err().count("stopped\n") == 2
    assert "Traceback" not in shop.err() + shop.out()


def test_worker_reload_until_idle(shop: Any) -> None:
    """The two do not go together."""
    done = shop("worker", "--reload", "--until-idle")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr
