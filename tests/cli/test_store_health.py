"""`wfgen doctor` on keys, other projects' workflows and what processes cannot load; both stores say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from typing import Any

from wfgen.encryption import KEY_BYTES, Keys
from wfgen.environment import Environment
from wfgen.ids import RunId
from wfgen.store.deployments import NewDefinition
from wfgen.store.processes import this_process
from wfgen.store.records import NewRun

from .desk import Desk, prepare

OLD, NEW = b"o" * KEY_BYTES, b"n" * KEY_BYTES
FLOWS, WORKER = "shop/orders.workflow.py", "shop/stock.worker.py"


def keys(active: str, **keys: bytes) -> dict[str, str]:
    """An environment with these keys."""
    encoded = {key_id: b64encode(key).decode() for key_id, key in keys.items()}
    return {"WFGEN_ENCRYPTION_KEYS": "env:KEYS", "KEYS": json.dumps({"active": active, "keys": encoded})}


def topic(shop: Any, topic: str, *words: str, code: int = 0, **options: Any) -> list[dict[str, Any]]:
    told = shop.ask("doctor", *words, "--json", code=code, **options)
    assert told["problems"] == sum(finding["state"] == "problem" for finding in told["findings"])
    return [finding for finding in told["findings"] if finding["topic"] == topic]


def encrypted(shop: Any) -> None:
    """Runs whose inputs, errors and results are encrypted with one of two keys, and a finished one with a third."""
    both = Keys({"old": OLD, "new": NEW}, "new")

    async def scenario(desk: Desk) -> None:
        await desk.process()
        sealed = {"run_old": Keys({"old": OLD}, "old").seal(b"1"), "run_done": Keys({"gone": OLD}, "gone").seal(b"1")}
        for run_id in ("run_old", "run_new", "run_done"):
            new = NewRun(RunId(run_id), "nap", "1", sealed.get(run_id), "salt")
            await desk.store.create(new)
            desk.seqs[run_id] = 1
        await desk.hold(await desk.process())
        # No input, but a step has failed that is tried again: its error is encrypted as well.
        retried = {"form": "inline", "attempt": 1, "error_type": "E", "error": both.seal_text("no"), "next_at": 4e9}
        await desk.record("run_new", ("step_retrying", "0/first", retried))
        await desk.record("run_done", ("run_completed", None, {}), status="completed", output=b"1")

    prepare(shop, scenario)


def test_keys_that_are_not_here(stored_shop: Any) -> None:
    """Which keys the store needs, and which of them are missing, other ones, or cannot be loaded."""
    encrypted(stored_shop)
    problems = [one for one in topic(stored_shop, "keys", code=1) if one["state"] == "problem"]
    assert [(one["key"], one["run_ids"]) for one in problems] == [("new", ["run_new"]), ("old", ["run_old"])]
    assert problems[0]["message"] == (
        "payloads of 1 unfinished run are encrypted with the key 'new', which is not here: run_new"
    )
    assert problems[0]["hint"].startswith("Give the setting encryption_keys, such as file:keys.json")
    assert (problems[0]["needed"], problems[0]["missing"]) == (["new", "old"], ["new", "old"])
    (problem,) = topic(stored_shop, "keys", "run_old", code=1)
    assert "payloads of 1 run are encrypted with the key 'old', which is not here" in problem["message"]
    assert topic(stored_shop, "keys", "run_new", env=keys("new", new=NEW)) == []

    one = topic(stored_shop, "keys", code=1, env=keys("new", new=NEW))
    assert [(f["state"], f["key"], f["missing"]) for f in one] == [
        ("problem", "old", ["old"]),
        ("info", "gone", ["gone"]),
    ]
    assert one[0]["hint"] == "There is new. Add it to encryption_keys again."
    assert "payloads of 1 finished run are encrypted" in one[1]["message"]

    all_here = topic(stored_shop, "keys", env=keys("new", new=NEW, old=OLD, gone=OLD))
    assert [one["message"] for one in all_here] == ["payloads are encrypted with the keys 'new', 'old', which are here"]
    (wrong,) = topic(stored_shop, "keys", code=1, env=keys("new", new=NEW, old=NEW, gone=OLD))
    assert "with the key 'old', which is another one here: run_old" in wrong["message"]
    (unset,) = topic(stored_shop, "keys", code=1, env={"WFGEN_ENCRYPTION_KEYS": "env:KEYS"})
    assert "the variable KEYS is not set" in unset["message"]
    assert topic(stored_shop, "runs", code=1)[0]["unfinished"] == 2, "all else is looked at"


def two_projects(shop: Any) -> None:
    """Runs of this project, of another one, and of a workflow that this one had."""

    async def scenario(desk: Desk) -> None:
        def definition(workflow: str, package: str) -> NewDefinition:
            manifest = {"schema_version": 1, "package": package, "workflows": [], "workers": []}
            return NewDefinition(workflow, "1", f"hash {package}", json.dumps(manifest).encode())

        await desk.store.record_definitions(
            [
                definition("nap", "shop.wfgen_gen"),
                definition("removed", "shop.wfgen_gen"),
                definition("bank.transfer", "bank.wfgen_gen"),
            ]
        )
        for workflow in ("nap", "bank.transfer"):
            await desk.run(f"run_{workflow}", workflow)
        await desk.run("run_newer", "bank.transfer", "2")

    prepare(shop, scenario)


def test_runs_of_another_project(stored_shop: Any) -> None:
    """They are named as such, and are nobody's here that would be stranded; a workflow that was removed still is."""
    two_projects(stored_shop)
    look = ("check", "--no-types", "--live", "--output-format", "json")
    found = stored_shop.ask(*look)
    states = {run["run_id"]: (run["state"], run["package"]) for run in found["live"]["runs"]}
    assert states == {
        "run_nap": ("reproduced", None),
        "run_bank.transfer": ("foreign", "bank.wfgen_gen"),
        "run_newer": ("foreign", "bank.wfgen_gen"),
    }
    done = stored_shop.inside("check", "--no-types", "--live")
    assert (done.returncode, "WF507" in done.stdout) == (0, False)
    assert "bank.transfer version 1: 1 run (1 at the start); not of this project but of bank.wfgen_gen" in done.stderr

    findings = [one for one in topic(stored_shop, "runs") if "bank" in one["message"]]
    assert [(one["state"], one["run_ids"]) for one in findings] == [
        ("info", ["run_newer"]), ("info", ["run_bank.transfer"]),
    ]  # fmt: skip
    assert "is not of this project but of bank.wfgen_gen, and no live process serves it" in findings[0]["message"]
    (holder,) = topic(stored_shop, "holder", "run_newer", code=1)
    assert holder["hint"] == "Start a worker of that project."
    worker = stored_shop("worker", "--until-idle")
    assert (worker.returncode, "left alone" in worker.stderr) == (0, False)

    async def stranded(desk: Desk) -> None:
        await desk.run("run_removed", "removed")

    prepare(stored_shop, stranded)
    (finding,) = stored_shop.ask(*look, code=1)["diagnostics"]
    assert finding["code"] == "WF507"
    assert "workflow 'removed' version '1' is not defined any more" in finding["message"]
    problems = [one for one in topic(stored_shop, "runs", code=1) if one["state"] == "problem"]
    assert [one["run_ids"] for one in problems] == [["run_removed"]]


