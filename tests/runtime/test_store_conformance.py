"""What every store does. Another store joins by an entry in `STORES`; nothing here knows SQLite."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from wfgen.environment import Environment
from wfgen.errors import ConflictError, LeaseLostError, StoreError, UnknownHookError, UnknownRunError
from wfgen.events import Event, EventType
from wfgen.ids import HookToken, RunId
from wfgen.store.processes import this_process
from wfgen.store.protocol import Append, Claimed, HookRecord, NewRun, ProcessRecord, RunRecord, Store, Verdict
from wfgen.store.sqlite import SQLiteStore

STORES: dict[str, Callable[[Path, Environment], Store]] = {
    "sqlite": lambda folder, environment: SQLiteStore(folder / "store.db", environment),
    "sqlite-normal": lambda folder, environment: SQLiteStore(folder / "store.db", environment, synchronous="normal"),
}

FLOW = ("flow", "1")


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@dataclass
class Desk:
    """Opens stores on one place and does what tests do most."""

    make: Callable[[Path, Environment], Store]
    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.environment = Environment(clock=self.clock, random=random.Random(7))
        self.stores: list[Store] = []

    async def open(self) -> Store:
        store = self.make(self.folder, self.environment)
        await store.open()
        self.stores.append(store)
        return store

    async def close(self) -> None:
        for store in self.stores:
            await store.close()

    def process(self, **changes: Any) -> ProcessRecord:
        return replace(this_process(self.environment), **changes)

    async def register(self, store: Store, lease: float = 15, **changes: Any) -> str:
        process = self.process(**changes)
        await store.register(process, lease)
        return process.process_id


Scenario = Callable[[Desk], Awaitable[None]]


@pytest.fixture(params=sorted(STORES))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on each store."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            desk = Desk(STORES[request.param], tmp_path)
            try:
                async with asyncio.timeout(30):
                    await scenario(desk)
            finally:
                await desk.close()

        asyncio.run(main())

    return run


def new(run_id: str, **changes: Any) -> NewRun:
    return replace(NewRun(RunId(run_id), "flow", "1", b'{"a":1}', "salt"), **changes)


def step(seq: int, *, type: EventType = "step_completed", **changes: Any) -> Event:
    return Event(seq, type, 1_800_000_000.5, f"0/step{seq}", **changes)


def hook(run_id: str, token: str, name: str = "approval", due: float | None = None) -> HookRecord:
    return HookRecord(HookToken(token), RunId(run_id), "flow", f"0/{name}", name, due, "open", 1_800_000_000.0)


def enqueue(store: Store, *appends: Append) -> asyncio.Future[list[Verdict]]:
    """Queue appends in one go; gives their verdicts in the order in which they were told."""
    verdicts: list[Verdict] = []
    told: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()

    def done(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if len(verdicts) == len(appends):
            told.set_result(verdicts)

    for append in appends:
        store.append(append, done)
    return told


async def record(store: Store, run_id: str, epoch: int, *events: Event, **changes: Any) -> Verdict:
    (verdict,) = await enqueue(store, Append(RunId(run_id), epoch, list(events), **changes))
    return verdict


async def claim_one(store: Store, process: str) -> Claimed:
    (claimed,) = await store.claim(process, [FLOW], 10)
    return claimed


def test_create_records_the_run_and_its_first_event(run: Callable[[Scenario], None]) -> None:
    """A new run is pending, at the clock's time, and its history starts with its input."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        record, created = await store.create(new("r1", idempotency_key="k"))
        assert created
        now = desk.clock.now
        assert record == RunRecord(
            RunId("r1"),
            "flow",
            "1",
            "pending",
            b'{"a":1}',
            None,
            None,
            None,
            None,
            "salt",
            "k",
            0,
            0,
            None,
            now,
            now,
            None,
        )
        assert await store.get_run("r1") == record
        assert await store.history("r1") == [
            Event(1, "run_started", now, None, {"workflow": "flow", "version": "1"}, b'{"a":1}')
        ]

    run(scenario)


