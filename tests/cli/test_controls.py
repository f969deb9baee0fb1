"""Pausing, terminating, retrying, taking back and forking runs from the command line (B11, E2, E4, E5)."""

from __future__ import annotations

from typing import Any

import pytest


def start(shop: Any, name: str, *words: str) -> str:
    return str(shop.ask("start", name, *words, "--json")["run_id"])


def work(shop: Any) -> None:
    assert shop.inside("worker", "--until-idle").returncode in (0, 1)


def names(shop: Any, run_id: str) -> dict[str, int]:
    return {one["name"]: one["seq"] for one in shop.ask("runs", "checkpoints", run_id, "--json")}


def test_pause_and_resume(shop: Any) -> None:
    """B11: a paused run is left alone until it is resumed; asking twice does no harm."""
    run_id = start(shop, "order", "--input", '{"item": "tea"}')
    assert "is paused" in shop.inside("runs", "pause", run_id).stdout
    assert shop.ask("runs", "pause", run_id, "--json") == {"run_id": run_id, "pause": "duplicate", "status": "paused"}
    work(shop)
    assert [one["run_id"] for one in shop.ask("runs", "list", "--status", "paused", "--json")] == [run_id]
    assert "goes on" in shop.inside("runs", "resume", run_id).stdout
    assert "is not paused" in shop.inside("runs", "resume", run_id).stdout
    work(shop)
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "completed"


def test_terminate(shop: Any) -> None:
    """B11: a terminated run tells why, and ends at once."""
    run_id = start(shop, "approve", "--input", '{"item": "tea"}')
    assert "is terminated" in shop.inside("runs", "terminate", run_id, "--reason", "a test").stdout
    run = shop.ask("runs", "show", run_id, "--json")
    assert run["status"] == "terminated"
    assert "a test" in shop.inside("runs", "history", run_id).stdout


def test_retry(shop: Any) -> None:
    """E5: a failed run is run again; what its failure had recorded is shown as undone."""
    run_id = start(shop, "broken")
    work(shop)
    assert "is retried" in shop.inside("runs", "retry", run_id).stdout
    work(shop)
    assert shop.ask("runs", "show", run_id, "--json")["status"] == "failed"
    history = shop.ask("runs", "history", run_id, "--json")
    assert [one["type"] for one in history if one["undone"]] == ["step_failed", "run_failed"]
    assert "undone" in shop.inside("runs", "history", run_id).stdout


def test_rollback_and_fork(shop: Any) -> None:
    """E4: checkpoints are listed; a run goes back to one, and another one begins there, with another input too."""
    run_id = start(shop, "order", "--input", '{"item": "tea"}')
    work(shop)
    at = names(shop, run_id)["reserve"]
    assert "reserve" in shop.inside("runs", "checkpoints", run_id).stdout
    assert shop.ask("runs", "rollback", run_id, "--to", str(at), "--json")["status"] == "pending"
    work(shop)
    assert shop.ask("runs", "show", run_id, "--json")["output"]["total"] == 7
    words = ["runs", "fork", run_id, "--at", str(at), "--idempotency-key", "once"]
    same = shop.inside(*words).stdout.strip()
    assert shop.ask(*words, "--json")["run_id"] == same != run_id
    other = shop.ask("runs", "fork", run_id, "--at", str(at), "--input", '{"item": "tea", "amount": 5}', "--json")
    work(shop)
    assert shop.ask("runs", "show", other["run_id"], "--json")["output"] == {
        "item": "tea", "total": 35, "reserved": "1 x tea",
    }  # fmt: skip
    assert (shop.folder / "effects.log").read_text() == "reserve tea\n"


@pytest.mark.parametrize(
    "words",
    [
        ["pause"], ["resume"], ["terminate"], ["retry"], ["rollback", "--to", "99"], ["fork", "--at", "99"],
    ],
)  # fmt: skip
def test_what_cannot_be_done(shop: Any, words: list[str]) -> None:
    """B11, E4, E5: refused with a stable code and advice, on finished and on unknown runs, and nothing is changed."""
    run_id = start(shop, "order", "--input", '{"item": "tea"}')
    work(shop)
    before = shop.ask("runs", "history", run_id, "--json")
    command, *options = words
    done = shop.inside("runs", command, run_id, *options)
    assert done.returncode == 2
    assert "error[WF727]" in done.stderr
    assert done.stdout == ""
    assert shop.ask("runs", "history", run_id, "--json") == before
    assert "error[WF724]" in shop.inside("runs", command, "run_nowhere", *options).stderr


def test_without_a_store(shop: Any) -> None:
    """B11: no store is made for a run that cannot be in it."""
    done = shop.inside("runs", "pause", "run_nowhere", "--engine", "sqlite:///nowhere.db")
    assert "error[WF724]" in done.stderr
    assert not (shop.folder / "nowhere.db").exists()
