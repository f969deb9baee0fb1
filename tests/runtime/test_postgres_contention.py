"""Many processes at once on one database: nobody gets in another one's way, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from wfgen.environment import Environment
from wfgen.errors import LeaseLostError, RunStateError, UnknownRunError
from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.store.jobs import JobEnd, NewJob
from wfgen.store.postgres import connections, faults, writing
from wfgen.store.postgres.store import PostgresStore
from wfgen.store.records import Claimed
from wfgen.testing.stores.desk import FLOW, Desk, new, record

from ..postgres import plain

REFUSED = (RunStateError, UnknownRunError)


@pytest.fixture
def deadlocks(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The deadlocks that the server has resolved at the cost of one of this process's transactions."""
    found: list[BaseException] = []
    judge = faults.is_passing

    def counted(error: BaseException) -> bool:
        if isinstance(error, psycopg.errors.DeadlockDetected):
            found.append(error)
        return judge(error)

    for module in (connections, writing):
        monkeypatch.setattr(module, "is_passing", counted)
    return found


def together(url: str, scenario: Callable[[list[PostgresStore], list[str]], Awaitable[None]], count: int = 3) -> None:
    """Run a scenario with several stores on one schema, and a process registered on each."""

    async def main() -> None:
        desk = Desk(lambda _: PostgresStore(url, Environment()))
        stores: Any = [await desk.open() for _ in range(count)]
        try:
            async with asyncio.timeout(60):
                await scenario(stores, [await desk.register(store) for store in stores])
        finally:
            await desk.close()

    asyncio.run(main())


