"""Runs that are paused, terminated, retried, taken back and forked."""

from __future__ import annotations

from typing import Any

from wfgen.errors import ConflictError, LeaseLostError, RunStateError, StoreError, UnknownHookError, UnknownRunError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.protocol import Store
from wfgen.store.records import ChildEnd
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, hook, inbox, new, raises, record, step

AT = 1_800_000_000.5
R = RunId("r")


def event(seq: int, type: Any, key: str | None = None, **data: Any) -> Event:
    return Event(seq, type, AT, key, data)


async def held(desk: Desk, *events: Event, **changes: Any) -> tuple[Store, str]:
    """A run `r` that a process holds, in its first epoch, with these events."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r"), process)
    if events:
        assert await record(store, "r", 1, *events, **changes) is None
    return store, process


async def types(store: Store) -> list[str]:
    return [one.type for one in await store.history("r")]


async def claimed(store: Store, process: str) -> list[str]:
    return [one.run.run_id for one in await store.claim(process, [FLOW], 10)]


@check
async def a_run_that_nobody_holds_is_paused_at_once(desk: Desk) -> None:
    """It is recorded, nobody claims it until it is resumed, and asking again changes nothing."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r"))
    assert await store.send("resume", run_id=R) == "duplicate"
    assert await store.send("pause", run_id=R) == "sent"
    assert await store.send("pause", run_id=R) == "duplicate"
    assert (await store.get_run("r")).status == "paused"
    assert await claimed(store, process) == []
    await store.send("hook", run_id=R, name="word", payload=b"1")
    assert await claimed(store, process) == []
    assert await store.send("resume", run_id=R) == "sent"
    assert (await store.get_run("r")).status == "pending"
    assert await types(store) == ["run_started", "run_paused", "run_resumed"]
    one = await claim_one(store, process)
    assert [message.kind for message in one.messages] == ["hook"]


@check
async def the_owner_is_asked_to_pause(desk: Desk) -> None:
    """A held run gets messages; the owner records the pause, and gives the run back with that."""
    store, process = await held(desk)
    assert await store.send("pause", run_id=R) == "sent"
    assert await store.send("pause", run_id=R) == "duplicate"
    assert await store.send("resume", run_id=R) == "sent"
    assert await store.send("pause", run_id=R) == "sent"
    messages = await inbox(store, process)
    assert [message.kind for message in messages] == ["pause", "resume", "pause"]
    ids = [message.id for message in messages]
    assert await record(store, "r", 1, event(2, "run_paused"), status="paused", consumed=ids) is None
    paused = await store.get_run("r")
    assert (paused.status, paused.owner) == ("paused", None)
    assert isinstance(await record(store, "r", 1, step(3)), LeaseLostError)
    assert await claimed(store, process) == []
    assert await store.send("pause", run_id=R) == "duplicate"


@check.of(["resume", "cancel"])
async def what_crosses_with_the_pause_ends_it(desk: Desk, kind: Any) -> None:
    """A message that the owner had not seen when it recorded the pause wakes the run."""
    store, process = await held(desk)
    await store.send("pause", run_id=R)
    (message,) = await inbox(store, process)
    await store.send(kind, run_id=R)
    await record(store, "r", 1, event(2, "run_paused"), status="paused", consumed=[message.id])
    one = await claim_one(store, process)
    assert [message.kind for message in one.messages] == [kind]
    assert one.run.epoch == 2


@check
async def cancelling_wakes_a_paused_run(desk: Desk) -> None:
    """Also one that is cancelled since its parent has ended."""
    store, process = await held(desk)
    child = new("c", parent=(R, "0/call"), on_parent_end="cancel")
    await record(store, "r", 1, event(2, "child_started", "0/call", run_id="c"), children=[child])
    await store.send("pause", run_id=RunId("c"))
    assert await claimed(store, process) == []
    await store.terminate("r")
    assert await claimed(store, process) == ["c"]


@check
async def a_request_to_cancel_is_not_put_to_sleep(desk: Desk) -> None:
    """By a pause that comes after it, while nobody holds the run."""
    store: Store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r"))
    await store.send("cancel", run_id=R)
    assert await store.send("pause", run_id=R) == "sent"
    one = await claim_one(store, process)
    assert [message.kind for message in one.messages] == ["cancel"]


