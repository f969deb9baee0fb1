"""Real runs, cut off anywhere, against changed sources: what graph, verdict and engine say.

The old source is run by the real engine on a real store; its history is cut after every event. The same cut is taken
up by the engine with the new source. Where that diverges the graph must have refused the record, and a verdict that
calls the change safe must never be followed by a divergence.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import random
import sqlite3
import textwrap
from pathlib import Path
from typing import Any

import pytest

from wfgen.definitions import NAMESPACE
from wfgen.engine import Engine, open_engine
from wfgen.events import Event
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.compatibility.acceptance import Replay
from wfgen_inspector.compatibility.classification import Change, classify
from wfgen_inspector.compatibility.snapshot import Snapshot, snapshot

HEAD = """\
import asyncio
from wfgen import StepError, Workflow, define_worker, define_workflow


@define_worker("w.one")
async def one() -> int:
    return 1


@define_worker("w.two")
async def two() -> int:
    return 2


async def fail() -> int:
    raise ValueError("no")


"""


def source(body: str) -> str:
    head = '@define_workflow(name="flow")\nasync def flow(workflow: Workflow) -> int:\n'
    return f"{HEAD}{head}{textwrap.indent(body, '    ')}"


def snap(folder: Path, body: str) -> Snapshot:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow.workflow.py").write_text(source(body))
    inspection = inspect(Settings(project=folder), cache=False)
    assert not inspection.unreadable
    return snapshot(inspection.manifest)


def registry(body: str) -> Registry:
    module: dict[str, Any] = {"__name__": "flows"}
    exec(compile(source(body), "flow.workflow.py", "exec"), module)
    found = Registry("none")
    found.register(*module[NAMESPACE].values())
    return found


def record(folder: Path, body: str) -> list[Event]:
    """Run a source to its end; gives what was recorded."""
    folder.mkdir()
    settings = Settings(project=folder)

    async def main() -> list[Event]:
        async with open_engine(registry(body), settings) as engine, asyncio.timeout(60):
            run = await engine.start_run("flow")
            while not (await run.info()).finished_at:
                await asyncio.sleep(0.002)
            return await run.history()

    return asyncio.run(main())


def cut(folder: Path, seq: int, to: Path) -> Settings:
    """A copy of a recorded store in which the run has been killed after one event."""
    to.mkdir()
    settings = Settings(project=to)
    (to / ".wfgen").mkdir()
    with sqlite3.connect(folder / ".wfgen" / "wfgen.db") as old, sqlite3.connect(to / ".wfgen" / "wfgen.db") as new:
        old.backup(new)
        new.execute("DELETE FROM events WHERE seq > ?", (seq,))
        new.execute("DELETE FROM processes")
        new.execute("UPDATE runs SET status = 'running', owner = NULL, finished_at = NULL, output = NULL, error = NULL")
        new.execute("UPDATE runs SET error_type = NULL, error_code = NULL")
        new.execute("DELETE FROM hooks")
    old.close()
    new.close()
    return settings


def resume(settings: Settings, body: str) -> str | None:
    """Let the engine take a run up with a source; gives the code of its error."""

    async def main() -> str | None:
        async with open_engine(registry(body), settings) as engine, asyncio.timeout(60):
            return await finished(engine)

    return asyncio.run(main())


async def finished(engine: Engine) -> str | None:
    while True:
        (run,) = await engine.store.list_runs()
        if run.finished_at:
            return run.error_code
        await asyncio.sleep(0.002)


def refused(new: Snapshot, events: list[Event]) -> bool:
    return Replay(new.workflows["flow@1"].body, events).refusal() is not None


def verdict(old: Snapshot, new: Snapshot) -> Change:
    (found,) = classify(old, new)
    return found


PLAIN = """\
a = await workflow.do("a", "w.one")
await workflow.sleep("nap", "1ms")
b = await workflow.do("b", lambda: a + 1)
return b
"""
BRANCHES = """\
async def lane(name: str) -> None:
    await workflow.do(f"{name} 1", "w.one")
    await workflow.do(f"{name} 2", "w.two")

await asyncio.gather(lane("x"), workflow.do("y", "w.one"), lane("z"))
try:
    await workflow.do("bad", fail)
except StepError:
    await workflow.do("undo", "w.one")
for _ in range(2):
    await workflow.do("turn", "w.two")