def test_a_package_that_was_renamed_is_no_other_project(stored_shop: Any) -> None:
    """What was deployed under another name with a version that is defined here, too, was deployed by this project."""

    async def scenario(desk: Desk) -> None:
        manifest = json.dumps({"schema_version": 1, "package": "store.wfgen_gen"}).encode()
        await desk.store.record_definitions([NewDefinition(name, "1", "h", manifest) for name in ("nap", "removed")])
        await desk.run("run_removed", "removed")

    prepare(stored_shop, scenario)
    found = stored_shop.ask("check", "--no-types", "--live", "--output-format", "json", code=1)
    assert [run["state"] for run in found["live"]["runs"]] == ["stranded"]


def test_what_another_project_has_deployed_is_not_compared_with(stored_shop: Any) -> None:
    """Also if it has a workflow of the same name and version, and was deployed later."""
    assert stored_shop("worker", "--until-idle").returncode == 0

    async def scenario(desk: Desk) -> None:
        manifest = json.dumps({"schema_version": 1, "package": "bank.wfgen_gen", "workflows": []}).encode()
        await desk.store.record_definitions([NewDefinition(name, "1", "other", manifest) for name in ("nap", "x")])

    prepare(stored_shop, scenario)
    stored_shop.replace(FLOWS, '"first"', '"second"')
    look = ("check", "--no-types", "--against", "store", "--output-format", "json")
    assert [finding["code"] for finding in stored_shop.ask(*look, code=1)["diagnostics"]] == ["WF501"]


