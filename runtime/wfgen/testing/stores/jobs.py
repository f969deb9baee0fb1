"""Steps on queues: who works which job, how it ends, and who hears of it."""

from __future__ import annotations

import asyncio

from wfgen.errors import LeaseLostError, UnknownJobError
from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.store.jobs import JobEnd
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, new, raises, record, step
from wfgen.testing.stores.job_desk import AT, WORKER, R, created, done, job, put, take, take_one, told

# Putting and claiming.


@check
async def a_job_is_put_with_what_its_run_records(desk: Desk) -> None:
    """All of an append, or nothing; one whose id is there already is left alone."""
    store, _ = await put(desk, job())
    found = await store.get_job("j")
    assert (found.run_id, found.workflow, found.version, found.queue) == ("r", "flow", "1", "flow.work")
    assert (found.worker, found.key, found.name, found.input) == (WORKER, "0/j", "work", b'{"a":1}')
    assert (found.policy, found.idempotency_key, found.status) == ('{"attempts":1}', "key-j", "queued")
    assert (found.awaited, found.at_most_once, found.cancel_requested) == (True, False, False)
    assert (found.attempt, found.claims, found.epoch, found.owner) == (0, 0, 0, None)
    assert (found.first_at, found.started_at, found.finished_at, found.expires_at) == (None, None, None, None)
    assert (found.due, found.created_at, found.updated_at) == (desk.clock.now,) * 3
    assert await record(store, "r", 1, step(3), jobs=[job(input=b"8")]) is None
    assert (await store.get_job("j")).input == b'{"a":1}'
    assert await record(store, "r", 1, step(9), jobs=[job("late")]) is not None
    assert await record(store, "r", 7, step(4), jobs=[job("late")]) is not None
    assert [one.job_id for one in await store.list_jobs()] == ["j"]
    with raises(UnknownJobError):
        await store.get_job("late")


@check
async def jobs_are_claimed_longest_overdue_first_and_limited(desk: Desk) -> None:
    """A claim takes jobs of the workers asked for, marks them as taken, and no more than its limit."""
    store, process = await put(desk, job("a"), job("b", worker="other"), job("c"))
    desk.clock.now += 1
    assert await record(store, "r", 1, created(5, "d"), jobs=[job("d")]) is None
    (first,) = await take(store, process, 1)
    assert first.job_id == "a"
    assert (first.status, first.owner, first.epoch, first.attempt, first.claims) == ("running", process, 1, 1, 1)
    assert (first.first_at, first.started_at, first.updated_at) == (desk.clock.now,) * 3
    assert first == await store.get_job("a")
    assert await store.claim_jobs(process, [], 5) == []
    assert await take(store, process, 0) == []
    both = await store.claim_jobs(process, ["other", WORKER], 2)
    assert [one.job_id for one in both] == ["b", "c"]
    assert [one.job_id for one in await take(store, process)] == ["d"]
    assert await take(store, process) == []


@check
async def jobs_are_claimed_by_queue(desk: Desk) -> None:
    """Queues are given by name, or by a beginning that ends in `*`."""
    names = ["mail.send", "mail.send_all", "mailbox.open", "shop.pay", "m%_.x"]
    store, process = await put(desk, *[job(f"j{n}", queue=name) for n, name in enumerate(names)])
    assert await take(store, process, queues=[]) == []
    assert await take(store, process, queues=["mail", "nobody.*", "m_il.send"]) == []
    assert await store.next_job([WORKER], queues=["mail"]) == float("inf")
    assert await store.next_job([WORKER], queues=["mail.send"]) <= desk.clock.now
    assert [one.queue for one in await take(store, process, queues=["mail.send"])] == ["mail.send"]
    assert [one.queue for one in await take(store, process, queues=["m%*"])] == ["m%_.x"]
    assert [one.queue for one in await take(store, process, queues=["mail.*", "shop.pay"])] == names[1:2] + names[3:4]
    assert [one.queue for one in await take(store, process, queues=["*"])] == ["mailbox.open"]


@check
async def jobs_of_a_family_are_claimed_alone(desk: Desk) -> None:
    """With `families` a claim takes the jobs of these runs, of their children and theirs."""
    store, process = await put(desk, job("mine"))
    await store.create(new("other"), process)
    assert await record(store, "other", 1, created(2, "theirs"), jobs=[job("theirs")]) is None
    child = new("c", parent=(R, "0/call"))
    started = Event(3, "child_started", AT, "0/call", {"run_id": "c"})
    assert await record(store, "r", 1, started, children=[child]) is None
    kid = await claim_one(store, process)
    seq = kid.events[-1].seq + 1
    assert await record(store, "c", kid.run.epoch, created(seq, "kid"), jobs=[job("kid")]) is None
    assert await take(store, process, families=[]) == []
    assert await store.next_job([WORKER], families=[]) == float("inf")
    assert await store.next_job([WORKER], families=[R]) <= desk.clock.now
    assert [one.job_id for one in await take(store, process, families=[R])] == ["mine", "kid"]
    assert await store.next_job([WORKER], families=[R]) == float("inf")
    assert await store.claim_jobs(process, ["nobody"], 5, families=[RunId("other")]) == []
    assert [one.job_id for one in await take(store, process, families=[RunId("other")])] == ["theirs"]


@check
async def concurrent_claims_never_share_a_job(desk: Desk) -> None:
    """Two processes that claim at the same time get different jobs."""
    store, _ = await put(desk, *[job(f"j{n}") for n in range(30)])
    stores = [store, await desk.open()]
    processes = [await desk.register(one) for one in stores]
    claims = await asyncio.gather(*[take(stores[n % 2], processes[n % 2], 4) for n in range(20)])
    taken = [one.job_id for claim in claims for one in claim]
    assert len(taken) == len(set(taken)) == 30