return 1
"""
CHANGES = {
    "unchanged": (PLAIN, PLAIN, "unchanged"),
    "appended": (PLAIN, PLAIN.replace("return b", 'await workflow.do("c", "w.one")\nreturn b'), "safe"),
    "inline body": (PLAIN, PLAIN.replace("a + 1", "a + 2"), "safe"),
    "duration": (PLAIN, PLAIN.replace("1ms", "2ms"), "safe"),
    "guarded": (
        PLAIN,
        PLAIN.replace("b = await", 'if workflow.patched("c"):\n    await workflow.do("c", "w.one")\nb = await'),
        "safe",
    ),
    "tried": (
        PLAIN,
        PLAIN.replace(
            'a = await workflow.do("a", "w.one")',
            'try:\n    a = await workflow.do("a", "w.one")\n'
            'except StepError:\n    a = await workflow.do("again", "w.one")',
        ),
        "safe",
    ),
    "inserted": (PLAIN, PLAIN.replace("b = await", 'await workflow.do("c", "w.one")\nb = await'), "needs-version"),
    "removed": (PLAIN, PLAIN.replace('await workflow.sleep("nap", "1ms")\n', ""), "needs-version"),
    "renamed": (PLAIN, PLAIN.replace('"nap"', '"rest"'), "needs-version"),
    "retargeted": (PLAIN, PLAIN.replace("w.one", "w.two"), "needs-version"),
    "another form": (
        PLAIN,
        PLAIN.replace('workflow.sleep("nap", "1ms")', 'workflow.do("nap", "w.one")'),
        "needs-version",
    ),
    "branches unchanged": (BRANCHES, BRANCHES, "unchanged"),
    "branches and more": (BRANCHES, BRANCHES.replace("return 1", 'await workflow.do("c", "w.one")\nreturn 1'), "safe"),
    "lanes swapped": (
        BRANCHES,
        BRANCHES.replace('lane("x")', 'lane("t")').replace('lane("z")', 'lane("x")').replace('lane("t")', 'lane("z")'),
        "needs-version",
    ),
    "handler changed": (BRANCHES, BRANCHES.replace('"undo"', '"other"'), "needs-version"),
    "more in a turn": (
        BRANCHES,
        BRANCHES.replace("return 1", '    await workflow.do("more", "w.one")\nreturn 1'),
        "needs-version",
    ),
    "one turn less": (BRANCHES, BRANCHES.replace("range(2)", "range(1)"), "needs-version"),
}


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES.values(), ids=CHANGES)
def test_the_engine_agrees(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """A safe change completes every cut-off run; one that needs a version has one that diverges (WF705)."""
    before, after = snap(tmp_path / "old", old), snap(tmp_path / "new", new)
    assert verdict(before, after).verdict == expected, verdict(before, after).reasons
    events = record(tmp_path / "run", old)
    codes: dict[int, str | None] = {}
    for event in events[:-1]:
        settings = cut(tmp_path / "run", event.seq, tmp_path / f"cut{event.seq}")
        codes[event.seq] = resume(settings, new)
        graph_refuses = refused(after, events[: event.seq])
        assert codes[event.seq] in (None, "WF705")
        if graph_refuses:
            assert codes[event.seq] == "WF705", f"the graph refuses what the engine follows, at {event}"
        if expected != "needs-version":
            assert (graph_refuses, codes[event.seq]) == (False, None), event
        elif codes[event.seq] == "WF705" and "range(1)" not in new:
            assert graph_refuses, f"the engine refuses what the graph follows, at {event}"
    assert ("WF705" in codes.values()) == (expected == "needs-version")


def event(type: str, key: str, form: str, target: str | None = None) -> Event:
    data = {"form": form} if target is None else {"form": form, "target": target}
    return Event(1, type, 0.0, key, data)  # type: ignore[arg-type]


def done(key: str, target: str | None = "w.one") -> Event:
    return event("step_completed", key, "inline" if target is None else "rpc", target)


LANE = """\
async def lane(name: str) -> None:
    await workflow.do(f"{name} 1", "w.one")
    await workflow.do(f"{name} 2", "w.one")

"""
GROUP = (
    LANE
    + """\
async with asyncio.TaskGroup() as group:
    group.create_task(lane("x"))
    await workflow.do("own", "w.one")
    group.create_task(workflow.do("direct", "w.one"))
    group.create_task(lane("y"))
return 1
"""
)
EACH = """\
async def lane(number: int) -> None:
    await workflow.do("one", "w.one")
    await workflow.do("two", "w.one")

await asyncio.gather(*[lane(n) for n in range(3)])
return await workflow.do("end", "w.one")
"""
OPENED = """\
hook = workflow.create_hook("answer", int)
await workflow.do("send", "w.one")
try:
    await hook
except Exception:
    await workflow.do("late", "w.one")
return 1
"""
DYNAMIC_NAMES = """\
for n in range(3):
    await workflow.do(f"item {n}", "w.one", description="one item")
return await workflow.do("end", "w.one")
"""
FINALLY = """\
try:
    await workflow.do("a", "w.one")
    await workflow.sleep("nap", "1h")