def test_input_may_be_absent(run: Callable[[Scenario], None]) -> None:
    """A run without input has none, rather than an empty one."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("none", input=None))
        await store.create(new("empty", input=b""))
        assert (await store.get_run("none")).input is None
        assert (await store.get_run("empty")).input == b""

    run(scenario)


def test_create_is_idempotent_by_key(run: Callable[[Scenario], None]) -> None:
    """A second start with a workflow's key gives the first run, whatever has become of it."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1", idempotency_key="k"))
        again, created = await store.create(new("r2", idempotency_key="k"))
        assert (again.run_id, created) == ("r1", False)
        other, created = await store.create(new("r3", workflow="other", idempotency_key="k"))
        assert (other.run_id, created) == ("r3", True)
        _, created = await store.create(new("r4"))
        assert created
        with pytest.raises(UnknownRunError, match="r2"):
            await store.get_run("r2")

    run(scenario)


def test_concurrent_creates_with_one_key_make_one_run(run: Callable[[Scenario], None]) -> None:
    """Of many starts with one key at the same time, on two connections, one creates."""

    async def scenario(desk: Desk) -> None:
        stores = [await desk.open(), await desk.open()]
        outcomes = await asyncio.gather(*[stores[n % 2].create(new(f"r{n}", idempotency_key="k")) for n in range(40)])
        assert sum(created for _, created in outcomes) == 1
        assert len({record.run_id for record, _ in outcomes}) == 1
        assert len(await stores[0].list_runs()) == 1

    run(scenario)


@pytest.mark.parametrize(("changes", "match"), [({"input": b"2"}, "another input"), ({"version": "2"}, "version 1")])
def test_a_key_with_other_input_or_version_is_a_conflict(
    run: Callable[[Scenario], None], changes: dict[str, Any], match: str
) -> None:
    """A key that was used with another input or version is refused, and says by which run."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1", idempotency_key="k"))
        with pytest.raises(ConflictError, match=f"r1.*{match}"):
            await store.create(new("r2", idempotency_key="k", **changes))

    run(scenario)


def test_a_run_id_is_used_once(run: Callable[[Scenario], None]) -> None:
    """A run id that exists is refused, and what was queued with it goes through."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1"))
        outcomes = await asyncio.gather(
            store.create(new("r2")), store.create(new("r1")), store.create(new("r3")), return_exceptions=True
        )
        assert isinstance(outcomes[1], ConflictError)
        assert [record.run_id for record in await store.list_runs()] == ["r3", "r2", "r1"]

    run(scenario)


def test_append_keeps_every_field(run: Callable[[Scenario], None]) -> None:
    """What is read back is what was appended: types, empty and absent payloads, text outside of UTF-8."""

    async def scenario(desk: Desk) -> None:
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

    run(scenario)


def test_appends_of_one_run_keep_their_order(run: Callable[[Scenario], None]) -> None:
    """Appends that are queued together are recorded, and answered, in the order of the calls."""

    async def scenario(desk: Desk) -> None:
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

    run(scenario)


def test_each_append_of_a_batch_has_its_own_verdict(run: Callable[[Scenario], None]) -> None:
    """Refused appends leave their neighbours, and themselves nothing, in the store."""

    async def scenario(desk: Desk) -> None:
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

    run(scenario)


@pytest.mark.parametrize("seq", [1, 2, 4, 0, -1])
def test_a_gap_or_a_repetition_is_refused(run: Callable[[Scenario], None], seq: int) -> None:
    """Only the next number is recorded; then the run goes on with it."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        assert await record(store, "r1", 1, step(2)) is None
        assert isinstance(await record(store, "r1", 1, step(seq)), StoreError)
        assert await record(store, "r1", 1, step(3)) is None

    run(scenario)


def test_after_a_refusal_later_appends_are_refused_until_it_is_repeated(run: Callable[[Scenario], None]) -> None:
    """What was queued behind a refused append is refused as well, also what carries no event."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        bad = Append(RunId("r1"), 1, [replace(step(2), key="\udc80")])
        verdicts = await enqueue(
            store, bad, Append(RunId("r1"), 1, [step(3)]), Append(RunId("r1"), 1, status="waiting")
        )
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

    run(scenario)


