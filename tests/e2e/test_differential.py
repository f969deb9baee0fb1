"""What can be seen of a run does not depend on the engine: the examples on SQLite and on PostgreSQL, compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .test_examples import ENVIRONMENT, ORDER, copy

CHILD = Path(__file__).with_name("differential_child.py")
TRIP = {"id": "T-1", "traveller": "Ada", "destination": "Rome", "nights": 7, "with_car": True}
EXPENSE = {"id": "E-1", "employee": "Ada", "manager": "Eve", "director": "Bob", "amount": 30}
PEOPLE = {"email": "ada@example.org", "amount": 100, "interests": ["looms"]}

YES, NO = {"ok": True, "by": "Grace"}, {"ok": False, "by": "Grace"}
MOVED = {"reason": "moved"}

STORIES: dict[str, tuple[str, list[Any]]] = {
    "orders": (
        "orders",
        [
            ["fulfil", {**ORDER, "id": "A-1"}, [["approval", YES]]],
            ["fulfil", {**ORDER, "id": "A-2", "customer": "the moon"}, [["approval", YES]]],
            ["fulfil", {**ORDER, "id": "A-3"}, [["approval", {"ok": "perhaps"}], ["approval", NO]]],
        ],
    ),
    "onboarding": ("onboarding", [["onboarding", PEOPLE, []]]),
    "saga": ("trips", [["book", TRIP, []], ["book", {**TRIP, "id": "T-2", "with_car": False}, []]]),
    "approval": ("expenses", [["approve", EXPENSE, [["decision", {"approved": True, "by": "Eve"}]]]]),
    "fanout": ("thumbnails", [["resize", {"id": "A", "pictures": ["a.jpg", "b.jpg", "notes.txt"]}, []]]),
    "subscription": ("billing", [["subscribe", {"customer": "Ada", "price": 9}, [["cancellation", MOVED]]]]),
    "studio": ("studio", [["album", {"id": "A-1", "customer": "Ada", "pictures": ["a", "b", "c"]}, []]]),
}
"""Of each example: its package; and runs, each with its workflow, its input, and what its hooks are resumed with."""


def test_the_examples_on_both_engines(tmp_path: Path, postgres_url: str) -> None:
    """D16: types, keys, data and payloads of all events, results, hooks and jobs are the same."""
    stories = {
        name: {"folder": str(copy(name, tmp_path)), "package": package, "runs": runs}
        for name, (package, runs) in STORIES.items()
    }
    urls = ["sqlite:///.wfgen/SCHEMA.db", postgres_url.replace("schema=", "schema=SCHEMA_")]
    done = subprocess.run(
        [sys.executable, CHILD, json.dumps(stories), *urls],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name, (_, runs) in STORIES.items():
        on_file, on_server = found[name]
        assert len(on_file) == len(runs)
        for one, other in zip(on_file, on_server, strict=True):
            assert other[4] == one[4], f"{name}: the events of {one[0]}"
            assert other == one, name
    kinds = {event[0] for seen in found.values() for run in seen[0] for events in run[4].values() for event in events}
    assert {"step_completed", "step_failed", "job_created", "hook_resumed", "hook_rejected", "timer_fired"} <= kinds