finally:
    await workflow.do("clean", "w.one")
return 1
"""


@pytest.mark.parametrize(
    ("body", "events", "accepted"),
    [
        (GROUP, [done("0.1/x 1"), done("0/own"), done("0.3/y 1"), done("0/direct"), done("0.1/x 2")], True),
        (GROUP, [done("0.1/y 1")], False),
        (GROUP, [done("0.1/x 2")], False),
        (EACH, [done("0.3/one"), done("0.1/one"), done("0.3/two"), done("0.1/two")], True),
        (EACH, [done("0.3/one"), done("0.1/two")], False),
        (EACH, [done("0.1/one"), done("0/end")], False),
        (EACH, [done("0.1/one"), done("0.1/two"), done("0/end")], True),
        (OPENED, [event("hook_created", "0/answer", "create_hook"), done("0/send")], True),
        (OPENED, [done("0/send"), event("hook_timed_out", "0/answer", "create_hook"), done("0/late")], True),
        (OPENED, [event("hook_created", "0/other", "create_hook"), done("0/send")], False),
        (DYNAMIC_NAMES, [done("0/item 0"), done("0/item 1"), done("0/end")], True),
        (DYNAMIC_NAMES, [done("0/item 0"), done("0/item 1", "w.two")], False),
        (DYNAMIC_NAMES, [done("0/item 0", None)], False),
        (FINALLY, [event("step_failed", "0/a", "rpc", "w.one"), done("0/clean")], True),
        (FINALLY, [event("step_failed", "0/a", "rpc", "w.one"), event("timer_fired", "0/nap", "sleep")], False),
        (FINALLY, [done("0/a"), event("timer_set", "0/nap", "sleep"), Event(3, "cancel_requested", 0.0)], True),
        (FINALLY, [done("0/a"), event("timer_set", "0/rest", "sleep")], False),
        (FINALLY, [done("0/a"), event("timer_set", "0/nap", "sleep"), done("0/clean")], True),
        ("while True:\n    await workflow.do('a', 'w.one')\n", [done("0/a"), done("0/a#2"), done("0/a#3")], True),
        ("while True:\n    await workflow.do('a', 'w.one')\n", [done("0/a"), done("0/a#3")], False),
    ],
)
def test_records(tmp_path: Path, body: str, events: list[Event], accepted: bool) -> None:
    """Tasks are numbered, names counted, errors caught and openings asked for, as by the engine."""
    assert refused(snap(tmp_path / "flow", body), events) is not accepted


def test_only_what_follows_the_last_continuation_counts(tmp_path: Path) -> None:
    """What was recorded before a run was continued as new is history."""
    now = snap(tmp_path / "flow", "return await workflow.do('a', 'w.one')\n")
    before = [done("0/gone"), Event(2, "run_continued", 0.0)]
    assert not refused(now, [*before, done("0/a")])
    assert refused(now, [done("0/gone")])


def test_a_recorded_patch_decides(tmp_path: Path) -> None:
    """A run that goes with a change has taken its path; one that goes without has not."""
    body = "if workflow.patched('p'):\n    await workflow.do('new', 'w.one')\nreturn await workflow.do('a', 'w.one')\n"
    now = snap(tmp_path / "flow", body)
    patched = Event(1, "patched", 0.0, None, {"id": "p"})
    assert not refused(now, [done("0/a")])
    assert refused(now, [done("0/new")])
    assert not refused(now, [patched, done("0/new"), done("0/a")])
    assert refused(now, [patched, done("0/a")])


class Bodies:
    """Random bodies, and what the old graph can record."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = (f"s{n}" for n in itertools.count())

    def block(self, depth: int) -> list[Any]:
        return [self.part(depth) for _ in range(self.random.randint(1, 3))]

    def part(self, depth: int) -> Any:
        kind = self.random.choice(["step"] * 3 + ["if", "loop", "gather", "try"] * (depth > 0))
        if kind == "step":
            return ("step", next(self.names), self.random.choice(["w.one", "w.two", "inline", "sleep"]))
        if kind == "gather":
            return ("gather", [("step", next(self.names), "w.one") for _ in range(self.random.randint(2, 3))])
        if kind == "if":
            return ("if", self.random.randint(0, 9), self.block(depth - 1), self.block(depth - 1))
        if kind == "loop":
            return ("loop", self.random.randint(0, 2), self.block(depth - 1))
        return ("try", self.block(depth - 1), self.block(depth - 1))