def test_claims_are_oldest_first_and_limited(run: Callable[[Scenario], None]) -> None:
    """A claim takes the oldest runs of the workflows asked for, marks them as held, and no more than its limit."""

    async def scenario(desk: Desk) -> None:
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

    run(scenario)


def test_concurrent_claims_never_share_a_run(run: Callable[[Scenario], None]) -> None:
    """Two processes that claim at the same time get different runs."""

    async def scenario(desk: Desk) -> None:
        stores = [await desk.open(), await desk.open()]
        processes = [await desk.register(store) for store in stores]
        await asyncio.gather(*[stores[0].create(new(f"r{n}")) for n in range(30)])
        claims = await asyncio.gather(*[stores[n % 2].claim(processes[n % 2], [FLOW], 4) for n in range(20)])
        taken = [claimed.run.run_id for claim in claims for claimed in claim]
        assert len(taken) == len(set(taken)) == 30

    run(scenario)


def test_claiming_needs_a_registered_process(run: Callable[[Scenario], None]) -> None:
    """A process that nobody knows, or that has left, takes nothing."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1"))
        with pytest.raises(LeaseLostError, match="not registered"):
            await store.claim("ghost", [FLOW], 1)
        process = await desk.register(store)
        await store.leave(process)
        with pytest.raises(LeaseLostError):
            await store.claim(process, [FLOW], 1)

    run(scenario)


def test_create_may_claim_for_its_owner(run: Callable[[Scenario], None]) -> None:
    """A run that is created for a process is held by it at once, under the first epoch, and by nobody else."""

    async def scenario(desk: Desk) -> None:
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
        assert (await claim_one(store, second)).run.claims == 2

    run(scenario)


def test_create_for_a_process_that_is_over_leaves_the_run_to_others(run: Callable[[Scenario], None]) -> None:
    """An owner that has left, or lost its lease to a claim, gets nothing: the run is pending."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        first, second = await desk.register(store), await desk.register(store, lease=100)
        desk.clock.now += 16
        assert await store.claim(second, [FLOW], 1) == []
        created, is_new = await store.create(new("r1"), first)
        assert (created.status, created.owner, created.epoch, is_new) == ("pending", None, 0, True)
        assert (await claim_one(store, second)).run.run_id == "r1"

    run(scenario)


def test_a_released_run_is_fenced_and_claimable(run: Callable[[Scenario], None]) -> None:
    """After a release nobody may append until somebody claims, and the old epoch never again."""

    async def scenario(desk: Desk) -> None:
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
        assert (claimed.run.epoch, claimed.run.claims, len(claimed.events)) == (2, 2, 3)
        assert isinstance(await record(store, "r1", 1, step(4)), LeaseLostError)
        assert await record(store, "r1", 2, step(4)) is None

    run(scenario)


def test_a_process_that_lost_a_run_cannot_write_to_it(run: Callable[[Scenario], None]) -> None:
    """Once a lease has ended and the run was claimed, the first process records nothing and cannot renew."""

    async def scenario(desk: Desk) -> None:
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
        assert [event.seq for event in claimed.events] == [1, 2]
        stale = Append(RunId("r1"), 1, [step(3)], status="completed", opened=[hook("r1", "t")])
        (verdict,) = await enqueue(one, stale)
        assert isinstance(verdict, LeaseLostError)
        assert not await asyncio.to_thread(one.renew, first, 15)
        with pytest.raises(LeaseLostError):
            await one.claim(first, [FLOW], 1)
        assert await record(two, "r1", 2, step(3)) is None
        assert (await one.get_run("r1")).status == "running"
        assert await one.hooks() == []
        assert [event.seq for event in await one.history("r1")] == [1, 2, 3]

    run(scenario)


