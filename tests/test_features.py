"""An index: what the runtime can do, by id, and that a test shows it.

The docstring of a test begins with the ids of what it shows, as in `B11, E2: a paused run …`. To find the tests of one:
`grep -rn 'B11' tests examples/*/tests --include='test_*.py'`.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FEATURES = {
    "A1": "registry of workflows: register, find by version, list, several versions at once, reload in development",
    "A2": "registry of workers: dispatch checked, loaded on demand",
    "A6": "jobs: where each stands, its worker, output and error; expiry and removal",
    "A8": "a workflow as a step, by id or by reference, awaited or not",
    "A9": "timeouts of hooks: 7 days, per workflow, per hook",
    "A10": "parallel branches: fail fast or collect, all or any or some, isolated, limited",
    "A11": "retries of steps by policy and by error, or going on from the error",
    "A12": "timeouts of attempts, of all attempts of a step, and of runs",
    "A13": "validation of results: fail, or warn and go on",
    "A16": "hooks that a run waits for, several at once, with token and deadline",
    "A17": "errors of steps: step, form, worker, input, error, partial output",
    "A19": "history of runs, finding runs and events, removal after a time",
    "A21": "testing: mocks, one step alone, definitions without running them, histories",
    "B1": "child runs",
    "B3": "cancelling runs and steps",
    "B4": "timeouts of workflows and steps",
    "B7": "tasks that depend on each other, and conditions",
    "B8": "tasks before and after a run, each recorded once",
    "B9": "handlers that are told when a run starts, sleeps, goes on and ends; runs that wait leave memory",
    "B10": "waiting for the end of a run",
    "B11": "pausing, resuming and terminating runs",
    "B12": "waiting for a payload from outside",
    "B13": "idle processes take what loaded ones cannot, and only where the code is",
    "B14": "processes with heartbeats; lost ones are noticed, and what they held is taken over",
    "B16": "encrypted payloads with one's own keys",
    "B17": "idempotency keys of runs and steps, steps that run at most once",
    "B18": "where each step of a run stands",
    "B21": "results and audit trail that are kept",
    "B22": "throughput: what comes at once is committed at once, what is asked is found by indexes",
    "B23": "event sourcing, and sagas",
    "B25": "loggers: a protocol, adapters, the run's ids on each line",
    "B26": "contexts of processes and workflows",
    "B27": "versions of workflows with runs in flight",
    "C7": "a queue worker for each step and an orchestrator for each workflow, generated; queues named after both",
    "D4": "retry policies: attempts, delay, multiplier, which errors",
    "D16": "backup and restore of a store in use, recovery, health checks",
    "E1": "definitions stored with their versions",
    "E2": "pausing, and resuming at the exact point",
    "E3": "steps that act over HTTP, in a database, by an agent; in sequence, side by side, on a condition",
    "E4": "checkpoints: rolling back, forking, how many are kept",
    "E5": "recovery after failures and crashes",
    "E7": "statistics and success rates",
    "F7": "fenced processes, and a simulation that kills them anywhere",
    "F8": "steps that cost little, however long the run",
    "F10": "runs that leave the static graph are noticed",
}

_PREFIX = re.compile(r"((?:[A-F]\d+, )*[A-F]\d+): ")


@functools.cache
def shown() -> Mapping[str, list[str]]:
    """Tests by the ids that their docstrings begin with."""
    found: dict[str, list[str]] = {}
    for folder in (ROOT / "tests", *sorted((ROOT / "examples").glob("*/tests"))):
        for path in sorted(folder.rglob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    prefix = _PREFIX.match(ast.get_docstring(node) or "")
                    for feature in prefix[1].split(", ") if prefix else ():
                        found.setdefault(feature, []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_is_shown(feature: str) -> None:
    """At least two tests begin with its id: one alone seldom shows the edges."""
    assert len(shown().get(feature, [])) >= 2, f"{feature}, {FEATURES[feature]}"