@check
async def claiming_a_job_needs_a_registered_process(desk: Desk) -> None:
    """A process that nobody knows, or that has left, takes nothing."""
    store, process = await put(desk, job())
    with raises(LeaseLostError, match="not registered"):
        await take(store, "ghost")
    await store.leave(process)
    with raises(LeaseLostError):
        await take(store, process)


@check
async def a_job_that_is_not_due_waits(desk: Desk) -> None:
    """It can be asked when the next one is due."""
    store, process = await put(desk, job())
    assert await store.next_job([WORKER]) <= desk.clock.now
    assert await store.next_job(["other"]) == float("inf")
    taken = await take_one(store, process)
    assert await store.next_job([WORKER]) == float("inf")
    due = desk.clock.now + 5
    await store.requeue_job(taken.job_id, 1, due, JobEnd("failed", 1, AT, None, None, "E", "no", '{"timed_out":true}'))
    waiting = await store.get_job("j")
    assert (waiting.status, waiting.owner, waiting.due, waiting.attempt, waiting.claims) == ("queued", None, due, 1, 0)
    assert (waiting.error_type, waiting.error, waiting.details) == ("E", "no", '{"timed_out":true}')
    assert await take(store, process) == []
    assert await store.next_job([WORKER]) == due
    assert await told(store, process) == [], "an attempt is no end"
    desk.clock.now += 5
    again = await take_one(store, process)
    assert (again.attempt, again.epoch, again.claims) == (2, 2, 1)
    assert (again.first_at, again.started_at) == (due - 5, due)


# Ends.


@check
async def the_end_of_a_job_is_told_to_its_run(desk: Desk) -> None:
    """One message, in the transaction that records the end; and only the process that has the job records it."""
    store, process = await put(desk, job("a"), job("b"), job("c", awaited=False))
    await take(store, process)
    for late in (JobId("a"), 2), (JobId("nobody"), 1):
        with raises(LeaseLostError):
            await store.finish_job(*late, done())
    desk.clock.now += 1
    completed = done(b"42", type="m:C")
    await store.finish_job(JobId("a"), 1, completed)
    failed = JobEnd("failed", 1, AT, b"[1]", None, "ValueError", "no", '{"traceback":"t"}')
    await store.finish_job(JobId("b"), 1, failed)
    await store.finish_job(JobId("c"), 1, done(b"1"))
    assert await told(store, process) == [("0/a", completed), ("0/b", failed)]
    a, b = await store.get_job("a"), await store.get_job("b")
    assert (a.status, a.output, a.type, a.owner, a.finished_at) == ("completed", b"42", "m:C", None, desk.clock.now)
    assert (b.status, b.output, b.error_type, b.error) == ("failed", b"[1]", "ValueError", "no")
    assert b.details == '{"traceback":"t"}'
    assert (await store.get_job("c")).output == b"1"
    with raises(LeaseLostError):
        await store.finish_job(JobId("a"), 1, done())
    with raises(LeaseLostError):
        await store.requeue_job(JobId("a"), 1, 0.0)
    assert await take(store, process) == []


@check
async def the_end_of_a_job_wakes_its_run(desk: Desk) -> None:
    """A run that waits for it alone, and that nobody holds, is due."""
    store, process = await put(desk, job())
    assert await record(store, "r", 1, status="waiting", wake_at=float("inf")) is None
    await store.release(R, 1, wake_at=float("inf"))
    await take(store, process)
    assert await store.claim(process, [FLOW], 1) == []
    await store.finish_job(JobId("j"), 1, done())
    claimed = await claim_one(store, process)
    assert [(one.kind, one.name) for one in claimed.messages] == [("job", "0/j")]


@check
async def what_a_job_reports_is_kept(desk: Desk) -> None:
    """The last report alone, while the process has the job."""
    store, process = await put(desk, job())
    await take(store, process)
    desk.clock.now += 1
    await store.report_job(JobId("j"), 1, b"1")
    await store.report_job(JobId("j"), 1, b"2")
    found = await store.get_job("j")
    assert (found.progress, found.updated_at) == (b"2", desk.clock.now)
    with raises(LeaseLostError):
        await store.report_job(JobId("j"), 2, b"3")
    await store.finish_job(JobId("j"), 1, done())
    with raises(LeaseLostError):
        await store.report_job(JobId("j"), 1, b"3")
    assert (await store.get_job("j")).progress == b"2"


@check
async def a_process_sees_what_it_works(desk: Desk) -> None:
    """Its jobs, with their epochs and whether they are to stop."""
    store, process = await put(desk, job("a"), job("b"), job("c"))
    second = await desk.register(store)
    await take(store, process, 2)
    assert await store.held_jobs(process) == {"a": (1, False), "b": (1, False)}
    assert await store.held_jobs(second) == {}
    assert await record(store, "r", 1, step(5), given_up=["0/a", "0/c"]) is None
    assert await store.held_jobs(process) == {"a": (1, True), "b": (1, False)}
    await store.finish_job(JobId("b"), 1, done())
    assert await store.held_jobs(process) == {"a": (1, True)}


@check
async def a_job_that_was_not_begun_is_given_back(desk: Desk) -> None:
    """As if it had not been taken, but for its epoch."""
    store, process = await put(desk, job(at_most_once=True, expires_at=desk.clock.now + 60))
    await take(store, process)
    await store.requeue_job(JobId("j"), 1, desk.clock.now)
    found = await store.get_job("j")
    assert (found.status, found.attempt, found.claims, found.first_at, found.epoch) == ("queued", 0, 0, None, 1)
    with raises(LeaseLostError):
        await store.finish_job(JobId("j"), 1, done())
    again = await take_one(store, process)
    assert (again.attempt, again.epoch) == (1, 2)