@check
async def terminating_fences_the_owner(desk: Desk) -> None:
    """The run is over, its hooks are closed and its parent is told; what the owner still writes is refused."""
    store, process = await held(desk)
    child = new("c", parent=(R, "0/call"))
    await record(store, "r", 1, event(2, "child_started", "0/call", run_id="c"), children=[child])
    one = await claim_one(store, process)
    seq, epoch = one.events[-1].seq + 1, one.run.epoch
    await record(store, "c", epoch, event(seq, "hook_created", "0/h", token="t"), opened=[hook("c", "t")])
    await store.terminate("c", "enough")
    over = await store.get_run("c")
    assert (over.status, over.error, over.owner) == ("terminated", "enough", None)
    assert over.finished_at is not None
    assert isinstance(await record(store, "c", epoch, step(seq + 1)), LeaseLostError)
    with raises(UnknownHookError):
        await store.send("hook", token="t", payload=b"1")
    (message,) = await inbox(store, process)
    assert (message.run_id, message.kind, message.name) == ("r", "child", "0/call")
    assert ChildEnd.load(message.payload or b"").status == "terminated"
    assert await store.epochs(["r", "c", "nobody"]) == {"r": 1, "c": epoch + 1}
    assert await store.finished(["r", "c", "nobody"]) == {"c", "nobody"}


@check
async def controls_of_finished_and_unknown_runs_are_refused(desk: Desk) -> None:
    """Nothing is changed."""
    store, _ = await held(desk, step(2), event(3, "run_completed"), status="completed")
    before = await store.get_run("r"), await store.history("r")
    for refused in (
        lambda: store.send("pause", run_id=R),
        lambda: store.send("resume", run_id=R),
        lambda: store.terminate("r"),
        lambda: store.retry("r"),
        lambda: store.rollback("r", 3),
        lambda: store.rollback("r", 1, keep=1),
        lambda: store.fork("r", 3, new("f")),
    ):
        with raises(RunStateError):
            await refused()
    for unknown in (
        lambda: store.send("pause", run_id=RunId("no")),
        lambda: store.terminate("no"),
        lambda: store.retry("no"),
        lambda: store.rollback("no", 1),
        lambda: store.fork("no", 1, new("f")),
    ):
        with raises(UnknownRunError):
            await unknown()
    assert (await store.get_run("r"), await store.history("r")) == before
    assert len(await store.list_runs()) == 1


@check
async def a_failed_run_is_claimed_again_when_it_is_retried(desk: Desk) -> None:
    """What it failed for is marked, its end cleared, and its claims count anew."""
    failed = event(4, "run_failed", None, error_type="E", error="e", step="0/step3")
    error = ("E", "e", "WF710")
    store, process = await held(desk, step(2), step(3, type="step_failed"), failed, status="failed", error=error)
    await store.retry("r")
    waiting = await store.get_run("r")
    assert (waiting.status, waiting.finished_at, waiting.error, waiting.claims) == ("pending", None, None, 0)
    marker = (await store.history("r"))[-1]
    assert (marker.seq, marker.type, marker.data) == (5, "run_retried", {"to": 2, "step": "0/step3"})
    one = await claim_one(store, process)
    assert (one.run.epoch, one.run.claims) == (3, 1)


@check
async def taking_a_run_back_brings_hooks_and_messages_in_line(desk: Desk) -> None:
    """Hooks that count are as the history says, others are closed; the owner is fenced. A request to cancel stays."""
    store, process = await held(
        desk,
        event(2, "hook_created", "0/early", token="early"),
        step(3),
        event(4, "hook_resumed", "0/early", token="early"),
        event(5, "hook_created", "0/late", token="late"),
        opened=[hook("r", "early"), hook("r", "late")],
        closed=[("early", "resumed")],
    )
    await store.send("hook", token="late", payload=b"1")
    await store.send("hook", run_id=R, name="any", payload=b"2")
    await store.send("cancel", run_id=R)
    await store.rollback("r", 3)
    states = {str(one.token): one.state for one in await store.hooks(state=None)}
    assert states == {"early": "open", "late": "closed"}
    assert isinstance(await record(store, "r", 1, step(6)), LeaseLostError)
    one = await claim_one(store, process)
    assert [(message.kind, message.name) for message in one.messages] == [("hook", "any"), ("cancel", None)]
    assert await store.send("hook", token="early", payload=b"1") == "sent"


@check
async def taking_a_run_back_with_children(desk: Desk) -> None:
    """A child that counts and has ended is told of again; one that does not is asked to stop, and not heard of."""
    store, process = await held(desk)
    kept = new("kept", parent=(R, "0/kept"))
    lost = new("lost", parent=(R, "0/lost"), on_parent_end="cancel")
    await record(store, "r", 1, event(2, "child_started", "0/kept", run_id="kept"), step(3), children=[kept])
    await record(store, "r", 1, event(4, "child_started", "0/lost", run_id="lost"), children=[lost])
    ours = {str(one.run.run_id): one for one in await store.claim(process, [FLOW], 10)}
    seq = ours["kept"].events[-1].seq + 1
    end = Event(seq, "run_completed", AT, None, {"type": "m:C"})
    await record(store, "kept", ours["kept"].run.epoch, end, status="completed", output=b"7")
    (message,) = await inbox(store, process)
    await record(store, "r", 1, event(5, "child_completed", "0/kept"), consumed=[message.id])
    await store.rollback("r", 3)
    assert [(m.run_id, m.kind) for m in await inbox(store, process)] == [("lost", "cancel")]
    one = await claim_one(store, process)
    (told,) = one.messages
    assert told.name == "0/kept"
    assert ChildEnd.load(told.payload or b"") == ChildEnd("completed", "1", b"7", "m:C", None, None, None)
    seq = ours["lost"].events[-1].seq + 1
    await record(store, "lost", ours["lost"].run.epoch, event(seq, "run_cancelled"), status="cancelled")
    assert [m.name for m in await inbox(store, process)] == ["0/kept"]


