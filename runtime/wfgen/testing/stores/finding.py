"""Finding runs, counting how they went, and removing old ones."""

from __future__ import annotations

import random
from typing import Any

from wfgen.errors import UnknownRunError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.protocol import Store
from wfgen.store.records import Append, RunRecord, Verdict
from wfgen.testing.stores.desk import Desk, check, enqueue, new, raises

_STATUSES = ("pending", "running", "waiting", "completed", "failed", "cancelled")


async def _set(store: Store, run: RunRecord, status: Any, time: float, code: str | None = None, **more: Any) -> Verdict:
    ended = status in ("completed", "failed", "cancelled")
    data = {"form": "inline", "attempt": 1, "started_at": time - 2}
    events = [Event(2, "step_completed", time, "0/work", data)] if ended else []
    error = ("Error", "no", code) if status == "failed" else None
    (verdict,) = await enqueue(store, Append(run.run_id, 1, events, status=status, error=error, **more))
    return verdict


async def _put(desk: Desk, store: Store, process: str, run_id: str, status: str, **more: Any) -> RunRecord:
    """A run that was started now and has a status; held by a process unless it is pending."""
    code = more.pop("code", None)
    record, _ = await store.create(new(run_id, **more), None if status == "pending" else process)
    if status not in ("pending", "running"):
        assert await _set(store, record, status, desk.clock.now, code) is None
    return record


@check
async def each_filter_finds_what_fits(desk: Desk) -> None:
    """A16: any filters together give just the runs that fit, newest first, also page by page."""
    store = await desk.open()
    process = await desk.register(store, lease=1e6)
    chance = random.Random(5)
    known: list[dict[str, Any]] = []
    for number in range(40):
        status = chance.choice(_STATUSES)
        one: dict[str, Any] = {
            "workflow": chance.choice(["a", "b"]),
            "version": chance.choice(["1", "2"]),
            "status": status,
            "code": chance.choice(["WF710", "WF711"]) if status == "failed" else None,
            "tags": tuple(sorted(chance.sample(["x", "y", "z"], chance.randint(0, 2)))),
            "idempotency_key": f"key-{number}" if number % 3 else None,
        }
        desk.clock.now += chance.choice([0, 10])
        await _put(desk, store, process, f"r{number:02}", **one)
        known.insert(0, {**one, "id": f"r{number:02}", "time": desk.clock.now})
    choices: dict[str, list[Any]] = {
        "workflow": ["a", "none"],
        "version": ["1", "9"],
        "status": [["failed"], ["completed", "waiting"], list(_STATUSES), []],
        "tag": ["x", "other"],
        "since": [one["time"] for one in known[::9]],
        "until": [one["time"] for one in known[::9]],
        "idempotency_key": ["key-4", "nope"],
        "error_code": ["WF710", "WF799"],
    }

    def fits(one: dict[str, Any], name: str, value: Any) -> bool:
        match name:
            case "status":
                return one["status"] in value
            case "tag":
                return value in one["tags"]
            case "since":
                return bool(one["time"] >= value)
            case "until":
                return bool(one["time"] < value)
            case "error_code":
                return bool(one["code"] == value)
            case _:
                return bool(one[name] == value)

    questions: list[dict[str, Any]] = [{}, *({name: value} for name, values in choices.items() for value in values)]
    for _ in range(30):
        questions.append({name: chance.choice(choices[name]) for name in chance.sample(sorted(choices), 3)})
    for filters in questions:
        wanted = [one["id"] for one in known if all(fits(one, *given) for given in filters.items())]
        assert [run.run_id for run in await store.list_runs(limit=1000, **filters)] == wanted, filters
        found: list[str] = []
        while page := await store.list_runs(limit=7, before=found[-1] if found else None, **filters):
            found += [run.run_id for run in page]
        assert found == wanted, filters
    assert list(await store.workflows()) == sorted({(one["workflow"], one["version"]) for one in known})
    with raises(UnknownRunError, "nope"):
        await store.list_runs(before="nope")


@check
async def children_are_found_with_their_tags(desk: Desk) -> None:
    """A18: by their parent, with the tags that they were created with."""
    store = await desk.open()
    process = await desk.register(store)
    parent = await _put(desk, store, process, "p", "running", tags=("top",))
    child = new("c", workflow="sub", parent=(RunId("p"), "0/c"), tags=("a", "b"))
    assert await _set(store, parent, "waiting", desk.clock.now, children=[child]) is None
    (found,) = await store.list_runs(parent="p")
    assert (found.run_id, found.tags, found.parent) == ("c", ("a", "b"), "p")
    assert [run.run_id for run in await store.list_runs(tag="b")] == ["c"]
    assert (await store.get_run("p")).tags == ("top",)


