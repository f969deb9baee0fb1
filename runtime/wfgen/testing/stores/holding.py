"""Claims, leases and fences."""

from __future__ import annotations

import asyncio

from wfgen.errors import LeaseLostError
from wfgen.ids import RunId
from wfgen.store.records import Append
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, enqueue, hook, new, raises, record, step


@check
async def claims_are_oldest_first_and_limited(desk: Desk) -> None:
    """A claim takes the oldest runs of the workflows asked for, marks them as held, and no more than its limit."""
    store = await desk.open()
    process = await desk.register(store)
    for n, (workflow, version) in enumerate([FLOW, ("other", "1"), ("flow", "2"), FLOW, ("other", "1"), FLOW]):
        await store.create(new(f"r{n}", workflow=workflow, version=version))
    first = await store.claim(process, [FLOW, ("other", "1")], 3)
    assert [claimed.run.run_id for claimed in first] == ["r0", "r1", "r3"]
    run_record = first[0].run
    assert (run_record.status, run_record.owner, run_record.epoch, run_record.claims) == ("running", process, 1, 1)
    assert run_record == await store.get_run("r0")
    assert first[0].events == await store.history("r0")
    assert [claimed.run.run_id for claimed in await store.claim(process, [FLOW], 3)] == ["r5"]
    assert await store.claim(process, [FLOW], 3) == []
    assert await store.claim(process, [], 3) == []
    assert await store.claim(process, [("flow", "2")], 0) == []


@check
async def concurrent_claims_never_share_a_run(desk: Desk) -> None:
    """Two processes that claim at the same time get different runs."""
    stores = [await desk.open(), await desk.open()]
    processes = [await desk.register(store) for store in stores]
    await asyncio.gather(*[stores[0].create(new(f"r{n}")) for n in range(30)])
    claims = await asyncio.gather(*[stores[n % 2].claim(processes[n % 2], [FLOW], 4) for n in range(20)])
    taken = [claimed.run.run_id for claim in claims for claimed in claim]
    assert len(taken) == len(set(taken)) == 30


@check
async def claiming_needs_a_registered_process(desk: Desk) -> None:
    """A process that nobody knows, or that has left, takes nothing."""
    store = await desk.open()
    await store.create(new("r1"))
    with raises(LeaseLostError, match="not registered"):
        await store.claim("ghost", [FLOW], 1)
    process = await desk.register(store)
    await store.leave(process)
    with raises(LeaseLostError):
        await store.claim(process, [FLOW], 1)


@check
async def create_may_claim_for_its_owner(desk: Desk) -> None:
    """A run that is created for a process is held by it at once, under the first epoch, and by nobody else."""
    store = await desk.open()
    first, second = await desk.register(store), await desk.register(store)
    created, _ = await store.create(new("r1", idempotency_key="k"), first)
    assert (created.status, created.owner, created.epoch, created.claims) == ("running", first, 1, 1)
    assert created == await store.get_run("r1")
    assert await store.claim(second, [FLOW], 1) == []
    assert await record(store, "r1", 1, step(2)) is None
    again, is_new = await store.create(new("r2", idempotency_key="k"), second)
    assert (again.owner, is_new) == (first, False)
    await store.leave(first)
    assert (await claim_one(store, second)).run.epoch == 2


@check
async def create_for_a_process_that_is_over_leaves_the_run_to_others(desk: Desk) -> None:
    """An owner that has left, or lost its lease to a claim, gets nothing: the run is pending."""
    store = await desk.open()
    first, second = await desk.register(store), await desk.register(store, lease=100)
    desk.clock.now += 16
    assert await store.claim(second, [FLOW], 1) == []
    created, is_new = await store.create(new("r1"), first)
    assert (created.status, created.owner, created.epoch, is_new) == ("pending", None, 0, True)
    assert (await claim_one(store, second)).run.run_id == "r1"


