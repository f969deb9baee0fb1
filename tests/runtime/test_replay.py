"""The replay rule, on every crash prefix of many shapes of concurrency."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.execution import Execution

_spec = importlib.util.spec_from_file_location("patterns", Path(__file__).with_name("patterns.py"))
assert _spec is not None
assert _spec.loader is not None
patterns = importlib.util.module_from_spec(_spec)
sys.modules["patterns"] = patterns
_spec.loader.exec_module(patterns)

SEEDS = int(os.environ.get("WFGEN_REPLAY_SEEDS", "12"))


@pytest.mark.parametrize("name", sorted(patterns.PATTERNS))
def test_every_crash_prefix_replays_without_divergence(name: str) -> None:
    """B23, E5: a run that is cut off after any recorded event goes on, and no step recorded as completed runs again."""
    function: Callable[..., Any] = patterns.PATTERNS[name]
    definition = patterns.define(function)
    prefixes = 0
    for seed in range(SEEDS):
        host = patterns.SeededHost(seed)
        host.work(Execution(patterns.claim([patterns.STARTED]), definition, host))
        assert host.last is not None
        assert host.last.status == "completed", host.last.error
        whole = [patterns.STARTED, *host.recorded]
        assert [e.seq for e in whole] == list(range(1, len(whole) + 1))
        for cut in range(1, len(whole)):
            prefix = whole[:cut]
            again = patterns.SeededHost(seed * 1000 + cut)
            again._now = prefix[-1].time
            execution = Execution(patterns.claim(prefix), definition, again)
            again.work(execution)
            assert again.last is not None
            assert again.last.status == "completed", (seed, cut, again.last.error)
            rerun = patterns.completed_keys(prefix) & set(again.started)
            assert not rerun, (seed, cut, rerun)
            keys = [e.key for e in [*prefix, *again.recorded] if e.type in ("step_completed", "timer_fired")]
            assert len(keys) == len(set(keys)), (seed, cut)
            if cut == len(whole) - 1:
                assert again.last.output == host.last.output
            prefixes += 1
    assert prefixes > SEEDS * 4


def test_a_patch_lets_every_run_of_the_old_code_go_on() -> None:
    """B27: cut off after any event, a run of the code without the change completes with the code that has it."""
    old, new = patterns.define(patterns.unpatched), patterns.define(patterns.patched)
    taken = 0
    for seed in range(SEEDS):
        host = patterns.SeededHost(seed)
        host.work(Execution(patterns.claim([patterns.STARTED]), old, host))
        whole = [patterns.STARTED, *host.recorded]
        for cut in range(1, len(whole)):
            again = patterns.SeededHost(seed * 1000 + cut)
            again._now = whole[cut - 1].time
            again.work(Execution(patterns.claim(whole[:cut]), new, again))
            assert again.last is not None
            assert again.last.status == "completed", (seed, cut, again.last.error)
            assert not patterns.completed_keys(whole[:cut]) & set(again.started)
            answers = [event.data["id"] for event in again.recorded if event.type == "patched"]
            assert len(answers) == len(set(answers))
            taken += len(answers)
    assert taken > SEEDS, "some runs took the new path"


def test_a_step_starts_only_once_what_it_follows_from_is_durable() -> None:
    """The code goes on in memory while a completion is written, but nothing with an effect happens before it is."""
    host = patterns.SeededHost(0)
    execution = Execution(patterns.claim([patterns.STARTED]), patterns.define(patterns.sequence), host)
    execution.begin()
    assert host.started == ["0/same name"]
    host._complete()
    while host._soon:
        host._soon.pop(0)()
    assert "0/same name#2" in execution.code.operations, "the code has gone on"
    assert host.started == ["0/same name"]
    host._acknowledge()
    assert host.started == ["0/same name", "0/same name#2"]