def test_each_job_is_worked_once(emptied_schema: str, deadlocks: list[BaseException]) -> None:
    """B13: processes that claim, report, give back and finish jobs at the same time, while runs put more there."""
    count = 240

    async def scenario(stores: list[PostgresStore], processes: list[str]) -> None:
        begun: Counter[str] = Counter()
        put = asyncio.Event()

        async def run(number: int) -> None:
            store, run_id = stores[0], f"r{number}"
            await store.create(new(run_id), processes[0])
            for seq in range(2, count // 8 + 2):
                job_id = f"{number}-{seq}"
                job = NewJob(JobId(job_id), f"q{seq % 5}", f"w{seq % 3}", f"0/{seq}", "work", None, "{}", job_id)
                created = Event(seq, "job_created", 1.0, job.key, {"job_id": job_id, "awaited": True})
                assert await record(store, run_id, 1, created, jobs=[job]) is None

        async def work(store: PostgresStore, process: str, chance: random.Random) -> None:
            while True:
                done = put.is_set()
                taken = await store.claim_jobs(process, ["w0", "w1", "w2"], chance.randint(1, 9))
                for job in taken:
                    if job.claims == 1 and job.attempt == 1 and job.epoch == 1 and chance.random() < 0.2:
                        await store.requeue_job(job.job_id, job.epoch, 0.0)  # as if it had not been begun
                        continue
                    begun[job.job_id] += 1
                    await store.report_job(job.job_id, job.epoch, b"1")
                    await store.finish_job(job.job_id, job.epoch, JobEnd("completed", job.attempt, 1.0, b"2"))
                    with pytest.raises(LeaseLostError):
                        await store.finish_job(job.job_id, job.epoch, JobEnd("completed", job.attempt, 1.0, b"3"))
                if done and not taken:
                    return

        async def all_runs() -> None:
            await asyncio.gather(*[run(number) for number in range(8)])
            put.set()

        workers = zip(stores, processes, strict=True)
        await asyncio.gather(all_runs(), *[work(*one, random.Random(n)) for n, one in enumerate([*workers] * 2)])
        assert len(begun) == count
        assert set(begun.values()) == {1}
        messages, _ = await stores[0].messages(processes[0])
        told = Counter((message.run_id, message.name) for message in messages)
        assert len(told) == count
        assert set(told.values()) == {1}
        assert {JobEnd.load(message.payload or b"").output for message in messages} == {b"2"}

    together(emptied_schema, scenario)
    assert deadlocks == []


@pytest.mark.parametrize("seed", [1, 2])
def test_controls_and_owners_do_not_wait_for_each_other_in_a_circle(
    emptied_schema: str, deadlocks: list[BaseException], seed: int
) -> None:
    """F7: a family is worked, paused, cancelled, terminated, retried, taken back, forked and removed at once."""

    async def scenario(stores: list[PostgresStore], processes: list[str]) -> None:
        chance = random.Random(seed)
        ids = ["p"]
        await stores[0].create(new("p"))

        async def advance(store: PostgresStore, claimed: Claimed) -> None:
            """An owner goes on with a run for some events, and then gives it back, fails it or completes it."""
            run_id, epoch, seq = claimed.run.run_id, claimed.run.epoch, claimed.events[-1].seq
            consumed = [message.id for message in claimed.messages]
            for _ in range(chance.randint(1, 4)):
                seq += 1
                more: dict[str, Any] = {"consumed": consumed} if consumed else {}
                event = Event(seq, "step_completed", 1.0, f"0/s{seq}")
                if len(ids) < 12 and chance.random() < 0.5:
                    child = f"c{len(ids)}"
                    ids.append(child)
                    event = Event(seq, "child_started", 1.0, f"0/{child}", {"run_id": child})
                    policy: Any = chance.choice(["cancel", "abandon"])
                    more["children"] = [new(child, parent=(run_id, f"0/{child}"), on_parent_end=policy)]
                if await record(store, run_id, epoch, event, **more) is not None:
                    return
                consumed = []
            ending = chance.random()
            if ending < 0.3:
                error = ("E", "no", None)
                over = Event(seq + 1, "run_failed", 1.0, None, {"error_type": "E", "error": "no"})
                await record(store, run_id, epoch, over, status="failed", error=error)
            elif ending < 0.5:
                over = Event(seq + 1, "run_completed", 1.0, None, {}, b"1")
                await record(store, run_id, epoch, over, status="completed", output=b"1")
            elif ending < 0.7:
                back = Event(seq + 1, "rolled_back", 1.0, None, {"to": 1})
                await record(store, run_id, epoch, back, status="pending")
            else:
                await store.release(run_id, epoch)

        async def own(store: PostgresStore, process: str) -> None:
            for _ in range(25):
                found = await store.claim(process, [FLOW], 3)
                await asyncio.gather(*[advance(store, claimed) for claimed in found])

        async def control_one(store: PostgresStore, run_id: str, fork_id: str) -> None:
            match chance.choice(["pause", "resume", "cancel", "terminate", "retry", "rollback", "fork", "prune"]):
                case ("pause" | "resume" | "cancel") as kind:
                    await store.send(kind, run_id=RunId(run_id))
                case "terminate":
                    await store.terminate(run_id)
                case "retry":
                    await store.retry(run_id)
                case "rollback":
                    await store.rollback(run_id, 1)
                case "fork":
                    await store.fork(run_id, 1, new(fork_id, input=None))
                case _ if chance.random() < 0.1:
                    await store.prune(1e12, limit=1)

        async def control(store: PostgresStore) -> None:
            for number in range(60):
                run_id = chance.choice(ids)
                with contextlib.suppress(REFUSED):
                    await control_one(store, run_id, f"f{id(store)}-{number}")

        owners = [own(store, process) for store, process in zip(stores, processes, strict=True)]
        await asyncio.gather(*owners, *[control(store) for store in stores])
        for run in await stores[0].list_runs(limit=1000):
            history = await stores[0].history(run.run_id)
            assert [event.seq for event in history] == list(range(1, len(history) + 1))
            ended = run.status in ("completed", "failed", "terminated")
            assert (run.finished_at is not None) == ended
            if ended:
                assert history[-1].type == f"run_{run.status}"

    together(emptied_schema, scenario)
    assert deadlocks == []
    with psycopg.connect(plain(emptied_schema)) as connection:
        asleep = connection.execute(
            "SELECT run_id, status, wake_at FROM runs JOIN messages USING (run)"
            " WHERE owner IS NULL AND wake_at > 0 AND (status <> 'paused' OR kind = 'cancel')"
        ).fetchall()
        assert asleep == [], "what has come wakes a run"
        lost = connection.execute("SELECT 1 FROM events LEFT JOIN runs USING (run) WHERE run_id IS NULL").fetchall()
        assert lost == [], "nothing is left of what was removed"
