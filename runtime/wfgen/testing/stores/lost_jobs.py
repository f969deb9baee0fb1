"""Jobs that do not come to their own end: their process is gone, nobody takes them, or nobody waits for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wfgen.errors import LeaseLostError
from wfgen.events import Event
from wfgen.ids import JobId
from wfgen.store.jobs import JobEnd
from wfgen.testing.stores.desk import FLOW, Desk, check, raises, record, step
from wfgen.testing.stores.job_desk import AT, WORKER, done, job, put, take, take_one, told

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
    """Whoever claims ends it, whatever it claims, and if it is nothing; one that was begun does not expire."""
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
    assert await store.claim_jobs(process, [WORKER], 0) == []
    assert (await store.get_job("c")).status == "expired"
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
