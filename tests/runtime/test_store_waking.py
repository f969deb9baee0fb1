"""When a store hands out runs that wait: at their time, when something came for them, and never too late."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.sqlite import SQLiteStore
from wfgen.testing.stores.desk import FLOW, Desk, claim_one, new, record, step


def work(tmp_path: Path, scenario: Callable[[Desk], Awaitable[Any]]) -> None:
    async def main() -> None:
        desk = Desk(lambda environment: SQLiteStore(tmp_path / "store.db", environment))
        try:
            async with asyncio.timeout(60):
                await scenario(desk)
        finally:
            await desk.close()

    asyncio.run(main())


async def park(store: Any, process: str, run_id: str, wake_at: float, seen: int = 0) -> None:
    """Create a run, claim it, let it wait and give it back."""
    await store.create(new(run_id), process)
    assert await record(store, run_id, 1, step(2), status="waiting", wake_at=wake_at) is None
    await store.release(RunId(run_id), 1, wake_at=wake_at, seen=seen)


def test_a_parked_run_is_claimed_when_it_is_due(tmp_path: Path) -> None:
    """B9: not before its time; the longest overdue comes first; the store tells when the next one is due."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store, lease=10_000)
        now = desk.clock.now
        assert await store.next_wake([FLOW]) == math.inf
        for run_id, wait in [("late", 30.0), ("soon", 10.0), ("sooner", 5.0), ("never", math.inf)]:
            await park(store, process, run_id, now + wait)
        assert await store.claim(process, [FLOW], 10) == []
        assert await store.next_wake([FLOW, ("other", "1")]) == now + 5
        assert await store.next_wake([("other", "1")]) == math.inf
        desk.clock.now = now + 9.999
        assert (await claim_one(store, process)).run.run_id == "sooner"
        desk.clock.now = now + 40
        assert [one.run.run_id for one in await store.claim(process, [FLOW], 10)] == ["soon", "late"]
        assert await store.next_wake([FLOW]) == math.inf
        desk.clock.now = now - 1000  # set back
        await store.release(RunId("soon"), 2, wake_at=now + 10)
        assert await store.claim(process, [FLOW], 10) == []
        assert await store.next_wake([FLOW]) == now + 10

    work(tmp_path, scenario)


def test_every_message_wakes(tmp_path: Path) -> None:
    """A hook's payload, a request to cancel and the end of a child make a parked run due at once."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await park(store, process, "hooked", math.inf)
        await park(store, process, "cancelled", math.inf)
        await store.create(new("parent"), process)
        child = new("child", parent=(RunId("parent"), "0/call"))
        await record(store, "parent", 1, step(2), children=[child], status="waiting", wake_at=math.inf)
        await store.release(RunId("parent"), 1, wake_at=math.inf)
        assert [one.run.run_id for one in await store.claim(process, [FLOW], 10)] == ["child"]
        await store.send("hook", run_id=RunId("hooked"), name="approval", payload=b"1")
        assert await store.next_wake([FLOW]) == 0
        assert (await claim_one(store, process)).messages[0].payload == b"1"
        await store.send("cancel", run_id=RunId("cancelled"))
        assert (await claim_one(store, process)).messages[0].kind == "cancel"
        await record(store, "child", 1, step(2), status="completed", output=b"7")
        (message,) = (await claim_one(store, process)).messages
        assert (message.kind, message.run_id) == ("child", "parent")

    work(tmp_path, scenario)


@pytest.mark.parametrize("seen", [False, True])
def test_a_message_that_came_before_the_run_was_given_back(tmp_path: Path, seen: bool) -> None:
    """One that the owner has not seen makes the run due at once; one that it has seen, and kept, does not."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"), process)
        await store.send("hook", run_id=RunId("r1"), name="later", payload=b"1")
        ((message,), _) = await store.messages(process)
        await record(store, "r1", 1, step(2), status="waiting", wake_at=math.inf)
        due = await store.release(RunId("r1"), 1, wake_at=math.inf, seen=message.id if seen else 0)
        assert due == (math.inf if seen else 0)
        assert len(await store.claim(process, [FLOW], 10)) == (0 if seen else 1)

    work(tmp_path, scenario)