def test_what_a_process_cannot_load(stored_shop: Any) -> None:
    """A live process that cannot load a part of what it takes says why; what nobody else takes is named with that."""

    async def scenario(desk: Desk) -> None:
        reason = "ModuleNotFoundError at shop/stock.worker.py:1: No module named 'nowhere'"
        await desk.process(
            workflows=[["nap", "1"]], workers=[],
            unloadable={"workflows": [["order", "1", reason]], "workers": [["stock.reserve", reason]]},
        )  # fmt: skip
        await desk.run("run_o", "order")

    prepare(stored_shop, scenario)
    broken = topic(stored_shop, "process", code=1)[1]
    assert broken["state"] == "problem"
    assert (
        ", cannot load workflow 'order' version '1', worker 'stock.reserve': ModuleNotFoundError at"
        in broken["message"]
    )
    (holder,) = topic(stored_shop, "holder", "run_o", code=1)
    assert holder["message"].startswith("no live process serves workflow 'order' version '1': ")
    assert holder["message"].endswith("cannot load it: ModuleNotFoundError at shop/stock.worker.py:1: "
                                      "No module named 'nowhere'")  # fmt: skip
    assert "; cannot load order@1, stock.reserve" in stored_shop.inside("workers", "list").stdout


APPLICATION = """\
import asyncio

from shop.models import Order
from shop.wfgen_gen import connect
from wfgen import DefinitionError


async def main() -> None:
    async with connect(work=True) as wf:
        print("open", flush=True)
        try:
            await wf.order.start(Order(item="tea"))
        except DefinitionError as error:
            print(error.code, error)
        print(len(await wf.list_runs()))
        await wf.nap.start()


asyncio.run(main())
"""


def test_a_source_that_does_not_load(stored_shop: Any) -> None:
    """Who works is told at the start, and who starts a run then and there; where nothing loads, nothing begins."""
    stored_shop.write("application.py", APPLICATION)
    stored_shop.replace(WORKER, "from wfgen", "import nowhere\nfrom wfgen")

    def application() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "application.py"],
            cwd=stored_shop.folder, env=stored_shop.environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    told = "workflow 'approve', workflow 'order' and worker 'stock.reserve' cannot be loaded: ModuleNotFoundError at "
    done = application()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (lines[0], lines[2:]) == ("open", ["0"])
    assert lines[1].startswith("WF700 workflow 'order' version '1' cannot be loaded: ModuleNotFoundError at ")
    assert "`connect(work=False)` leaves runs to other processes" in lines[1]
    assert told in done.stderr
    assert f"error[WF700]: {told}" in stored_shop("worker", "--until-idle").stderr
    run_id = stored_shop("start", "order", "--input", '{"item": "tea"}').stdout.strip()
    (run,) = stored_shop.ask("runs", "list", "--status", "pending", "--json")
    assert (run["run_id"], run["status"], run["owner"]) == (run_id, "pending", None)

    stored_shop.replace(FLOWS, "from shop.models", "import nowhere\nfrom shop.models")
    refused = application()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "wfgen.errors.DefinitionError: workflow 'approve', " in refused.stderr
    worker = stored_shop("worker")
    assert (worker.returncode, "error[WF700]: workflow 'approve', " in worker.stderr) == (2, True)


def test_who_only_looks_makes_no_store(stored_shop: Any) -> None:
    """Neither a file nor a schema comes about by a look into a store that is not there, or under a wrong name."""
    for words in (("runs", "list"), ("runs", "stats"), ("jobs", "list"), ("hooks", "list"), ("workers", "list")):
        done = stored_shop.inside(*words)
        assert (done.returncode, done.stdout) == (0, "")
        assert "does not exist yet" in done.stderr
    for words in (("runs", "show", "x"), ("runs", "cancel", "x"), ("jobs", "retry", "x"), ("hooks", "resume", "x")):
        done = stored_shop.inside(*words, *(("--input", "1") if words[0] == "hooks" else ()))
        assert done.returncode == 2
        assert "does not exist yet" in done.stderr
    assert stored_shop.ask("migrate", "--status", "--json", code=1)["version"] == 0


def test_what_processes_of_another_wfgen_say(stored_shop: Any) -> None:
    """What cannot be understood counts as unsaid, and nothing of it steers the terminal."""

    async def scenario(desk: Desk) -> None:
        for number, serves in enumerate(("[]", "no JSON", '{"workflows": 5}', '{"unloadable": [1]}')):
            process = replace(
                this_process(Environment()), host=f"h\x1b[2J{number}/b", pid=number, boot="", serves=serves
            )
            await desk.store.register(process, 600)

    prepare(stored_shop, scenario)
    members = stored_shop.ask("workers", "list", "--json")
    assert [(member["workflows"], member["unloadable"]) for member in members] == [
        (None, {"workflows": [], "workers": []})
    ] * 4
    for words in (("doctor",), ("workers", "list")):
        done = stored_shop.inside(*words)
        assert (done.returncode, "\x1b" in done.stdout) == (0, False)
