"""Hearing of others: by notification, and without; and the database's time."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from wfgen.environment import SystemClock
from wfgen.ids import JobId, RunId
from wfgen.store.postgres import listening
from wfgen.store.postgres.clock import DatabaseClock
from wfgen.store.records import ANY_CHANGE
from wfgen.testing.stores.desk import FLOW, new, record, step
from wfgen.testing.stores.job_desk import job

from ...postgres import plain
from .worlds import ask, opened, play, registered, until


def test_what_was_missed_is_told_after_a_lost_connection(emptied_schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """B14: Who listens and loses the connection makes another one, looks once, and hears again."""
    url = emptied_schema
    monkeypatch.setattr(listening, "_RARELY", 600.0)  # it is told, or never hears of it

    async def story() -> None:
        async with opened(url, 2) as (one, two):
            told = asyncio.Event()
            one.on_change(lambda _: told.set())
            with psycopg.connect(plain(url), autocommit=True) as admin:
                old = one._listener._connection.info.backend_pid
                assert ask(admin, "SELECT pg_terminate_backend(%s, 5000)", old)
            await told.wait()
            await until(lambda: one._listener._connection is not None)
            assert one._listener._connection.info.backend_pid != old
            await asyncio.sleep(0.05)  # what it tells at most once in
            told.clear()
            await two.create(new("r1"))
            await told.wait()

    play(story)


def test_it_says_what_there_is_to_look_at(emptied_schema: str) -> None:
    """B14: Who works runs is not told of jobs, and nobody of a run that goes on where it is."""

    async def story() -> None:
        async with opened(emptied_schema, 2) as (one, two):
            heard: set[str] = set()
            one.on_change(heard.update)
            process = await registered(two)

            async def said(*changes: str) -> None:
                await until(lambda: heard.issuperset(changes))
                assert heard == set(changes)
                heard.clear()

            await two.create(new("r1"))
            await said("runs")
            await two.claim(process, [FLOW], 1)
            assert await record(two, "r1", 1, step(2)) is None
            await two.send("cancel", run_id=RunId("r1"))
            await said("messages")
            assert await record(two, "r1", 1, step(3, type="job_created"), jobs=[job("j", awaited=False)]) is None
            await said("jobs")
            await two.retry_job(JobId("j"))
            await said("jobs")
            assert await record(two, "r1", 1, step(4, type="run_completed"), status="completed") is None
            await said("ends")
            await two.create(new("r2"), process)
            await two.release(RunId("r2"), 1)
            await said("runs")
            await two.terminate("r2")
            await said("runs", "ends")
            two.renew(process, -60)
            await one.claim(await registered(one), [FLOW], 1)
            await said(*ANY_CHANGE)  # also to whom took it from the dead: it may be work of its own that has ended

    play(story)


def test_without_notifications_it_looks_often(emptied_schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """B14: Where notifications do not come through, as behind some poolers, changes are told nevertheless."""
    monkeypatch.setattr(listening, "_HEARD", 0.05)
    monkeypatch.setattr(listening, "_LISTEN", "UNLISTEN {}")

    async def story() -> None:
        async with opened(emptied_schema, 2) as (one, two):
            assert not one._listener._hears
            told = asyncio.Event()
            one.on_change(lambda _: told.set())
            await two.create(new("r1"))
            await told.wait()

    play(story)


def test_time_is_the_database_s(postgres_url: str) -> None:
    """What is recorded, due and leased goes by the server's clock, however wrong the machine's own is."""
    day = 86400.0

    async def story() -> None:
        async with opened(postgres_url):
            pass
        with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
            admin.execute(
                "CREATE OR REPLACE FUNCTION now_seconds() RETURNS double precision LANGUAGE sql VOLATILE AS"
                " $$ SELECT extract(epoch FROM clock_timestamp())::double precision + 86400 $$"
            )
            async with opened(postgres_url) as store:
                run, _ = await store.create(new("r1"))
                before, there = SystemClock().time() + day, float(ask(admin, "SELECT now_seconds()"))
                now = store.clock.time()
                after, later = SystemClock().time() + day, float(ask(admin, "SELECT now_seconds()"))
                assert there - 1 < now < later + 1
                assert before - 1 < now < after + 1
                assert there - 60 < run.created_at < there + 1
                assert (await store.history(RunId("r1")))[0].time == run.created_at

    play(story)


class Stopped:
    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now + 1000

    def monotonic(self) -> float:
        return self.now


def test_the_quickest_look_counts() -> None:
    """A look that took long says little; one that shows that a clock was set says all."""
    own = Stopped()
    clock = DatabaseClock(own)
    assert clock.time() == 1100
    clock.saw(99.98, 100, 5000)
    assert clock.time() == pytest.approx(5000.01)
    clock.saw(90, 100, 4999)  # somewhere in ten seconds
    assert clock.time() == pytest.approx(5000.01)
    own.now = 160
    assert clock.time() == pytest.approx(5060.01)
    clock.saw(159.98, 160, 8000)
    assert clock.time() == pytest.approx(8000.01)
    assert clock.monotonic() == 160
