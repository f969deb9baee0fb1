"""Steps on queues: who works which job, how it ends, and who hears of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from wfgen.errors import LeaseLostError, RunStateError, StoreError, UnknownJobError
from wfgen.events import Event
from wfgen.ids import JobId, RunId
from wfgen.store.jobs import JobEnd, JobRecord, NewJob
from wfgen.store.protocol import Store
from wfgen.testing.stores.desk import FLOW, Desk, check, claim_one, inbox, new, raises, record, step

AT = 1_800_000_000.5
R = RunId("r")
WORKER = "users.create"


def job(job_id: str = "j", **changes: Any) -> NewJob:
    """A job to put on its queue; by default that of the operation `0/<id>`."""
    plain = NewJob(
        JobId(job_id), "flow.work", WORKER, f"0/{job_id}", "work", b'{"a":1}', '{"attempts":1}', f"key-{job_id}"
    )
    return dataclasses.replace(plain, **changes)


def created(seq: int, job_id: str = "j", **data: Any) -> Event:
    """The event with which a run records that a step is on a queue."""
    return Event(seq, "job_created", AT, f"0/{job_id}", {"job_id": job_id, "awaited": True, **data})


def done(output: bytes = b"7", attempt: int = 1, **changes: Any) -> JobEnd:
    """The end of a job that completed."""
    return dataclasses.replace(JobEnd("completed", attempt, AT, output), **changes)


async def put(desk: Desk, *jobs: NewJob, lease: float = 15) -> tuple[Store, str]:
    """A run `r` that a process holds, with jobs; gives the store and the process."""
    store: Store = await desk.open()
    process = await desk.register(store, lease)
    await store.create(new("r"), process)
    events = [created(seq, str(one.job_id), awaited=one.awaited) for seq, one in enumerate(jobs, 2)]
    assert await record(store, "r", 1, *events, jobs=list(jobs)) is None
    return store, process


async def take(store: Store, process: str, limit: int = 10, **filters: Any) -> list[JobRecord]:
    return await store.claim_jobs(process, [WORKER], limit, **filters)


async def take_one(store: Store, process: str, **filters: Any) -> JobRecord:
    (taken,) = await take(store, process, **filters)
    return taken


async def told(store: Store, process: str) -> list[tuple[str | None, JobEnd]]:
    """What the run has been told of its jobs: keys and ends."""
    return [(one.name, JobEnd.load(one.payload or b"")) for one in await inbox(store, process) if one.kind == "job"]


async def message_ids(store: Store, process: str) -> list[int]:
    return [one.id for one in await inbox(store, process)]


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


# Processes that are gone.


@check
async def a_lapsed_process_loses_its_jobs(desk: Desk) -> None:
    """Another one takes them, under a later epoch and as another attempt; the first one records nothing any more."""
    one, first = await put(desk, job())
    two = await desk.open()
    second = await desk.register(two, lease=1000)
    await take(one, first)
    assert await take(two, second) == [], "its process lives"
    desk.clock.now += 16
    taken = await take_one(two, second)
    assert (taken.epoch, taken.attempt, taken.claims, taken.owner) == (2, 2, 2, second)
    refused: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: one.finish_job(JobId("j"), 1, done()),
        lambda: one.requeue_job(JobId("j"), 1, 0.0),
        lambda: one.report_job(JobId("j"), 1, b"1"),
    )
    for late in refused:
        with raises(LeaseLostError):
            await late()
    assert await one.held_jobs(first) == {}
    with raises(LeaseLostError):
        await take(one, first)
    await two.finish_job(JobId("j"), 2, done())


@check
async def claiming_runs_frees_jobs_as_well(desk: Desk) -> None:
    """Whoever notices that a process is gone takes all that it held."""
    store, first = await put(desk, job())
    second = await desk.register(store, lease=1000)
    await take(store, first)
    desk.clock.now += 16
    assert [one.run.run_id for one in await store.claim(second, [FLOW], 5)] == ["r"]
    found = await store.get_job("j")
    assert (found.status, found.owner, found.attempt) == ("queued", None, 1)


@check
async def a_process_that_leaves_gives_its_jobs_back(desk: Desk) -> None:
    """That it held them says nothing about them."""
    store, first = await put(desk, job())
    second = await desk.register(store)
    await take(store, first)
    await store.leave(first)
    taken = await take_one(store, second)
    assert (taken.claims, taken.attempt, taken.epoch) == (1, 2, 2)


@check.of(["lapsed", "left"])
async def a_job_that_runs_at_most_once_is_not_taken_over(desk: Desk, how: str) -> None:
    """It has failed, and its run hears why."""
    store, first = await put(desk, job(at_most_once=True))
    second = await desk.register(store, lease=1000)
    began = (await take_one(store, first)).started_at
    if how == "left":
        await store.leave(first)
    else:
        desk.clock.now += 16
    assert await take(store, second) == []
    found = await store.get_job("j")
    assert (found.status, found.owner, found.finished_at) == ("failed", None, desk.clock.now)
    await store.claim(second, [FLOW], 5)
    ((key, end),) = await told(store, second)
    assert (key, end.status, end.attempt, end.started_at) == ("0/j", "failed", 1, began)
    assert end.error_type == "wfgen.errors.StepInterruptedError"
    assert end.details == '{"interrupted": true}'


# Giving up.


@check
async def a_job_that_nobody_takes_expires(desk: Desk) -> None:
    """Whoever claims ends it, whatever it claims; one that was begun does not expire."""
    soon = desk.clock.now + 60
    store, process = await put(
        desk, job("a", expires_at=soon), job("b", expires_at=soon), job("c", expires_at=soon + 60), lease=1000
    )
    begun = await take_one(store, process, limit=1)
    assert begun.expires_at == soon
    await store.requeue_job(begun.job_id, 1, desk.clock.now + 200, JobEnd("failed", 1, AT, None, None, "E", "no"))
    assert await store.next_job(["other"]) == soon
    desk.clock.now += 60
    assert await store.claim_jobs(process, ["other"], 1) == []
    assert await store.next_job(["other"]) == soon + 60
    assert [(await store.get_job(one)).status for one in ("a", "b", "c")] == ["queued", "expired", "queued"]
    ((key, end),) = await told(store, process)
    assert (key, end.status, end.attempt) == ("0/b", "expired", 0)
    assert (end.error_type, end.details) == ("wfgen.errors.JobExpiredError", '{"expired": true}')
    desk.clock.now += 200
    assert [one.job_id for one in await take(store, process)] == ["a"]
    assert [key for key, _ in await told(store, process)] == ["0/b", "0/c"]


@check.of(["ended", "was terminated", "started again"])
async def jobs_of_a_run_that_is_over_are_cancelled(desk: Desk, how: str) -> None:
    """Those that it awaits: at once if nobody works them, else who does is asked to stop. The others go on alone."""
    store, process = await put(desk, job("a"), job("b"), job("alone", awaited=False))
    await take(store, process, 1)
    if how == "ended":
        assert await record(store, "r", 1, Event(5, "run_failed", AT), status="failed") is None
    elif how == "was terminated":
        await store.terminate("r")
    else:
        assert await record(store, "r", 1, Event(5, "run_continued", AT, None, {}, b"2")) is None
    assert [(await store.get_job(one)).status for one in ("a", "b", "alone")] == ["running", "cancelled", "queued"]
    assert await store.held_jobs(process) == {"a": (1, True)}
    await store.finish_job(JobId("a"), 1, JobEnd("cancelled", 1, AT))
    assert (await store.get_job("a")).status == "cancelled"
    assert await told(store, process) == [], "nobody listens"
    assert [one.job_id for one in await take(store, process)] == ["alone"]


@check
async def a_job_that_is_given_up_is_cancelled(desk: Desk) -> None:
    """The run may still want to know how it ended, and is told."""
    store, process = await put(desk, job("a"), job("b"), job("c"))
    await take(store, process, 1)
    assert await record(store, "r", 1, step(5), given_up=["0/a", "0/b"]) is None
    assert [(await store.get_job(one)).status for one in ("a", "b", "c")] == ["running", "cancelled", "queued"]
    ((key, end),) = await told(store, process)
    assert (key, end.status, end.attempt, end.error_type) == ("0/b", "cancelled", 0, "CancelledError")
    await store.requeue_job(JobId("a"), 1, desk.clock.now + 5, JobEnd("failed", 1, AT, None, None, "E", "no"))
    assert (await store.get_job("a")).status == "cancelled", "there is no other attempt"
    assert [key for key, _ in await told(store, process)] == ["0/b", "0/a"]
    assert [one.job_id for one in await take(store, process)] == ["c"]
    assert await record(store, "r", 1, step(6), given_up=["0/c"]) is None
    await store.finish_job(JobId("c"), 1, done())
    assert (await store.get_job("c")).status == "completed", "it came to its end all the same"


@check
async def a_job_that_was_to_stop_is_not_taken_over(desk: Desk) -> None:
    """Its process died before it could: it is cancelled."""
    store, first = await put(desk, job(at_most_once=True))
    second = await desk.register(store, lease=1000)
    await take(store, first)
    assert await record(store, "r", 1, step(3), given_up=["0/j"]) is None
    desk.clock.now += 16
    assert await take(store, second) == []
    assert (await store.get_job("j")).status == "cancelled"


# Finding.


@check
async def jobs_are_found_by_filters(desk: Desk) -> None:
    """Newest first, page by page."""
    store, process = await put(desk, job("a"), job("b", worker="w2", queue="q2"), job("c", queue="q2"), job("d"))
    await store.create(new("s"), process)
    assert await record(store, "s", 1, created(2, "e"), jobs=[job("e", worker="w2")]) is None
    await store.claim_jobs(process, ["w2"], 1)

    async def found(**filters: Any) -> str:
        return "".join(one.job_id for one in await store.list_jobs(**filters))

    assert await found() == "edcba"
    assert await found(run_id="r") == "dcba"
    assert await found(run_id="nobody") == ""
    assert await found(queue="q2") == "cb"
    assert await found(queue="q2*") == "cb"
    assert await found(queue="q%*") == await found(queue="q_*") == ""
    assert await found(worker="w2") == "eb"
    assert await found(status=["running"]) == "b"
    assert await found(status=["running", "queued"], run_id="s", worker="w2") == "e"
    assert await found(status=[]) == ""
    assert await found(limit=2) == "ed"
    assert await found(limit=2, before="d") == "cb"
    assert await found(run_id="r", before="c", limit=1) == "b"
    with raises(UnknownJobError):
        await store.list_jobs(before="nobody")


@check
async def queues_tell_what_waits(desk: Desk) -> None:
    """How many jobs are due, and since when the oldest is, for each queue and worker."""
    began = desk.clock.now
    store, process = await put(desk, job("a"), job("b", queue="q2"), job("c", queue="q2", worker="w2"), lease=1000)
    desk.clock.now += 2
    assert await record(store, "r", 1, created(5, "d"), jobs=[job("d")]) is None
    assert list(await store.waiting_jobs()) == [
        ("flow.work", WORKER, 2, began), ("q2", WORKER, 1, began), ("q2", "w2", 1, began)
    ]  # fmt: skip
    (taken,) = await take(store, process, queues=["q2"])
    await store.requeue_job(taken.job_id, 1, desk.clock.now + 60, JobEnd("failed", 1, AT, None, None, "E", "no"))
    await store.claim_jobs(process, ["w2"], 1)
    assert list(await store.waiting_jobs()) == [("flow.work", WORKER, 2, began)]


# What people do.


@check
async def a_job_is_retried(desk: Desk) -> None:
    """One that waits for its next attempt begins at once, one that did not complete anew; its run has not heard."""
    store, process = await put(desk, job(), lease=1000)
    await take(store, process)
    with raises(RunStateError, match="at work"):
        await store.retry_job("j")
    failed = JobEnd("failed", 1, AT, None, None, "E", "no", "{}")
    await store.requeue_job(JobId("j"), 1, desk.clock.now + 60, failed)
    await store.retry_job("j")
    again = await take_one(store, process)
    assert again.attempt == 2
    await store.finish_job(JobId("j"), 2, dataclasses.replace(failed, attempt=2, output=b"9"))
    await store.retry_job("j")
    anew = await store.get_job("j")
    assert (anew.status, anew.attempt, anew.claims, anew.finished_at) == ("queued", 0, 0, None)
    assert (anew.error_type, anew.error, anew.details, anew.output, anew.first_at) == (None,) * 5
    assert await told(store, process) == [], "what its run had not heard is withdrawn"
    last = await take_one(store, process)
    assert (last.attempt, last.epoch) == (1, 3)
    await store.finish_job(JobId("j"), 3, done())
    with raises(RunStateError, match="completed"):
        await store.retry_job("j")
    with raises(UnknownJobError):
        await store.retry_job("nobody")


@check
async def what_a_run_has_heard_of_a_job_stays(desk: Desk) -> None:
    """Its job is not retried any more; and what answers an end that was withdrawn is not recorded."""
    store, process = await put(desk, job("a"), job("b"))
    await take(store, process)
    for one in ("a", "b"):
        await store.finish_job(JobId(one), 1, JobEnd("failed", 1, AT, None, None, "E", "no"))
    first, second = await message_ids(store, process)
    assert await record(store, "r", 1, step(4, type="step_failed"), consumed=[first]) is None
    with raises(RunStateError, match="has heard"):
        await store.retry_job("a")
    await store.retry_job("b")
    verdict = await record(store, "r", 1, step(5, type="step_failed"), consumed=[second])
    assert isinstance(verdict, StoreError)
    assert not isinstance(verdict, LeaseLostError)
    assert [one.job_id for one in await take(store, process)] == ["b"]


@check
async def a_job_that_nobody_awaits_is_retried(desk: Desk) -> None:
    """Also when its run is over; what expired has as long again."""
    store, process = await put(desk, job(awaited=False, expires_at=desk.clock.now + 10), lease=1000)
    assert await record(store, "r", 1, Event(3, "run_completed", AT), status="completed") is None
    desk.clock.now += 10
    assert await take(store, process) == []
    assert (await store.get_job("j")).status == "expired"
    await store.retry_job("j")
    assert (await store.get_job("j")).expires_at == desk.clock.now + 10
    await take(store, process)
    await store.finish_job(JobId("j"), 1, JobEnd("failed", 1, AT, None, None, "E", "no"))
    await store.retry_job("j")
    assert (await take_one(store, process)).attempt == 1


@check
async def a_job_is_discarded(desk: Desk) -> None:
    """Its run is told, and who works it is fenced; one that is finished is removed once its run has heard."""
    store, process = await put(desk, job("a"), job("b"), job("c"))
    await take(store, process, 1)
    await store.discard_job("a")
    await store.discard_job("b")
    assert await store.held_jobs(process) == {}
    with raises(LeaseLostError):
        await store.finish_job(JobId("a"), 1, done())
    ends = await told(store, process)
    assert [(key, end.status, end.attempt) for key, end in ends] == [("0/a", "cancelled", 1), ("0/b", "cancelled", 0)]
    assert {end.error_type for _, end in ends} == {"wfgen.errors.JobDiscardedError"}
    assert {end.details for _, end in ends} == {'{"discarded": true}'}
    with raises(RunStateError, match="has not heard"):
        await store.discard_job("a")
    first, _ = await message_ids(store, process)
    assert await record(store, "r", 1, step(5, type="step_failed"), consumed=[first]) is None
    await store.discard_job("a")
    assert [one.job_id for one in await store.list_jobs()] == ["c", "b"]
    with raises(UnknownJobError):
        await store.discard_job("a")


@check
async def old_jobs_are_removed(desk: Desk) -> None:
    """Once their runs have heard of them; the others go with their runs."""
    store, process = await put(desk, job("a"), job("b", awaited=False), job("c"), job("d"), lease=1e6)
    await take(store, process, 3)
    for one in ("a", "b", "c"):
        await store.finish_job(JobId(one), 1, done())
        desk.clock.now += 1
    first, _ = await message_ids(store, process)
    assert await record(store, "r", 1, step(6), consumed=[first]) is None
    now = desk.clock.now
    assert await store.prune_jobs(now - 3) == []
    assert await store.prune_jobs(now, limit=1) == ["a"]
    assert await store.prune_jobs(now) == ["b"]
    assert await store.prune_jobs(now) == []
    assert await record(store, "r", 1, Event(7, "run_completed", now), status="completed") is None
    desk.clock.now += 10
    assert list(await store.prune(desk.clock.now)) == ["r"]
    assert await store.list_jobs() == []


# Runs that are taken back.


async def completed_before_the_end(desk: Desk) -> tuple[Store, str]:
    """A run whose jobs `a` completed and was heard of, `b` completed, `c` is at work and `d` on its queue."""
    store, process = await put(desk, job("a"), job("b"), job("c"), job("d"), lease=1e6)
    await take(store, process, 3)
    await store.finish_job(JobId("a"), 1, done(b"1"))
    (first,) = await message_ids(store, process)
    heard = Event(6, "step_completed", AT, "0/a", {"form": "rpc"}, b"1")
    assert await record(store, "r", 1, heard, consumed=[first]) is None
    await store.finish_job(JobId("b"), 1, done(b"2"))
    return store, process


@check
async def taking_a_run_back_with_jobs(desk: Desk) -> None:
    """A job that counts and has ended is told of again, one at work goes on, one that does not count is cancelled."""
    store, process = await put(desk, job("a"), lease=1e6)
    await take(store, process)
    assert await record(store, "r", 1, step(3)) is None
    assert await record(store, "r", 1, created(4, "b"), created(5, "c"), jobs=[job("b"), job("c")]) is None
    await take(store, process, 1)
    await store.finish_job(JobId("a"), 1, done(b"1", started_at=AT))
    (first,) = await message_ids(store, process)
    heard = Event(6, "step_completed", AT, "0/a", {"form": "rpc"}, b"1")
    assert await record(store, "r", 1, heard, consumed=[first]) is None
    await store.rollback("r", 3)
    assert "anew" not in (await store.history("r"))[-1].data
    claimed = await claim_one(store, process)
    (message,) = claimed.messages
    assert (message.kind, message.name) == ("job", "0/a")
    assert JobEnd.load(message.payload or b"") == done(b"1")
    assert (await store.get_job("c")).status == "cancelled"
    assert await store.held_jobs(process) == {"b": (1, True)}
    await store.finish_job(JobId("b"), 1, done(b"2"))
    assert [key for key, _ in await told(store, process)] == ["0/a"], "nobody listens to what does not count"


@check
async def jobs_that_were_cancelled_with_their_run_begin_anew(desk: Desk) -> None:
    """A run that is taken up again asks again for what it was waiting for."""
    store, process = await completed_before_the_end(desk)
    await store.terminate("r")
    await store.rollback("r", 6)
    marker = (await store.history("r"))[-1]
    assert (marker.type, marker.data) == ("rolled_back", {"to": 6, "anew": ["0/c", "0/d"]})
    claimed = await claim_one(store, process)
    assert [message.name for message in claimed.messages] == ["0/b"]


@check
async def a_failed_job_begins_anew_when_its_run_is_retried(desk: Desk) -> None:
    """It is another job; of the old one nothing is heard any more."""
    store, process = await put(desk, job(), lease=1e6)
    await take(store, process)
    await store.finish_job(JobId("j"), 1, JobEnd("failed", 1, AT, None, None, "E", "no"))
    (message,) = await message_ids(store, process)
    failed = Event(3, "step_failed", AT, "0/j", {"form": "rpc"})
    over = Event(4, "run_failed", AT, None, {"error_type": "E", "error": "no", "step": "0/j"})
    error = ("E", "no", "WF710")
    assert await record(store, "r", 1, failed, over, consumed=[message], status="failed", error=error) is None
    await store.retry("r")
    assert (await store.history("r"))[-1].data == {"to": 2, "step": "0/j"}
    claimed = await claim_one(store, process)
    assert claimed.messages == []
    assert (await store.get_job("j")).status == "failed"
    again = created(claimed.events[-1].seq + 1, "k")
    assert await record(store, "r", claimed.run.epoch, again, jobs=[job("k", key="0/j")]) is None
    taken = await take_one(store, process)
    await store.finish_job(taken.job_id, 1, done())
    assert await told(store, process) == [("0/j", done())]
