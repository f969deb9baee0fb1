"""Recording what happens in a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from wfgen.errors import LeaseLostError, RunStateError, StoreError, UnknownHookError, UnknownRunError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.records import Append, Verdict
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, enqueue, hook, inbox, new, raises, record, step


@check
async def append_keeps_every_field(desk: Desk) -> None:
    """What is read back is what was appended: types, empty and absent payloads, text outside of UTF-8."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    claimed = await claim_one(store, process)
    events = [
        step(2, data={"target": "é\udc80\x00", "attempt": 2, "at": None, "next_at": 1.5}, payload=b"\x00\xff"),
        step(3, payload=b""),
        Event(4, "cancel_requested", 0.0),
    ]
    assert await record(store, "r1", claimed.run.epoch, *events) is None
    assert (await store.history("r1"))[1:] == events
    assert await store.history("r1", after=3) == events[2:]


@check
async def appends_of_one_run_keep_their_order(desk: Desk) -> None:
    """Appends that are queued together are recorded, and answered, in the order of the calls."""
    store = await desk.open()
    process = await desk.register(store)
    for n in range(5):
        await store.create(new(f"r{n}"))
    await store.claim(process, [FLOW], 5)
    order: list[tuple[str, int]] = []
    finished = asyncio.Event()
    for seq in range(2, 202):
        for n in range(5):

            def done(verdict: Verdict, run_id: str = f"r{n}", seq: int = seq) -> None:
                assert verdict is None
                order.append((run_id, seq))
                if len(order) == 1000:
                    finished.set()

            store.append(Append(RunId(f"r{n}"), 1, [step(seq)]), done)
    await finished.wait()
    assert order == [(f"r{n}", seq) for seq in range(2, 202) for n in range(5)]
    for n in range(5):
        assert [event.seq for event in await store.history(f"r{n}")] == list(range(1, 202))


@check
async def each_append_of_a_batch_has_its_own_verdict(desk: Desk) -> None:
    """Refused appends leave their neighbours, and themselves nothing, in the store."""
    store = await desk.open()
    process = await desk.register(store)
    for run_id in ("a", "b", "c", "d"):
        await store.create(new(run_id))
    await store.claim(process, [FLOW], 4)
    verdicts = await enqueue(
        store,
        Append(RunId("a"), 1, [step(2)]),
        Append(RunId("b"), 0, [step(2)]),
        Append(RunId("c"), 1, [step(2), step(4)]),
        Append(RunId("nobody"), 1, [step(2)]),
        Append(RunId("d"), 1, [step(2)], opened=[hook("d", "t")]),
        Append(RunId("a"), 1, [step(3)], opened=[hook("a", "t")]),
        Append(RunId("d"), 1, [step(3)]),
    )
    assert verdicts[0] is None
    assert isinstance(verdicts[1], LeaseLostError)
    assert isinstance(verdicts[2], StoreError)
    assert isinstance(verdicts[3], UnknownRunError)
    assert verdicts[4] is None
    assert isinstance(verdicts[5], StoreError), "its token is another hook's"
    assert verdicts[6] is None
    assert [len(await store.history(run_id)) for run_id in ("a", "b", "c", "d")] == [2, 1, 1, 3]


@check.of([1, 2, 4, 0, -1])
async def a_gap_or_a_repetition_is_refused(desk: Desk, seq: int) -> None:
    """Only the next number is recorded; then the run goes on with it."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    assert await record(store, "r1", 1, step(2)) is None
    assert isinstance(await record(store, "r1", 1, step(seq)), StoreError)
    assert await record(store, "r1", 1, step(3)) is None


@check
async def after_a_refusal_later_appends_are_refused_until_it_is_repeated(desk: Desk) -> None:
    """What was queued behind a refused append is refused as well, also what carries no event."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    bad = Append(RunId("r1"), 1, [replace(step(2), key="\udc80")])
    verdicts = await enqueue(store, bad, Append(RunId("r1"), 1, [step(3)]), Append(RunId("r1"), 1, status="waiting"))
    assert all(isinstance(verdict, StoreError) for verdict in verdicts)
    assert (await store.get_run("r1")).status == "running"
    verdicts = await enqueue(
        store,
        Append(RunId("r1"), 1, [step(2)]),
        Append(RunId("r1"), 1, [step(3)]),
        Append(RunId("r1"), 1, status="waiting"),
    )
    assert verdicts == [None, None, None]
    assert (await store.get_run("r1")).status == "waiting"


@check
async def what_carries_no_event_may_be_repeated(desk: Desk) -> None:
    """A refused append without events stands in nobody's way, not in its own either."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    bad = Append(RunId("r1"), 1, status="waiting", opened=[hook("r1", "\udc80")])
    good = Append(RunId("r1"), 1, status="waiting", opened=[hook("r1", "t1")])
    verdicts = await enqueue(store, bad, good)
    assert isinstance(verdicts[0], StoreError)
    assert verdicts[1] is None
    assert (await store.get_run("r1")).status == "waiting"


@check
async def a_finished_run_is_closed(desk: Desk) -> None:
    """The end of a run records its result, frees it, closes its hooks, empties its inbox, and nothing follows."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    assert await record(store, "r1", 1, step(2), opened=[hook("r1", "t1")], status="waiting") is None
    await store.send("hook", run_id=RunId("r1"), name="other", payload=b"1")
    await store.send("cancel", run_id=RunId("r1"))
    ending = replace(step(3, type="run_completed", payload=b"42"), time=desk.clock.now + 5)
    desk.clock.now += 7  # a commit that took its time
    assert await record(store, "r1", 1, ending, status="completed", output=b"42") is None
    finished = await store.get_run("r1")
    assert (finished.status, finished.output, finished.owner) == ("completed", b"42", None)
    assert finished.finished_at == finished.updated_at == ending.time, "its last event tells when it ended"
    assert [h.state for h in await store.hooks(state=None)] == ["closed"]
    assert await inbox(store, process) == []
    assert isinstance(await record(store, "r1", 1, step(4)), LeaseLostError)
    assert await store.claim(process, [FLOW], 1) == []
    with raises(RunStateError, match="completed"):
        await store.send("cancel", run_id=RunId("r1"))
    with raises(UnknownHookError, match="approval"):
        await store.send("hook", token="t1")


@check
async def a_failed_run_keeps_its_error(desk: Desk) -> None:
    """Type, message and code of the error can be read, also when the message is no valid text."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    failed = step(2, type="run_failed")
    error = ("builtins.OSError", "no file caf\udce9", "WF710")
    assert await record(store, "r1", 1, failed, status="failed", error=error) is None
    kept = await store.get_run("r1")
    assert (kept.error_type, kept.error, kept.error_code) == ("builtins.OSError", "no file caf\\udce9", "WF710")
