"""Runs that start other runs, and runs that start again."""

from __future__ import annotations

from typing import Any

from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.protocol import Store
from wfgen.store.records import ChildEnd, Claimed
from wfgen.testing.stores.desk import FLOW, Desk, check, hook, inbox, new, record, step


def child(run_id: str, parent: str = "p", key: str = "0/call", **changes: Any) -> Any:
    return new(run_id, parent=(RunId(parent), key), **changes)


def ending(seq: int, **changes: Any) -> Event:
    return Event(seq, "run_completed", 1_800_000_000.5, None, **changes)


async def family(desk: Desk, *children: Any) -> tuple[Store, str, dict[str, Claimed]]:
    """A parent that has recorded the start of children, all held by one process."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("p"))
    await store.claim(process, [FLOW], 10)
    started = Event(2, "child_started", 1_800_000_000.5, "0/call")
    assert await record(store, "p", 1, started, children=list(children)) is None
    claimed = {str(one.run.run_id): one for one in await store.claim(process, [FLOW], 10)}
    return store, process, claimed


@check
async def a_child_is_created_with_what_its_parent_records(desk: Desk) -> None:
    """It is claimable, knows its parent, and is created once."""
    store, _, claimed = await family(desk, child("c", input=b"7"))
    assert claimed["c"].run.parent == "p"
    assert claimed["c"].run.input == b"7"
    assert claimed["c"].events[0].type == "run_started"
    assert await record(store, "p", 1, step(3), children=[child("c", input=b"8")]) is None
    assert (await store.get_run("c")).input == b"7"
    assert (await store.get_run("p")).parent is None


@check
async def a_refused_append_creates_no_child(desk: Desk) -> None:
    """All of an append, or nothing."""
    store, _, _ = await family(desk)
    assert await record(store, "p", 1, step(9), children=[child("late")]) is not None
    assert await record(store, "p", 7, step(3), children=[child("late")]) is not None
    assert [one.run_id for one in await store.list_runs()] == ["p"]


@check
async def the_end_of_a_child_is_told_to_its_parent(desk: Desk) -> None:
    """One message, in the transaction that records the end."""
    store, process, _ = await family(desk, child("c"), child("d", key="0/other"))
    done = ending(2, data={"type": "m:C"})
    assert await record(store, "c", 1, done, status="completed", output=b"42") is None
    failed = Event(2, "run_failed", 1_800_000_000.5)
    error = ("ValueError", "no", "WF1")
    assert await record(store, "d", 1, failed, status="failed", error=error) is None
    messages = await inbox(store, process)
    assert [(m.run_id, m.kind, m.name) for m in messages] == [("p", "child", "0/call"), ("p", "child", "0/other")]
    ends = [ChildEnd.load(m.payload or b"") for m in messages]
    assert ends[0] == ChildEnd("completed", "1", b"42", "m:C", None, None, None)
    assert ends[1] == ChildEnd("failed", "1", None, None, "ValueError", "no", "WF1")


@check
async def a_child_that_outlives_its_parent_tells_nobody(desk: Desk) -> None:
    """A finished run has no inbox."""
    store, process, _ = await family(desk, child("c"))
    assert await record(store, "p", 1, ending(3), status="completed") is None
    assert await inbox(store, process) == []
    assert await record(store, "c", 1, ending(2), status="completed", output=b"1") is None
    assert await inbox(store, process) == []


@check.of(["ended", "gave one up", "started again"])
async def children_are_cancelled_by_their_policy(desk: Desk, how: str) -> None:
    """Those that are to be, once each; the others go on alone."""
    children = [
        child("c", on_parent_end="cancel"),
        child("d", on_parent_end="abandon"),
        child("e", key="0/other", on_parent_end="cancel"),
    ]
    store, process, _ = await family(desk, *children)
    await store.send("cancel", run_id=RunId("c"))
    expected = ["c", "e"]
    if how == "ended":
        assert await record(store, "p", 1, ending(3), status="failed") is None
    elif how == "gave one up":
        assert await record(store, "p", 1, step(3), given_up=["0/call"]) is None
        expected = ["c"]
    else:
        again = Event(3, "run_continued", 1_800_000_000.5, None, {}, b"2")
        assert await record(store, "p", 1, again) is None
    messages = [m for m in await inbox(store, process) if m.kind == "cancel"]
    assert [m.run_id for m in messages] == expected


@check
async def a_family_is_claimed_alone(desk: Desk) -> None:
    """With `families` a claim takes these runs, their children and theirs, and none of the others that are due."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("p"))
    await store.create(new("alone"))
    mine = [RunId("p")]
    assert [one.run.run_id for one in await store.claim(process, [FLOW], 10, mine)] == ["p"]
    assert await record(store, "p", 1, step(2), children=[child("c")]) is None
    assert await store.next_wake([FLOW], mine) == 0
    assert await store.claim(process, [("other", "1")], 10, mine) == []
    assert [one.run.run_id for one in await store.claim(process, [FLOW], 10, mine)] == ["c"]
    assert await record(store, "c", 1, step(2), children=[child("g", parent="c")]) is None
    assert [one.run.run_id for one in await store.claim(process, [FLOW], 10, mine)] == ["g"]
    assert await store.claim(process, [FLOW], 10, []) == []
    assert await store.next_wake([FLOW], mine) == float("inf")
    assert [one.run.run_id for one in await store.claim(process, [FLOW], 10)] == ["alone"]


