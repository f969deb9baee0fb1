"""Jobs as people see them and what they do to them; and what becomes of jobs when their run is taken back."""

from __future__ import annotations

import dataclasses
from typing import Any

from wfgen.errors import LeaseLostError, RunStateError, StoreError, UnknownJobError
from wfgen.events import Event
from wfgen.ids import JobId
from wfgen.store.jobs import JobEnd
from wfgen.store.protocol import Store
from wfgen.testing.stores.desk import Desk, check, claim_one, new, raises, record, step
from wfgen.testing.stores.job_desk import AT, WORKER, created, done, job, message_ids, put, take, take_one, told

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
