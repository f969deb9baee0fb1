"""Connections that are lost when a commit is under way: nobody knows at first whether it was made."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from wfgen.errors import LeaseLostError, StoreUnreachableError
from wfgen.ids import RunId
from wfgen.store.postgres.connections import Connection
from wfgen.store.records import Append
from wfgen.testing.stores.desk import FLOW, enqueue, new, record, step

from ...postgres import plain
from ...proxy import Proxy, proxy
from .worlds import Gate, ask, gate, opened, play, registered, until


async def lose_answer(held: Gate, network: Proxy) -> None:
    """The commit that waits at a gate is made, and its client, which is cut off, never hears of it."""
    await until(lambda: held.waiting)
    network.black_hole()
    held.open()
    await until(lambda: not held.waiting)
    network.cut()
    network.heal()


@pytest.mark.parametrize("finishes", [False, True])
def test_an_append_that_was_recorded_is_not_refused(emptied_schema: str, finishes: bool) -> None:
    """F7: The answer to an append is lost; it is found to be recorded, once, also if it has ended the run."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network, psycopg.connect(plain(url), autocommit=True) as look:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                await store.create(new("r1"), process)
                with gate(url, "events") as held:
                    held.close()
                    append = Append(RunId("r1"), 1, [step(2, data={"é": [1]}, payload=b"\x00")])
                    if finishes:
                        append.status, append.output = "completed", b"1"
                    told = enqueue(store, append)
                    await lose_answer(held, network)
                    assert await told == [None]
                assert ask(look, "SELECT count(*) FROM events") == 2
                verdict = await record(store, "r1", 1, step(3))
                assert isinstance(verdict, LeaseLostError) if finishes else verdict is None

    play(story)


def test_an_append_that_was_under_way_is_recorded_once(emptied_schema: str) -> None:
    """F7: The connection is lost before the commit; what the old one still does ends before the append is repeated."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network, psycopg.connect(plain(url), autocommit=True) as look:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                await store.create(new("r1"), process)
                with gate(url, "events") as held:
                    held.close()
                    told = enqueue(store, Append(RunId("r1"), 1, [step(2)]), Append(RunId("r1"), 1, status="waiting"))
                    await until(lambda: held.waiting)
                    old = held.waiting
                    network.cut()
                    await until(lambda: held.waiting and not held.waiting & old)
                    assert ask(look, "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [*old]) == 0
                    held.open()
                    assert await told == [None, None]
                assert [event.seq for event in await store.history("r1")] == [1, 2]
                assert (await store.get_run("r1")).status == "waiting"

    play(story)


def test_an_append_is_resolved_when_the_server_is_there_again(emptied_schema: str) -> None:
    """F7: While nobody answers, the verdict is WF807; the same append, tried again, finds that it was recorded."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                await store.create(new("r1"), process)
                append = Append(RunId("r1"), 1, [step(2)])
                with gate(url, "events") as held:
                    held.close()
                    told = enqueue(store, append)
                    await until(lambda: held.waiting)
                    network.black_hole()
                    held.open()
                    await until(lambda: not held.waiting)
                    network.refuse()
                    network.cut()
                    (verdict,) = await told
                assert isinstance(verdict, StoreUnreachableError)
                (verdict,) = await enqueue(store, Append(RunId("r1"), 1, [step(3)]))
                assert isinstance(verdict, StoreUnreachableError)
                network.heal()
                assert await enqueue(store, append) == [None]
                assert await record(store, "r1", 1, step(2)) is not None, "that is another one"
                assert await record(store, "r1", 1, step(3)) is None

    play(story)


def test_a_start_is_found_again(emptied_schema: str) -> None:
    """The answer to a start is lost: the run is there once, held by the process that it was started for."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                with gate(url, "runs") as held:
                    held.close()
                    start = asyncio.create_task(store.create(new("r1"), process))
                    await lose_answer(held, network)
                    found, created = await start
                assert (created, found.owner, found.epoch) == (True, process, 1)
                assert await record(store, "r1", 1, step(2)) is None

    play(story)


def test_a_claim_of_which_nothing_was_heard_is_given_back(emptied_schema: str) -> None:
    """B13: The answer to a claim is lost: its runs are not held for ever by a process that does not know of them."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                await store.create(new("r1"))
                with gate(url, "runs") as held:
                    held.close()
                    claim = asyncio.create_task(store.claim(process, [FLOW], 10))
                    await lose_answer(held, network)
                    with pytest.raises(StoreUnreachableError, match="may be tried again"):
                        await claim
                assert (await store.get_run("r1")).owner == process
                (claimed,) = await store.claim(process, [FLOW], 10)
                assert (claimed.run.epoch, claimed.run.claims) == (2, 1)
                assert await record(store, "r1", 2, step(claimed.events[-1].seq + 1)) is None

    play(story)


def test_a_claim_that_is_still_under_way_is_ended(emptied_schema: str) -> None:
    """B13: The commit of a lost claim may come late: it is made to fail before the next claim looks."""
    url = emptied_schema

    async def story() -> None:
        with proxy(url) as network:
            async with opened(network.url(url)) as store:
                process = await registered(store)
                await store.create(new("r1"))
                with gate(url, "runs") as held:
                    held.close()
                    claim = asyncio.create_task(store.claim(process, [FLOW], 10))
                    await until(lambda: held.waiting)
                    old = held.waiting
                    network.cut()
                    with pytest.raises(StoreUnreachableError):
                        await claim
                    again = asyncio.create_task(store.claim(process, [FLOW], 10))
                    await until(lambda: held.waiting and not held.waiting & old)
                    held.open()
                    (claimed,) = await again
                assert claimed.run.epoch == 1
                assert await record(store, "r1", 1, step(2)) is None

    play(story)


def test_a_process_that_stands_still_holds_nobody_up_for_long(emptied_schema: str) -> None:
    """B14: What it has locked in a transaction is free after its lease, even if its machine does not say a word."""
    url = emptied_schema

    async def story() -> None:
        async with opened(url, 2) as (one, two):
            one._connections.patience = two._connections.patience = 600.0  # as long as nobody has registered
            await registered(one, lease=0.3)
            await one.create(new("r1"))
            locked = asyncio.Event()

            async def stand_still(connection: Connection) -> None:
                await connection.execute("SELECT 1 FROM runs FOR UPDATE")
                locked.set()
                await asyncio.sleep(600)

            standing = asyncio.create_task(one._write(stand_still))
            await locked.wait()
            await two.terminate("r1")
            standing.cancel()
            await asyncio.gather(standing, return_exceptions=True)

    play(story)