def test_losing_one_run_is_losing_all(run: Callable[[Scenario], None]) -> None:
    """A process whose lease was taken cannot write to its other runs either, claimed by others or not."""

    async def scenario(desk: Desk) -> None:
        one, two = await desk.open(), await desk.open()
        first, second = await desk.register(one), await desk.register(two, lease=100)
        await one.create(new("r1"))
        await one.create(new("r2"))
        await one.claim(first, [FLOW], 2)
        desk.clock.now += 16
        await two.claim(second, [FLOW], 1)
        assert isinstance(await record(one, "r2", 1, step(2)), LeaseLostError)
        assert (await claim_one(two, second)).run.run_id == "r2"

    run(scenario)


def test_a_renewed_lease_holds(run: Callable[[Scenario], None]) -> None:
    """Renewing in time, or late but before anybody claimed, keeps the runs."""

    async def scenario(desk: Desk) -> None:
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

    run(scenario)


def test_leaving_frees_the_runs_at_once(run: Callable[[Scenario], None]) -> None:
    """A process that leaves is forgotten, and its unfinished runs are there to be claimed."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        first, second = await desk.register(store), await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, first)
        await store.leave(first)
        assert [process.process_id for process, _ in await store.processes()] == [second]
        assert not await asyncio.to_thread(store.renew, first, 15)
        assert (await claim_one(store, second)).run.epoch == 2

    run(scenario)


def test_a_finished_run_is_closed(run: Callable[[Scenario], None]) -> None:
    """The end of a run records its result, frees it, closes its hooks, empties its inbox, and nothing follows."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        assert await record(store, "r1", 1, step(2), opened=[hook("r1", "t1")], status="waiting") is None
        await store.send("hook", run_id=RunId("r1"), name="other", payload=b"1")
        await store.send("cancel", run_id=RunId("r1"))
        desk.clock.now += 5
        ending = step(3, type="run_completed", payload=b"42")
        assert await record(store, "r1", 1, ending, status="completed", output=b"42") is None
        finished = await store.get_run("r1")
        assert (finished.status, finished.output, finished.owner) == ("completed", b"42", None)
        assert finished.finished_at == finished.updated_at == desk.clock.now
        assert [h.state for h in await store.hooks(state=None)] == ["closed"]
        assert await store.messages(process) == []
        assert isinstance(await record(store, "r1", 1, step(4)), LeaseLostError)
        assert await store.claim(process, [FLOW], 1) == []
        with pytest.raises(UnknownRunError, match="completed"):
            await store.send("cancel", run_id=RunId("r1"))
        with pytest.raises(UnknownHookError, match="approval"):
            await store.send("hook", token="t1")

    run(scenario)


def test_a_failed_run_keeps_its_error(run: Callable[[Scenario], None]) -> None:
    """Type, message and code of the error can be read, also when the message is no valid text."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        failed = step(2, type="run_failed")
        error = ("builtins.OSError", "no file caf\udce9", "WF710")
        assert await record(store, "r1", 1, failed, status="failed", error=error) is None
        kept = await store.get_run("r1")
        assert (kept.error_type, kept.error, kept.error_code) == ("builtins.OSError", "no file caf\\udce9", "WF710")

    run(scenario)


def test_messages_are_kept_until_they_are_consumed(run: Callable[[Scenario], None]) -> None:
    """A message by token is there for the owner, again after a takeover, until an append answers it."""

    async def scenario(desk: Desk) -> None:
        one, two = await desk.open(), await desk.open()
        first, second = await desk.register(one), await desk.register(two, lease=100)
        await one.create(new("r1"))
        await claim_one(one, first)
        assert await record(one, "r1", 1, step(2), opened=[hook("r1", "t1", due=9.5)], status="waiting") is None
        assert await two.hooks() == [hook("r1", "t1", due=9.5)]
        assert await two.send("hook", token="t1", payload=b"1") == "sent"
        assert await two.send("hook", token="t1", payload=b"2") == "duplicate"
        (message,) = await one.messages(first)
        assert (message.run_id, message.kind, message.token, message.name, message.payload) == (
            "r1", "hook", "t1", None, b"1",
        )  # fmt: skip
        assert await two.messages(second) == []
        desk.clock.now += 16
        claimed = await claim_one(two, second)
        assert claimed.messages == [message]
        answer = step(3, type="hook_resumed", payload=b"1")
        closed = [(HookToken("t1"), "resumed")]
        assert await record(two, "r1", 2, answer, consumed=[message.id], closed=closed, status="running") is None
        assert await two.messages(second) == []
        assert await two.send("hook", token="t1", payload=b"3") == "duplicate"
        assert [h.state for h in await two.hooks(run_id="r1", state=None)] == ["resumed"]
        assert await two.hooks() == []

    run(scenario)


def test_messages_by_name_wait_for_their_hook(run: Callable[[Scenario], None]) -> None:
    """A payload that comes before the run has got to its hook, or before anybody works the run, is kept."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        assert await store.send("hook", run_id=RunId("r1"), name="approval", payload=b"1") == "sent"
        claimed = await claim_one(store, process)
        assert [(m.name, m.token, m.payload) for m in claimed.messages] == [("approval", None, b"1")]
        assert await store.messages(process) == claimed.messages

    run(scenario)


