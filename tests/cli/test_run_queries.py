"""Finding runs, looking at their steps, counting and removing them from the command line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest


def _start(shop: Any, name: str, *words: str) -> str:
    return str(shop("start", name, "--input", '{"item": "tea"}', *words).stdout.strip())


def _ids(shop: Any, *words: str) -> list[str]:
    return [run["run_id"] for run in shop.ask("runs", "list", *words, "--json")]


def _age(shop: Any, run_id: str, seconds: float) -> None:
    with closing(sqlite3.connect(shop.folder / ".wfgen" / "wfgen.db")) as connection:
        connection.execute(
            "UPDATE runs SET created_at = created_at - ?, finished_at = finished_at - ? WHERE run_id = ?",
            (seconds, seconds, run_id),
        )
        connection.execute(
            "UPDATE tags SET created_at = created_at - ? WHERE run = (SELECT run FROM runs WHERE run_id = ?)",
            (seconds, run_id),
        )
        connection.commit()


def test_list_by_what_runs_are(shop: Any) -> None:
    """A19: by tag, time, key, version, status and page; tags are shown."""
    old = _start(shop, "order", "--tag", "acme", "--tag", "eu")
    approve = _start(shop, "approve", "--tag", "acme", "--idempotency-key", "first")
    new = _start(shop, "order")
    _age(shop, old, 7200)
    assert _ids(shop, "--tag", "acme") == [approve, old]
    assert _ids(shop, "--tag", "acme", "--workflow", "order", "--version", "1") == [old]
    assert _ids(shop, "--since", "1h") == [new, approve]
    assert _ids(shop, "--until", "1h") == [old]
    assert _ids(shop, "--since", "2999-01-01") == []
    assert _ids(shop, "--idempotency-key", "first") == [approve]
    assert _ids(shop, "--code", "WF710") == []
    assert _ids(shop, "--parent", old) == []
    assert _ids(shop, "--limit", "2") == [new, approve]
    assert _ids(shop, "--limit", "2", "--before", approve) == [old]
    table = shop("runs", "list", "--status", "pending").stdout
    assert "acme, eu" in table
    (told,) = shop.ask("runs", "list", "--until", "1h", "--json")
    assert told["tags"] == ["acme", "eu"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "yesterday"), "--since 'yesterday' is no time"),
        (("--stranded", "--tag", "x"), "--stranded goes with --limit alone"),
        (("--before", "run_nope"), "no run 'run_nope'"),
    ],
)
def test_list_refuses(shop: Any, words: tuple[str, ...], says: str) -> None:
    """A time, a page or a combination that makes no sense is refused with advice."""
    _start(shop, "order")
    done = shop("runs", "list", *words)
    assert done.returncode != 0
    assert says in done.stderr


def test_stranded_runs(shop: Any) -> None:
    """B27: unfinished runs of a workflow or version that is not here; doctor names them and what to do."""
    _start(shop, "order")
    assert _ids(shop, "--stranded") == []
    gone = _start(shop, "approve")
    with closing(sqlite3.connect(shop.folder / ".wfgen" / "wfgen.db")) as connection:
        connection.execute("UPDATE runs SET version = '0' WHERE run_id = ?", (gone,))
        connection.commit()
    assert _ids(shop, "--stranded") == [gone]
    told = shop("doctor").stdout
    assert f"workflow 'approve' version '0' is not defined here, and no live process serves it: {gone}" in told
    assert "wfgen runs list --stranded" in told


def test_show_lists_steps(shop: Any) -> None:
    """B18, E6: a table of the steps, with those that the run has not reached; the same as JSON."""
    run_id = _start(shop, "approve", "--tag", "eu")
    shop("worker", "--until-idle")
    shown = shop("runs", "show", run_id).stdout
    assert "tags      eu" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["STEP", "STATUS", "FORM", "ATTEMPTS", "STARTED", "TOOK", "DETAIL"] in rows
    assert any(row[:4] == ["reserve", "completed", "rpc", "1"] for row in rows)
    assert any(row[:3] == ["approval", "waiting", "hook"] for row in rows)
    told = shop.ask("runs", "show", run_id, "--json")
    assert [(step["name"], step["status"]) for step in told["steps"]] == [
        ("reserve", "completed"),
        ("approval", "waiting"),
    ]
    fresh = _start(shop, "order")
    told = shop.ask("runs", "show", fresh, "--json")
    assert [(step["name"], step["status"]) for step in told["steps"]] == [("reserve", "pending"), ("bill", "pending")]


def test_history_of_one_step(shop: Any) -> None:
    """A19, B21: events by type and step, each with its process, attempt and duration."""
    shop("run", "order", "--input", '{"item": "tea"}')
    (run_id,) = _ids(shop)
    every = shop.ask("runs", "history", run_id, "--json")
    assert {"process", "attempt", "duration", "undone", "step"} <= set(every[0])
    assert every[0]["process"]
    (one,) = shop.ask("runs", "history", run_id, "--step", "bill", "--json")
    assert (one["type"], one["step"], one["attempt"], one["undone"]) == ("step_completed", "bill", 1, False)
    found = shop.ask("runs", "history", run_id, "--type", "run_started", "--type", "run_completed", "--json")
    assert [event["type"] for event in found] == ["run_started", "run_completed"]
    wrong = shop("runs", "history", run_id, "--type", "step_complete")
    assert wrong.returncode == 2
    assert "step_completed" in wrong.stderr


def test_stats(shop: Any) -> None:
    """E7: how runs and steps have gone, as tables and as JSON."""
    assert shop("runs", "stats").stderr.startswith("No runs")
    for _ in range(2):
        shop("run", "order", "--input", '{"item": "tea"}')
    (told,) = shop.ask("runs", "stats", "order", "--since", "1h", "--json")
    assert (told["workflow"], told["runs"], told["statuses"], told["success_rate"]) == (
        "order", 2, {"completed": 2}, 1.0,
    )  # fmt: skip
    assert [(step["name"], step["executions"]) for step in told["steps"]] == [("reserve", 2), ("bill", 2)]
    assert told["durations"]["p99"] >= told["durations"]["p50"] > 0
    assert told["suggestions"] == []
    shown = shop("runs", "stats", "--suggest").stdout
    assert "Nothing is suggested" in shown
    assert "2 completed" in shown
    assert "100.0%" in shown
    assert shop.ask("runs", "stats", "--since", "2999-01-01", "--json") == []


def test_what_a_history_suggests(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """B23: timeouts and retries by how the steps have gone, with the reason."""
    shop("run", "order", "--input", '{"item": "tea"}')
    monkeypatch.setattr("wfgen.suggestions.ENOUGH", 1)
    shown = shop.inside("runs", "stats", "--suggest").stdout
    rows = [line.split()[:4] for line in shown.splitlines()]
    assert ["order", "reserve", "timeout", "1s"] in rows
    assert "99 % of 1 attempts took at most" in shown
    (told,) = shop.ask("runs", "stats", "--json")
    suggested = [(one["step"], one["option"]) for one in told["suggestions"]]
    assert suggested == [("reserve", "timeout"), ("bill", "timeout")]


def test_prune(shop: Any) -> None:
    """A19: old finished runs are counted, then removed; others stay."""
    for _ in range(3):
        shop("run", "order", "--input", '{"item": "tea"}')
    waiting = _start(shop, "approve")
    young, *old = _ids(shop, "--status", "completed")
    for run_id in [*old, waiting]:
        _age(shop, run_id, 90 * 86400)
    assert shop("runs", "prune", "--older-than", "30d", "--status", "failed").stdout == "0 runs removed.\n"
    assert shop("runs", "prune", "--older-than", "30d", "--dry-run").stdout == "2 runs would be removed.\n"
    assert json.loads(shop("runs", "prune", "--older-than", "30d", "--json").stdout) == {"runs": 2, "removed": True}
    assert sorted(_ids(shop)) == sorted([young, waiting])
    wrong = shop("runs", "prune", "--older-than", "30d", "--status", "running")
    assert wrong.returncode == 2
    assert "is not final" in wrong.stderr


def test_doctor_names_what_is_waited_for(shop: Any) -> None:
    """A16: hooks that runs wait for, and until when; runs that killed the processes that took them."""
    run_id = _start(shop, "approve")
    shop("worker", "--until-idle")
    told = shop("doctor").stdout
    assert f"approval of {run_id} until " in told
    with closing(sqlite3.connect(shop.folder / ".wfgen" / "wfgen.db")) as connection:
        connection.execute("UPDATE runs SET status = 'running', claims = 3")
        connection.commit()
    assert "without getting further" in shop("doctor").stdout