@check
async def a_released_run_is_fenced_and_claimable(desk: Desk) -> None:
    """After a release nobody may append until somebody claims, and the old epoch never again."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    assert await record(store, "r1", 1, step(2)) is None
    await store.release(RunId("r1"), 7)
    assert await record(store, "r1", 1, step(3)) is None
    await store.release(RunId("r1"), 1)
    assert isinstance(await record(store, "r1", 1, step(4)), LeaseLostError)
    claimed = await claim_one(store, process)
    after = claimed.events[-1].seq + 1
    assert (claimed.run.epoch, [event.type for event in claimed.events][:3]) == (
        2,
        ["run_started", *["step_completed"] * 2],
    )
    assert isinstance(await record(store, "r1", 1, step(after)), LeaseLostError)
    assert await record(store, "r1", 2, step(after)) is None


@check
async def a_process_that_lost_a_run_cannot_write_to_it(desk: Desk) -> None:
    """Once a lease has ended and the run was claimed, the first process records nothing and cannot renew."""
    one, two = await desk.open(), await desk.open()
    first, second = await desk.register(one), await desk.register(two, lease=100)
    await one.create(new("r1"))
    await claim_one(one, first)
    assert await record(one, "r1", 1, step(2)) is None
    assert await two.claim(second, [FLOW], 1) == [], "its owner lives"
    desk.clock.now += 14.9
    assert await two.claim(second, [FLOW], 1) == []
    desk.clock.now += 0.2
    claimed = await claim_one(two, second)
    assert (claimed.run.epoch, claimed.run.owner) == (2, second)
    assert [event.type for event in claimed.events] == ["run_started", "step_completed", "run_claimed"]
    assert claimed.events[-1].data == {"process": second, "epoch": 2}
    stale = Append(RunId("r1"), 1, [step(3)], status="completed", opened=[hook("r1", "t")])
    (verdict,) = await enqueue(one, stale)
    assert isinstance(verdict, LeaseLostError)
    assert not await asyncio.to_thread(one.renew, first, 15)
    with raises(LeaseLostError):
        await one.claim(first, [FLOW], 1)
    assert await record(two, "r1", 2, step(4)) is None
    assert (await one.get_run("r1")).status == "running"
    assert await one.hooks() == []
    assert [event.seq for event in await one.history("r1")] == [1, 2, 3, 4]


@check
async def losing_one_run_is_losing_all(desk: Desk) -> None:
    """A process whose lease was taken cannot write to its other runs either, claimed by others or not."""
    one, two = await desk.open(), await desk.open()
    first, second = await desk.register(one), await desk.register(two, lease=100)
    await one.create(new("r1"))
    await one.create(new("r2"))
    await one.claim(first, [FLOW], 2)
    desk.clock.now += 16
    await two.claim(second, [FLOW], 1)
    assert isinstance(await record(one, "r2", 1, step(2)), LeaseLostError)
    assert (await claim_one(two, second)).run.run_id == "r2"


@check
async def a_renewed_lease_holds(desk: Desk) -> None:
    """Renewing in time, or late but before anybody claimed, keeps the runs."""
    one, two = await desk.open(), await desk.open()
    first, second = await desk.register(one), await desk.register(two, lease=1000)
    await one.create(new("r1"))
    await claim_one(one, first)
    for pause in (10, 10, 20):
        desk.clock.now += pause
        assert await asyncio.to_thread(one.renew, first, 15)
        assert await two.claim(second, [FLOW], 1) == []
    leases = {process.process_id: until for process, until in await two.processes()}
    assert leases[first] == desk.clock.now + 15
    assert await record(one, "r1", 1, step(2)) is None


@check
async def leaving_frees_the_runs_at_once(desk: Desk) -> None:
    """A process that leaves is forgotten, and its unfinished runs are there to be claimed."""
    store = await desk.open()
    first, second = await desk.register(store), await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, first)
    await store.leave(first)
    assert [process.process_id for process, _ in await store.processes()] == [second]
    assert not await asyncio.to_thread(store.renew, first, 15)
    assert (await claim_one(store, second)).run.epoch == 2


@check
async def a_run_that_nobody_holds_is_not_running(desk: Desk) -> None:
    """Given back, or freed from a process that has left or died, it is pending; one that waits goes on waiting."""
    store = await desk.open()
    first, second = await desk.register(store), await desk.register(store, lease=1000)
    for run_id in ("r1", "r2", "r3", "r4"):
        await store.create(new(run_id))
    await store.claim(second, [FLOW], 2)
    assert await record(store, "r2", 1, step(2), status="waiting", wake_at=0.0) is None
    for run_id in ("r1", "r2"):
        await store.release(RunId(run_id), 1)
    assert [(await store.get_run(run_id)).status for run_id in ("r1", "r2")] == ["pending", "waiting"]
    await store.leave(second)
    third = await desk.register(store, lease=1000)
    await store.claim(first, [FLOW], 4)
    assert await record(store, "r4", 1, step(2), status="waiting", wake_at=float("inf")) is None
    assert {run.status for run in await store.list_runs(status=["running"])} == {"running"}
    desk.clock.now += 16
    assert await store.claim(third, [("other", "1")], 1) == []
    found = {run.run_id: (run.status, run.owner) for run in await store.list_runs()}
    assert found == {run_id: ("waiting" if run_id == "r4" else "pending", None) for run_id in ("r1", "r2", "r3", "r4")}


@check
async def a_parked_run_is_claimed_when_it_is_due(desk: Desk) -> None:
    """What waits until a time is nobody's until then, also after its process has left."""
    store = await desk.open()
    first, second = await desk.register(store, lease=1000), await desk.register(store, lease=1000)
    await store.create(new("r1"))
    await claim_one(store, first)
    due = desk.clock.now + 60
    assert await record(store, "r1", 1, step(2, type="timer_set"), status="waiting", wake_at=due) is None
    assert await store.release(RunId("r1"), 1, wake_at=due) == due
    assert await store.claim(second, [FLOW], 1) == []
    assert await store.next_wake([FLOW]) == due
    assert await store.next_wake([("other", "1")]) == float("inf")
    desk.clock.now += 61
    assert (await claim_one(store, second)).run.epoch == 2