def test_what_a_dead_process_leaves_behind(tmp_path: Path) -> None:
    """F7: its parked runs sleep on; those with messages, and those that were not parked, are due at once."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        dead, alive = await desk.register(store), await desk.register(store, lease=10_000)
        now = desk.clock.now
        for run_id in ("sleeping", "told", "working", "woken"):
            await store.create(new(run_id), dead)
            status: Any = "running" if run_id == "working" else "waiting"
            await record(store, run_id, 1, step(2), status=status, wake_at=now + 100)
        await store.send("hook", run_id=RunId("told"), name="approval", payload=b"1")
        await record(store, "told", 1, step(3))
        await record(store, "woken", 1, step(3), status="running")
        desk.clock.now += 16
        taken = await store.claim(alive, [FLOW], 10)
        assert [one.run.run_id for one in taken] == ["told", "working", "woken"]
        assert [one.events[-1].type for one in taken] == ["run_claimed"] * 3
        assert await store.next_wake([FLOW]) == now + 100

    work(tmp_path, scenario)


def test_claims_without_progress_are_counted(tmp_path: Path) -> None:
    """F7: processes that die without getting a run any further; an event, a wait or a give-back starts anew."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1"))
        claims, seq, epoch = [], 0, 0
        for what in ("die", "die", "die", "record", "die", "die", "release", "die", "wait", "die"):
            process = await desk.register(store)
            claimed = await claim_one(store, process)
            claims.append(claimed.run.claims)
            seq, epoch = claimed.events[-1].seq, claimed.run.epoch
            if what == "record":
                await record(store, "r1", epoch, step(seq + 1))
            elif what == "wait":
                await record(store, "r1", epoch, status="waiting", wake_at=0.0)
            elif what == "release":
                await store.release(RunId("r1"), epoch)
            desk.clock.now += 16
        assert claims == [1, 2, 3, 4, 1, 2, 3, 1, 2, 1]
        process = await desk.register(store)
        history = [event.data.get("process") for event in (await claim_one(store, process)).events]
        assert len(set(history[1:])) == len(history) - 1, "each process that took it over"
        await store.leave(process)
        assert (await claim_one(store, await desk.register(store))).run.claims == 1, "it has left, not died"

    work(tmp_path, scenario)


def test_a_process_that_takes_its_own_run_again_leaves_no_trace(tmp_path: Path) -> None:
    """Histories stay short: `run_claimed` tells of another process alone."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await park(store, process, "r1", 0.0)
        for epoch in (2, 3):
            claimed = await claim_one(store, process)
            assert [event.type for event in claimed.events] == ["run_started", "step_completed"]
            await store.release(RunId("r1"), epoch)
        other = await desk.register(store)
        claimed = await claim_one(store, other)
        assert claimed.events[-1].data == {"process": other, "epoch": 4}
        assert claimed.events == await store.history("r1")

    work(tmp_path, scenario)


@pytest.mark.parametrize("seed", range(10))
def test_no_wake_up_is_lost(tmp_path: Path, seed: int) -> None:
    """F7: whatever the order of messages, waits, give-backs, deaths and clocks that are set: as long as a run has a
    message that its owner has not seen, or its time has come, it is held by a live process or can be claimed."""

    async def scenario(desk: Desk) -> None:
        choose = random.Random(seed)
        store = await desk.open()
        process = await desk.register(store, lease=1000)
        await store.create(new("r1"), process)
        seq, epoch, held, due, seen, last = 1, 1, True, 0.0, 0, 0
        for _ in range(60):
            what = choose.choice(["message", "message", "wait", "wait", "see", "release", "work", "die", "clock"])
            if what == "message":
                await store.send("hook", run_id=RunId("r1"), name="any", payload=b"1")
                last += 1
            elif what == "clock":
                desk.clock.now += choose.uniform(-30, 60)
            elif what == "see" and held:
                seen = max(message.id for message in (await store.messages(process))[0]) if last else 0
            elif what == "wait" and held:
                due = choose.choice([math.inf, desk.clock.now + choose.uniform(0, 100)])
                assert await record(store, "r1", epoch, status="waiting", wake_at=due) is None
            elif what == "work" and held:
                seq, due = seq + 1, 0.0
                assert await record(store, "r1", epoch, Event(seq, "emitted", 0.0), status="running") is None
            elif what == "release" and held:
                held = False
                await store.release(RunId("r1"), epoch, wake_at=due, seen=seen)
            elif what == "die" and held:
                held, seen = False, 0  # nobody knows what it has seen
                dead, process = process, await desk.register(store, lease=1000)
                assert await asyncio.to_thread(store.renew, dead, -1)
            may_be_claimed = not held and (last > seen or due <= desk.clock.now)
            claimed = await store.claim(process, [FLOW], 1)
            assert bool(claimed) == may_be_claimed, what
            if claimed:
                held, due = True, 0.0
                seq, epoch = claimed[0].events[-1].seq, claimed[0].run.epoch
                seen = max((message.id for message in claimed[0].messages), default=0)

    work(tmp_path, scenario)