@check
async def statistics_count_runs_and_steps(desk: Desk) -> None:
    """E7: by workflow and version, of the runs that were started in a stretch of time."""
    store = await desk.open()
    process = await desk.register(store, lease=1e6)
    begin = desk.clock.now
    for number in range(12):
        status = ("completed", "failed", "waiting")[number % 3]
        await _put(desk, store, process, f"r{number}", status, version=str(number % 2))
        desk.clock.now += 1
    found = await store.statistics()
    assert [(one.workflow, one.version, one.runs) for one in found] == [("flow", "0", 6), ("flow", "1", 6)]
    assert found[0].statuses == {"completed": 2, "failed": 2, "waiting": 2}
    assert found[0].success_rate == 0.5
    step = found[0].steps["work"]
    assert (step.completed, step.failed, step.retries) == (4, 0, 0)
    assert abs((step.durations.percentile(99) or 0) - 2) < 0.05
    (some,) = await store.statistics(workflow="flow", version="1", since=begin + 2, until=begin + 6)
    assert some.runs == 2
    assert list(await store.statistics(workflow="none")) == []


@check
async def old_runs_are_removed(desk: Desk) -> None:
    """A19: what ended before a time goes with all of it, children before their parents; what is unfinished stays."""
    store = await desk.open()
    process = await desk.register(store, lease=1e6)
    for number, status in enumerate(_STATUSES):
        await _put(desk, store, process, f"r{number}", status, tags=("t",), idempotency_key=f"k{number}")
    parent = await _put(desk, store, process, "p", "running")
    child = new("c", parent=(RunId("p"), "0/c"))
    assert await _set(store, parent, "waiting", desk.clock.now, children=[child]) is None
    claimed = {one.run.run_id: one.run for one in await store.claim(process, [("flow", "1")], 9)}
    assert await _set(store, claimed[RunId("c")], "completed", desk.clock.now) is None
    desk.clock.now += 100
    await _put(desk, store, process, "young", "completed")
    before = desk.clock.now - 50
    assert await store.count_prunable(before) == 3
    assert list(await store.prune(before, ["failed"])) == ["r4"]
    assert sorted(await store.prune(before)) == ["r3", "r5"]
    assert list(await store.prune(before)) == []
    assert sorted(run.run_id for run in await store.list_runs(tag="t")) == ["r0", "r1", "r2"]
    with raises(UnknownRunError, "r4"):
        await store.history("r4")
    _, created = await store.create(new("again", input=b"other", idempotency_key="k4"))
    assert created


@check
async def families_are_removed_from_above(desk: Desk) -> None:
    """A19: no child before its parent, which may be retried and hear of it again; no parent before its children can."""
    store = await desk.open()
    process = await desk.register(store)
    parent = await _put(desk, store, process, "p", "running")
    child = new("c", parent=(RunId("p"), "0/c"))
    assert await _set(store, parent, "waiting", desk.clock.now, children=[child]) is None
    claimed = {one.run.run_id: one.run for one in await store.claim(process, [("flow", "1")], 9)}
    assert await _set(store, claimed[RunId("c")], "completed", desk.clock.now) is None
    later = desk.clock.now + 1000
    assert list(await store.prune(later)) == []
    assert await _set(store, parent, "failed", desk.clock.now) is None
    assert await store.count_prunable(later, ["completed"]) == 0
    assert list(await store.prune(later, ["completed"])) == []
    assert list(await store.prune(later, ["failed"])) == []
    assert await store.count_prunable(later) == 2
    removed: list[str] = []
    while gone := await store.prune(later, limit=1):
        removed += gone
    assert removed == ["p", "c"]
    assert await store.list_runs() == []


@check
async def a_family_with_a_young_member_stays(desk: Desk) -> None:
    """A19: also when it is a grandchild; and what is left of one that is being removed goes like any other run."""
    store = await desk.open()
    process = await desk.register(store, lease=1e6)
    parents = await _put(desk, store, process, "p", "running")
    for above, run_id in (("p", "c"), ("c", "g")):
        child = new(run_id, parent=(RunId(above), "0/call"))
        assert await _set(store, parents, "waiting", desk.clock.now, children=[child]) is None
        (claimed,) = await store.claim(process, [("flow", "1")], 9)
        parents = claimed.run
    for run_id in ("p", "c"):
        assert await _set(store, await store.get_run(run_id), "completed", desk.clock.now) is None
    later = desk.clock.now + 1000
    assert await store.count_prunable(later) == 0
    assert list(await store.prune(later)) == []
    assert await _set(store, parents, "failed", desk.clock.now) is None
    assert await store.count_prunable(later, ["completed"]) == 0
    assert await store.count_prunable(later) == 3
    assert list(await store.prune(later, limit=1)) == ["p"]
    assert (await store.get_run("c")).parent is None
    await store.retry("g")
    assert list(await store.prune(later)) == []