@check
async def a_message_makes_a_parked_run_due(desk: Desk) -> None:
    """Also one that came before it was given back, and that its process has not seen."""
    store = await desk.open()
    process = await desk.register(store, lease=1000)
    for run_id in ("r1", "r2"):
        await store.create(new(run_id))
    await store.claim(process, [FLOW], 2)
    for run_id in ("r1", "r2"):
        assert await record(store, run_id, 1, step(2), status="waiting", wake_at=float("inf")) is None
    await store.release(RunId("r1"), 1, wake_at=float("inf"))
    assert await store.claim(process, [FLOW], 2) == []
    await store.send("cancel", run_id=RunId("r1"))
    assert (await claim_one(store, process)).run.run_id == "r1"
    await store.send("cancel", run_id=RunId("r2"))
    assert await store.release(RunId("r2"), 1, wake_at=float("inf")) <= desk.clock.now
    assert (await claim_one(store, process)).run.run_id == "r2"


@check
async def a_terminated_run_is_taken_from_its_owner(desk: Desk) -> None:
    """Its process records nothing any more, and nobody claims it."""
    store = await desk.open()
    process = await desk.register(store)
    await store.create(new("r1"))
    await claim_one(store, process)
    await store.terminate("r1", "because")
    assert isinstance(await record(store, "r1", 1, step(3)), LeaseLostError)
    found = await store.get_run("r1")
    assert (found.status, found.owner) == ("terminated", None)
    assert await store.claim(process, [FLOW], 1) == []
    assert (await store.history("r1"))[-1].data == {"reason": "because"}