@check.of(["asked to stop", "stopping", "cancelled"])
async def a_child_that_was_cancelled_with_its_parent_begins_anew(desk: Desk, how: str) -> None:
    """However far it has got with that when its parent is taken back."""
    store, process = await held(desk)
    child = new("c", parent=(R, "0/call"), on_parent_end="cancel")
    await record(store, "r", 1, event(2, "child_started", "0/call", run_id="c"), step(3), children=[child])
    one = await claim_one(store, process)
    await record(store, "r", 1, event(4, "run_cancelled"), status="cancelled")
    if how != "asked to stop":
        (asked,) = await inbox(store, process)
        seq = one.events[-1].seq + 1
        await record(store, "c", one.run.epoch, event(seq, "cancel_requested"), consumed=[asked.id])
        if how == "cancelled":
            await record(store, "c", one.run.epoch, event(seq + 1, "run_cancelled"), status="cancelled")
    await store.rollback("r", 3)
    assert (await store.history("r"))[-1].data == {"to": 3, "anew": ["0/call"]}


@check
async def the_end_of_a_child_that_goes_on_again_is_not_recorded(desk: Desk) -> None:
    """Its parent's owner may have read it before: what answers it is refused, and leaves nothing."""
    store, process = await held(desk)
    kid = new("c", parent=(R, "0/call"))
    await record(store, "r", 1, event(2, "child_started", "0/call", run_id="c"), children=[kid])
    child = await claim_one(store, process)
    failed = event(2, "run_failed", None, error_type="E", error="e")
    assert await record(store, "c", child.run.epoch, failed, status="failed", error=("E", "e", None)) is None
    (read,) = await inbox(store, process)
    await store.send("hook", run_id=R, name="word", payload=b"1")
    kept = (await inbox(store, process))[1]
    await store.retry("c")
    answer = event(3, "child_failed", "0/call", run_id="c")
    verdict = await record(store, "r", 1, answer, consumed=[kept.id, read.id])
    assert isinstance(verdict, StoreError)
    assert not isinstance(verdict, LeaseLostError)
    assert [message.id for message in await inbox(store, process)] == [kept.id]
    assert await types(store) == ["run_started", "child_started"]
    child = await claim_one(store, process)
    seq = child.events[-1].seq + 1
    done = Event(seq, "run_completed", AT, None, {})
    assert await record(store, "c", child.run.epoch, done, status="completed", output=b"7") is None
    new_end = (await inbox(store, process))[-1]
    assert await record(store, "r", 1, event(3, "child_completed", "0/call"), consumed=[new_end.id]) is None


@check
async def an_owner_takes_its_run_back(desk: Desk) -> None:
    """`rolled_back` in an append with status pending gives the run back, with its hooks in line."""
    opened = event(3, "hook_created", "0/h", token="t")
    store, process = await held(desk, step(2), opened, opened=[hook("r", "t")])
    back = event(4, "rolled_back", None, to=2, compensated=True)
    assert await record(store, "r", 1, back, status="pending") is None
    assert [one.state for one in await store.hooks(state=None)] == ["closed"]
    assert (await store.get_run("r")).owner is None
    assert (await claim_one(store, process)).run.epoch == 2


@check
async def a_fork_is_a_run_of_its_own(desk: Desk) -> None:
    """With the same input or another one, once for an idempotency key; the first run is not touched."""
    store, process = await held(desk, step(2, payload=b"2"), step(3, payload=b"3"))
    before = await store.get_run("r"), await store.history("r")
    forked, created = await store.fork("r", 2, new("f", input=None, salt="own", idempotency_key="k"))
    assert created
    assert (forked.status, forked.input, forked.salt, forked.owner) == ("pending", b'{"a":1}', "own", None)
    history = await store.history("f")
    copied = [(one.seq, one.type, one.payload) for one in history]
    assert copied == [(1, "run_started", b'{"a":1}'), (2, "step_completed", b"2")]
    assert (history[0].data["forked_from"], history[0].data["forked_at"]) == ("r", 2)
    again, created = await store.fork("r", 2, new("g", input=None, idempotency_key="k"))
    assert (again.run_id, created) == ("f", False)
    with raises(ConflictError):
        await store.fork("r", 3, new("h", input=None, idempotency_key="k"))
    other, _ = await store.fork("r", 2, new("i", input=b"9"), replace_input=True)
    assert other.input == b"9"
    assert (await store.get_run("r"), await store.history("r")) == before
    assert await claimed(store, process) == ["f", "i"]