@check
async def a_run_that_starts_again_leaves_its_past_behind(desk: Desk) -> None:
    """The next owner gets the events from there on, the new input, and no answers to old questions."""
    store, process, _ = await family(desk, child("c"))
    opened = Event(3, "hook_created", 1_800_000_000.5, "0/approval")
    assert await record(store, "p", 1, opened, opened=[hook("p", "t")]) is None
    await store.send("hook", token="t", payload=b"1")
    await store.send("hook", run_id=RunId("p"), name="later", payload=b"2")
    again = Event(4, "run_continued", 1_800_000_000.5, None, {"version": "1"}, b"5")
    assert await record(store, "p", 1, again) is None
    assert [m.name for m in await inbox(store, process)] == ["later"]
    assert [h.state for h in await store.hooks(run_id="p", state=None)] == ["closed"]
    assert await record(store, "p", 1, step(5)) is None
    assert await record(store, "c", 1, ending(2), status="completed", output=b"1") is None
    assert [m.kind for m in await inbox(store, process)] == ["hook"], "the part that started the child is over"
    await store.leave(process)
    (claimed,) = await store.claim(await desk.register(store), [FLOW], 10)
    assert [e.seq for e in claimed.events] == [4, 5, 6]
    assert claimed.events[-1].type == "run_claimed"
    assert claimed.run.input == b"5"
    assert [e.seq for e in await store.history("p")] == [1, 2, 3, 4, 5, 6]
    assert await record(store, "p", 2, step(7)) is None


@check
async def a_new_start_that_is_refused_changes_nothing(desk: Desk) -> None:
    """Hooks, children and messages stay as they are when a later event of the append cannot be recorded."""
    store, process, _ = await family(desk, child("c", on_parent_end="cancel"))
    opened = Event(3, "hook_created", 1_800_000_000.5, "0/approval")
    assert await record(store, "p", 1, opened, opened=[hook("p", "t")]) is None
    await store.send("hook", token="t", payload=b"1")
    again = Event(4, "run_continued", 1_800_000_000.5, None, {"version": "1"}, b"5")
    assert await record(store, "p", 1, again, step(9)) is not None
    assert [(m.run_id, m.kind) for m in await inbox(store, process)] == [("p", "hook")]
    assert [h.state for h in await store.hooks(run_id="p", state=None)] == ["open"]
    assert (await store.get_run("p")).input == b'{"a":1}'


@check
async def a_message_is_answered_by_a_new_start(desk: Desk) -> None:
    """What the last event before it answers is recorded with it."""
    store, process, _ = await family(desk)
    opened = Event(3, "hook_created", 1_800_000_000.5, "0/approval")
    assert await record(store, "p", 1, opened, opened=[hook("p", "t")]) is None
    await store.send("hook", token="t", payload=b"1")
    (message,) = await inbox(store, process)
    resumed = Event(4, "hook_resumed", 1_800_000_000.5, "0/approval", {}, b"1")
    again = Event(5, "run_continued", 1_800_000_000.5, None, {"version": "1"}, b"5")
    closed = [("t", "resumed")]
    assert await record(store, "p", 1, resumed, again, consumed=[message.id], closed=closed) is None
    assert await inbox(store, process) == []


@check
async def an_idempotency_key_belongs_to_the_first_input(desk: Desk) -> None:
    """Starting anew with the same key and input gives the run, whatever it was continued with."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r", idempotency_key="k"))
    await store.claim(process, [FLOW], 1)
    again = Event(2, "run_continued", 1_800_000_000.5, None, {}, b"5")
    assert await record(store, "r", 1, again) is None
    found, created = await store.create(new("other", idempotency_key="k"))
    assert (found.run_id, created) == ("r", False)
