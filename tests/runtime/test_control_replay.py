"""Taking runs back, forking and pausing them at every point of many shapes of concurrency, cut off anywhere after."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wfgen.checkpoints import checkpoints, copied, effective, seed_origin
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.ids import RunId
from wfgen.store.records import Message

_spec = importlib.util.spec_from_file_location("patterns", Path(__file__).with_name("patterns.py"))
assert _spec is not None
assert _spec.loader is not None
patterns = importlib.util.module_from_spec(_spec)
sys.modules["patterns"] = patterns
_spec.loader.exec_module(patterns)

SEEDS = 2
EVERY = sorted(patterns.PATTERNS)


def worked(name: str, seed: int) -> list[Event]:
    """The history of a run that was not disturbed."""
    host = patterns.SeededHost(seed)
    host.work(Execution(patterns.claim([patterns.STARTED]), patterns.define(patterns.PATTERNS[name]), host))
    return [patterns.STARTED, *host.recorded]


def goes_on(name: str, history: list[Event], seed: int, **run: Any) -> list[Event]:
    """Work a run from a history to its end, in which no step that counts as completed runs again; the whole history."""
    host = patterns.SeededHost(seed)
    host._now = history[-1].time
    claimed = patterns.claim(list(history))
    claimed = dataclasses.replace(claimed, run=dataclasses.replace(claimed.run, **run))
    host.work(Execution(claimed, patterns.define(patterns.PATTERNS[name]), host))
    assert host.last is not None
    assert host.last.status == "completed", (seed, host.last.error)
    assert not patterns.completed_keys(effective(history)) & set(host.started)
    whole = [*history, *host.recorded]
    keys = [e.key for e in effective(whole) if e.type in ("step_completed", "timer_fired")]
    assert len(keys) == len(set(keys))
    return whole


def marked(history: list[Event], to: int) -> list[Event]:
    last = history[-1]
    return [*history, Event(last.seq + 1, "rolled_back", last.time, None, {"to": to})]


@pytest.mark.parametrize("name", EVERY)
def test_back_to_every_checkpoint(name: str) -> None:
    """E4: from each checkpoint, and from each one of the history that comes of it, also when it is cut off anywhere."""
    tried = 0
    for seed in range(SEEDS):
        whole = worked(name, seed)
        for place, checkpoint in enumerate(checkpoints(whole)):
            once = goes_on(name, marked(whole, checkpoint.seq), seed * 1000 + place)
            for cut in range(len(whole) + 1, len(once), 5):
                goes_on(name, once[:cut], seed * 1000 + cut)
            again = checkpoints(once)[place // 2]
            goes_on(name, marked(once, again.seq), seed + place)
            tried += 1
    assert tried > SEEDS * 3


@pytest.mark.parametrize("name", EVERY)
def test_fork_at_every_checkpoint(name: str) -> None:
    """E4: a fork replays what it was given under its own id and salt, and so does a fork of that fork."""
    for seed in range(SEEDS):
        whole = worked(name, seed)
        for place, checkpoint in enumerate(checkpoints(whole)):
            first = copied(whole, checkpoint.seq, "run_1", seed_origin("salt", 1), whole[-1].time)
            fork = goes_on(name, first, seed + place, run_id=RunId("run_2"), salt="other")
            places = checkpoints(fork)
            for again in (places[place // 2], places[-1]):
                second = copied(fork, again.seq, "run_2", seed_origin("other", 1), fork[-1].time)
                goes_on(name, second, seed + place, run_id=RunId("run_3"), salt="third")


def ask(execution: Execution, host: Any, turns: Iterator[int], turn: int, started: list[str]) -> None:
    """Ask for a pause in a turn, and note what is started by then."""
    if next(turns) == turn:
        started.extend(host.started)
        execution.receive(Message(1, RunId("run_1"), "pause", None, None, None))


@pytest.mark.parametrize("name", EVERY)
def test_pause_at_every_point(name: str) -> None:
    """B11, E2: asked to pause after any turn, a run records what is at work, no more, and goes on from there."""
    definition = patterns.define(patterns.PATTERNS[name])
    paused = 0
    for seed in range(SEEDS):
        for turn in range(1, 60, 4):
            host = patterns.SeededHost(seed)
            execution = Execution(patterns.claim([patterns.STARTED]), definition, host)
            started: list[str] = []
            host.each_turn = functools.partial(ask, execution, host, itertools.count(1), turn, started)
            host.work(execution)
            assert host.last is not None
            if host.last.status == "completed":
                continue  # it was asked in its last moments, or after its end
            paused += 1
            assert host.last.status == "paused"
            assert host.last.consumed == [1]
            assert host.recorded[-1].type == "run_paused"
            assert host.started == started, "nothing new has begun"
            history = [patterns.STARTED, *host.recorded]
            assert set(started) <= patterns.completed_keys(history) | host.given_up
            resumed = Event(history[-1].seq + 1, "run_resumed", history[-1].time)
            goes_on(name, [*history, resumed], seed + turn)
    assert paused > SEEDS * 2


async def once(workflow: Any) -> Any:
    async def branch(number: int) -> list[int]:
        return [await workflow.do("work", patterns._step, n, at_most_once=True) for n in range(number, number + 3)]

    return await asyncio.gather(*[branch(n) for n in range(3)])


def test_pause_lets_steps_end_that_are_recorded_as_begun() -> None:
    """B11: a step that runs at most once and is recorded as begun has ended when the run is paused."""
    definition = patterns.define(once)
    paused = 0
    for seed in range(6):
        for turn in range(1, 30):
            host = patterns.SeededHost(seed)
            execution = Execution(patterns.claim([patterns.STARTED]), definition, host)
            host.each_turn = functools.partial(ask, execution, host, itertools.count(1), turn, [])
            host.work(execution)
            begun = {event.key for event in host.recorded if event.type == "step_started"}
            assert begun == patterns.completed_keys(host.recorded)
            paused += host.recorded[-1].type == "run_paused"
    assert paused > 50


async def at_its_end(workflow: Any, number: int) -> Any:
    """Whose code comes to its end with the step that was at work when it was paused."""
    if await workflow.do("work", patterns._step, number) == 1:
        raise ValueError("as it is meant to")
    if number == 1:
        workflow.continue_as_new(2)
    return "done"


@pytest.mark.parametrize("by", ["resume", "cancel"])
@pytest.mark.parametrize(("number", "end"), [(0, "run_failed"), (1, "run_continued"), (2, "run_completed")])
def test_a_pause_ends_before_the_run_does(number: int, end: str, by: Any) -> None:
    """B11: a run whose code is at its end when it is taken up from a pause shows that the pause is over."""
    definition = patterns.define(at_its_end)
    host = patterns.SeededHost(number)
    host.continued = lambda execution, start: None
    claimed = patterns.claim([patterns.STARTED])
    claimed = dataclasses.replace(claimed, run=dataclasses.replace(claimed.run, input=str(number).encode()))
    execution = Execution(claimed, definition, host)
    host.each_turn = functools.partial(ask, execution, host, itertools.count(1), 2, [])
    host.work(execution)
    paused = [patterns.STARTED, *host.recorded]
    assert [event.type for event in paused] == ["run_started", "step_completed", "run_paused"]

    host = patterns.SeededHost(number)
    host.continued = lambda execution, start: None
    message = Message(2, RunId("run_1"), by, None, None, None)
    host.work(Execution(dataclasses.replace(claimed, events=paused, messages=[message]), definition, host))
    types = [event.type for event in host.recorded if event.type != "cancel_requested"]
    assert types == ["run_resumed", "run_cancelled" if (by, number) == ("cancel", 1) else end]
