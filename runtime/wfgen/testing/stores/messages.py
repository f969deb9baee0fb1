"""What comes from outside."""

from __future__ import annotations

import asyncio
from typing import Any

from wfgen.errors import UnknownHookError, UnknownRunError
from wfgen.ids import HookToken, RunId
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, hook, inbox, new, raises, record, step


@check
async def messages_are_kept_until_they_are_consumed(desk: Desk) -> None:
    """A message by token is there for the owner, again after a takeover, until an append answers it."""
    one, two = await desk.open(), await desk.open()
    first, second = await desk.register(one), await desk.register(two, lease=100)
    await one.create(new("r1"))
    await claim_one(one, first)
    assert await record(one, "r1", 1, step(2), opened=[hook("r1", "t1", due=9.5)], status="waiting") is None
    assert await two.hooks() == [hook("r1", "t1", due=9.5)]
    assert await two.send("hook", token="t1", payload=b"1") == "sent"
    assert await two.send("hook", token="t1", payload=b"2") == "duplicate"
    (message,) = await inbox(one, first)
    assert (message.run_id, message.kind, message.token, message.name, message.payload) == (
        "r1", "hook", "t1", None, b"1",
    )  # fmt: skip
    assert await inbox(two, second) == []
    desk.clock.now += 16
    claimed = await claim_one(two, second)
    assert claimed.messages == [message]
    answer = step(4, type="hook_resumed", payload=b"1")
    closed = [(HookToken("t1"), "resumed")]
    assert await record(two, "r1", 2, answer, consumed=[message.id], closed=closed, status="running") is None
    assert await inbox(two, second) == []
    assert await two.send("hook", token="t1", payload=b"3") == "duplicate"
    assert [h.state for h in await two.hooks(run_id="r1", state=None)] == ["resumed"]
    assert await two.hooks() == []


@check
async def messages_by_name_wait_for_their_hook(desk: Desk) -> None:
    """A payload that comes before the run has got to its hook, or before anybody works the run, is kept."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    assert await store.send("hook", run_id=RunId("r1"), name="approval", payload=b"1") == "sent"
    claimed = await claim_one(store, process)
    assert [(m.name, m.token, m.payload) for m in claimed.messages] == [("approval", None, b"1")]
    assert await inbox(store, process) == claimed.messages


@check
async def messages_are_oldest_first(desk: Desk) -> None:
    """The inbox keeps the order of sending."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await store.create(new("r2"))
    await store.claim(process, [FLOW], 2)
    for n in range(6):
        await store.send("hook", run_id=RunId(f"r{1 + n % 2}"), name="n", payload=str(n).encode())
    found = await inbox(store, process)
    assert [m.payload for m in found] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert await inbox(store, process, run_id=RunId("r2")) == found[1::2]


@check
async def a_reading_goes_on_from_the_last_mark(desk: Desk) -> None:
    """What came since is told, on whatever connection it was sent; what was told before may be left out."""
    store, other = await desk.open(), await desk.open()
    process = await desk.register(store)
    for run_id in ("r1", "r2"):
        await store.create(new(run_id))
    await store.claim(process, [FLOW], 2)
    mark, told = 0, []
    for n in range(6):
        payload = str(n).encode()
        await (store, other)[n % 2].send("hook", run_id=RunId(f"r{1 + n % 2}"), name="n", payload=payload)
        found, mark = await store.messages(process, after=mark)
        told += [message.payload for message in found if message.payload not in told]
        assert told[-1] == payload
    assert told == [b"0", b"1", b"2", b"3", b"4", b"5"]
    found, again = await store.messages(process, after=mark)
    assert again >= mark
    assert {message.payload for message in found} <= set(told)


@check
async def of_two_sends_with_one_token_one_is_sent(desk: Desk) -> None:
    """Concurrent resumes of a hook, on two connections: exactly one counts."""
    stores = [await desk.open(), await desk.open()]
    process = await desk.register(stores[0])
    await stores[0].create(new("r1"))
    await claim_one(stores[0], process)
    await record(stores[0], "r1", 1, step(2), opened=[hook("r1", "t1")])
    answers = await asyncio.gather(
        *[stores[n % 2].send("hook", token="t1", payload=str(n).encode()) for n in range(20)]
    )
    assert sorted(answers) == ["duplicate"] * 19 + ["sent"]
    assert len(await inbox(stores[0], process)) == 1


@check
async def cancel_is_asked_for_once(desk: Desk) -> None:
    """A second request to cancel changes nothing while the first one waits."""
    store = await desk.open()
    await store.create(new("r1"))
    assert await store.send("cancel", run_id=RunId("r1")) == "sent"
    assert await store.send("cancel", run_id=RunId("r1")) == "duplicate"


@check.of(["timed_out", "closed"])
async def a_hook_that_is_over_cannot_be_resumed(desk: Desk, state: Any) -> None:
    """After its deadline, or once it is closed, a hook takes no payload, and what waited for it is gone."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    await record(store, "r1", 1, step(2), opened=[hook("r1", "t1")])
    await store.send("hook", token="t1", payload=b"late")
    await record(store, "r1", 1, step(3), closed=[(HookToken("t1"), state)])
    assert await inbox(store, process) == []
    with raises(UnknownHookError, match="approval"):
        await store.send("hook", token="t1")


@check
async def unknown_names_are_told(desk: Desk) -> None:
    """Unknown runs and tokens raise their own errors, from every method that takes one."""
    store = await desk.open()
    for asked in (store.get_run("nope"), store.history("nope"), store.send("cancel", run_id=RunId("nope"))):
        with raises(UnknownRunError, match="nope"):
            await asked
    with raises(UnknownRunError, match="nope"):
        await store.send("hook", run_id=RunId("nope"), name="n")
    with raises(UnknownHookError, match="token"):
        await store.send("hook", token="secret")
    assert await store.hooks(run_id="nope") == []