def write(parts: list[Any]) -> str:
    """A body as source."""
    lines: list[str] = []
    for part in parts:
        match part:
            case ("step", name, target):
                lines.append(f"await {call(name, target)}\n")
            case ("gather", steps):
                lines.append(f"await asyncio.gather({', '.join(call(n, t) for _, n, t in steps)})\n")
            case ("if", number, body, orelse):
                test = f"workflow.random('r').random() * 10 > {number}"
                lines.append(f"if {test}:\n{indent(body)}else:\n{indent(orelse)}")
            case ("loop", turns, body):
                lines.append(f"for _ in range({turns}):\n{indent(body)}")
            case ("try", body, handler):
                lines.append(f"try:\n{indent(body)}except StepError:\n{indent(handler)}")
    return "".join(lines)


def indent(parts: list[Any]) -> str:
    return textwrap.indent(write(parts), "    ")


def call(name: str, target: str) -> str:
    match target:
        case "inline":
            return f'workflow.do("{name}", lambda: 1)'
        case "sleep":
            return f'workflow.sleep("{name}", "1h")'
        case _:
            return f'workflow.do("{name}", "{target}")'


def trace(parts: list[Any], rng: random.Random) -> list[Event]:
    """One way through a body, as the engine would record it, with everything decided at random."""
    counts: dict[str, int] = {}
    events: list[Event] = []

    def complete(name: str, target: str, *, ok: bool = True) -> None:
        counts[name] = counts.get(name, 0) + 1
        key = f"0/{name}" if counts[name] == 1 else f"0/{name}#{counts[name]}"
        form = target if target in ("inline", "sleep") else "rpc"
        data = {"form": form, **({"target": target} if form == "rpc" else {})}
        type = "timer_fired" if form == "sleep" else "step_completed" if ok else "step_failed"
        events.append(Event(len(events) + 1, type, 0.0, key, data))  # type: ignore[arg-type]

    class Failed(Exception):
        pass

    def walk(block: list[Any], caught: bool) -> None:
        for part in block:
            match part:
                case ("step", name, target):
                    fails = caught and target != "sleep" and rng.random() < 0.2
                    complete(name, target, ok=not fails)
                    if fails:
                        raise Failed
                case ("gather", steps):
                    for _, name, target in rng.sample(steps, len(steps)):
                        complete(name, target)
                case ("if", _, body, orelse):
                    walk(body if rng.random() < 0.5 else orelse, caught)
                case ("loop", turns, body):
                    for _ in range(turns):
                        walk(body, caught)
                case ("try", body, handler):
                    try:
                        walk(body, True)
                    except Failed:
                        walk(handler, caught)

    with contextlib.suppress(Failed):
        walk(parts, False)
    return events


def spots(parts: list[Any]) -> list[list[Any]]:
    """Every list of parts inside."""
    found = [parts]
    for part in parts:
        for inner in part:
            if isinstance(inner, list) and part[0] != "gather":
                found += spots(inner)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_random_bodies(tmp_path: Path, seed: int) -> None:
    """Every trace of a body is one of its own; a random edit that is called safe keeps them all, and an insertion in
    the middle never is."""
    bodies = Bodies(seed)
    rng = bodies.random
    old = bodies.block(2)
    text = write(old) + "return 1\n"
    before = snap(tmp_path / "old", text)
    traces = [trace(old, rng) for _ in range(20)]
    for events in traces:
        for end in range(len(events) + 1):
            assert not refused(before, events[:end]), (text, [e.key for e in events[:end]])
    for number in range(4):
        new = copy.deepcopy(old)
        kind = rng.choice(["insert", "append", "remove", "rename", "swap"])
        block = rng.choice(spots(new))
        index = rng.randrange(len(block))
        expected = None
        if kind == "insert":
            block.insert(index, ("step", "new", "w.one"))
            expected = "needs-version"
        elif kind == "append":
            new.append(("step", "new", "w.one"))
            expected = "safe"
        elif kind == "remove":
            gone = block.pop(index)
            if not block:
                block.append(("step", "new", "w.two"))
            expected = "needs-version" if any(part[0] == "step" for part in _flat([gone])) else None
        elif kind == "rename" and block[index][0] == "step":
            block[index] = ("step", "new", block[index][2])
            expected = "needs-version"
        elif len(block) > 1:
            block[0], block[-1] = block[-1], block[0]
        changed = write(new) + "return 1\n"
        after = snap(tmp_path / f"new{number}", changed)
        found = verdict(before, after)
        assert expected is None or found.verdict == expected, (text, changed, found.reasons)
        if found.verdict in ("unchanged", "safe", "safe-with-warning"):
            for events in traces:
                for end in range(len(events) + 1):
                    assert not refused(after, events[:end]), (text, changed, [e.key for e in events[:end]])


def _flat(parts: list[Any]) -> list[Any]:
    return [inner for block in spots(parts) for inner in block]