def test_messages_are_oldest_first(run: Callable[[Scenario], None]) -> None:
    """The inbox keeps the order of sending."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await store.create(new("r2"))
        await store.claim(process, [FLOW], 2)
        for n in range(6):
            await store.send("hook", run_id=RunId(f"r{1 + n % 2}"), name="n", payload=str(n).encode())
        assert [m.payload for m in await store.messages(process)] == [b"0", b"1", b"2", b"3", b"4", b"5"]

    run(scenario)


def test_of_two_sends_with_one_token_one_is_sent(run: Callable[[Scenario], None]) -> None:
    """Concurrent resumes of a hook, on two connections: exactly one counts."""

    async def scenario(desk: Desk) -> None:
        stores = [await desk.open(), await desk.open()]
        process = await desk.register(stores[0])
        await stores[0].create(new("r1"))
        await claim_one(stores[0], process)
        await record(stores[0], "r1", 1, step(2), opened=[hook("r1", "t1")])
        answers = await asyncio.gather(
            *[stores[n % 2].send("hook", token="t1", payload=str(n).encode()) for n in range(20)]
        )
        assert sorted(answers) == ["duplicate"] * 19 + ["sent"]
        assert len(await stores[0].messages(process)) == 1

    run(scenario)


def test_cancel_is_asked_for_once(run: Callable[[Scenario], None]) -> None:
    """A second request to cancel changes nothing while the first one waits."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.create(new("r1"))
        assert await store.send("cancel", run_id=RunId("r1")) == "sent"
        assert await store.send("cancel", run_id=RunId("r1")) == "duplicate"

    run(scenario)


@pytest.mark.parametrize("state", ["timed_out", "closed"])
def test_a_hook_that_is_over_cannot_be_resumed(run: Callable[[Scenario], None], state: Any) -> None:
    """After its deadline, or once it is closed, a hook takes no payload, and what waited for it is gone."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        await record(store, "r1", 1, step(2), opened=[hook("r1", "t1")])
        await store.send("hook", token="t1", payload=b"late")
        await record(store, "r1", 1, step(3), closed=[(HookToken("t1"), state)])
        assert await store.messages(process) == []
        with pytest.raises(UnknownHookError, match="approval"):
            await store.send("hook", token="t1")

    run(scenario)


def test_unknown_names_are_told(run: Callable[[Scenario], None]) -> None:
    """Unknown runs and tokens raise their own errors, from every method that takes one."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        for asked in (store.get_run("nope"), store.history("nope"), store.send("cancel", run_id=RunId("nope"))):
            with pytest.raises(UnknownRunError, match="nope"):
                await asked
        with pytest.raises(UnknownRunError, match="nope"):
            await store.send("hook", run_id=RunId("nope"), name="n")
        with pytest.raises(UnknownHookError, match="token"):
            await store.send("hook", token="secret")
        assert await store.hooks(run_id="nope") == []

    run(scenario)


def test_runs_are_listed_newest_first_and_filtered(run: Callable[[Scenario], None]) -> None:
    """Lists filter by workflow and status, and stop at their limit."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        for n in range(4):
            await store.create(new(f"r{n}", workflow="flow" if n % 2 else "other"))
        await store.claim(process, [FLOW], 1)

        async def ids(**query: Any) -> list[str]:
            return [record.run_id for record in await store.list_runs(**query)]

        assert await ids() == ["r3", "r2", "r1", "r0"]
        assert await ids(limit=2) == ["r3", "r2"]
        assert await ids(workflow="flow") == ["r3", "r1"]
        assert await ids(status=["pending"]) == ["r3", "r2", "r0"]
        assert await ids(workflow="flow", status=["running", "waiting"]) == ["r1"]
        assert await ids(status=[]) == []

    run(scenario)


def test_hooks_are_listed_oldest_first(run: Callable[[Scenario], None]) -> None:
    """Open hooks of one run or of all, up to a limit."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        for run_id in ("r1", "r2"):
            await store.create(new(run_id))
        await store.claim(process, [FLOW], 2)
        await record(store, "r2", 1, step(2), opened=[hook("r2", "b"), hook("r2", "a")])
        await record(store, "r1", 1, step(2), opened=[hook("r1", "c")])
        assert [h.token for h in await store.hooks()] == ["b", "a", "c"]
        assert [h.token for h in await store.hooks(limit=1)] == ["b"]
        assert [h.token for h in await store.hooks(run_id="r1")] == ["c"]

    run(scenario)


def test_everything_is_there_after_closing_and_opening(run: Callable[[Scenario], None]) -> None:
    """Closing finishes what is queued; another store on the same place goes on."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        process = await desk.register(store)
        await store.create(new("r1"))
        await claim_one(store, process)
        verdicts = enqueue(store, *[Append(RunId("r1"), 1, [step(seq)]) for seq in range(2, 100)])
        await store.close()
        assert verdicts.done(), "what was queued is answered before close() returns"
        assert set(await verdicts) == {None}
        again = await desk.open()
        assert len(await again.history("r1")) == 99
        assert await record(again, "r1", 1, step(100)) is None

    run(scenario)


def test_a_closed_store_says_so(run: Callable[[Scenario], None]) -> None:
    """Every method of a store that is not open raises StoreError; closing twice does no harm."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        await store.close()
        await store.close()
        for asked in (store.create(new("r1")), store.list_runs(), store.claim("p", [FLOW], 1), store.leave("p")):
            with pytest.raises(StoreError, match="not open"):
                await asked
        with pytest.raises(StoreError, match="not open"):
            store.append(Append(RunId("r1"), 1), lambda verdict: None)
        with pytest.raises(StoreError, match="not open"):
            store.renew("p", 15)

    run(scenario)


def test_changes_of_others_are_told(run: Callable[[Scenario], None]) -> None:
    """A write through another connection wakes this one soon; its own writes do not."""

    async def scenario(desk: Desk) -> None:
        one, two = await desk.open(), await desk.open()
        told = asyncio.Event()
        one.on_change(told.set)
        await one.create(new("mine"))
        await asyncio.sleep(0.3)
        assert not told.is_set()
        await two.create(new("theirs"))
        await asyncio.wait_for(told.wait(), 2)

    run(scenario)


def test_a_cancelled_caller_disturbs_nobody(run: Callable[[Scenario], None]) -> None:
    """A create whose caller gave up is recorded or not, and everybody else is answered."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        abandoned = asyncio.ensure_future(store.create(new("r1")))
        await asyncio.sleep(0)
        abandoned.cancel()
        await store.create(new("r2"))
        assert (await store.get_run("r2")).status == "pending"

    run(scenario)


def test_a_callback_that_raises_disturbs_nobody(run: Callable[[Scenario], None]) -> None:
    """The loop is told of the exception, and the other verdicts of the batch arrive."""

    async def scenario(desk: Desk) -> None:
        store = await desk.open()
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        def fail(verdict: Verdict) -> None:
            raise RuntimeError("mine")

        store.append(Append(RunId("nobody"), 1, [step(2)]), fail)
        assert isinstance(await record(store, "nobody", 1, step(2)), UnknownRunError)
        assert [str(context["exception"]) for context in reported] == ["mine"]

    run(scenario)
