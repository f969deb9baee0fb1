"""Opening a store in a database: its tables are made, brought up to date, or left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from wfgen.environment import Environment
from wfgen.errors import StoreError, StoreFormatError, StoreVersionError
from wfgen.store.postgres.schema import MIGRATIONS
from wfgen.store.postgres.store import PostgresStore
from wfgen.testing.stores.desk import FLOW, new, record, step

from ...postgres import plain
from .worlds import ask, opened, play, registered


def test_an_older_store_is_brought_up_to_date(postgres_url: str) -> None:
    """What is in it stays; each further version is applied once, however many open it at the same time."""
    newer = (*MIGRATIONS, "CREATE TABLE added (n bigint); INSERT INTO added VALUES (1);")

    async def story() -> None:
        async with opened(postgres_url) as store:
            await store.create(new("r1"))
        stores = [PostgresStore(postgres_url, Environment(), migrations=newer) for _ in range(4)]
        assert list((await stores[0].schema()).pending) == [len(newer)]
        await asyncio.gather(*[store.open() for store in stores])
        assert (await stores[0].get_run("r1")).status == "pending"
        assert list((await stores[0].schema()).pending) == []
        for store in stores:
            await store.close()
        with psycopg.connect(plain(postgres_url), autocommit=True) as look:
            assert ask(look, "SELECT count(*) FROM added") == 1

    play(story)


def test_an_empty_schema_is_filled_once(postgres_url: str) -> None:
    """Of many that open at the same time one makes the tables."""

    async def story() -> None:
        async with opened(postgres_url, 5) as stores:
            await asyncio.gather(*[stores[n].create(new(f"r{n}")) for n in range(5)])
            assert len(await stores[0].list_runs()) == 5

    play(story)


def test_a_newer_store_is_refused(postgres_url: str) -> None:
    """D16: An older wfgen neither changes nor works what a newer one has made."""

    async def story() -> None:
        async with opened(postgres_url):
            pass
        with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
            admin.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
            with pytest.raises(StoreVersionError, match=r"version 99.*Upgrade wfgen-runtime"):
                await PostgresStore(postgres_url, Environment()).open()
            assert ask(admin, "SELECT value FROM meta WHERE name = 'version'") == "99"

    play(story)


def test_a_schema_of_something_else_is_left_alone(postgres_url: str) -> None:
    """Tables of another program are no store, and nothing is put beside them."""

    async def story() -> None:
        with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
            admin.execute(f"CREATE SCHEMA {admin.info.user}".encode())
            admin.execute("CREATE TABLE runs (n bigint)")
            with pytest.raises(StoreFormatError, match=r"something else.*schema of its own"):
                await PostgresStore(postgres_url, Environment()).open()
            assert ask(admin, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 1

    play(story)


def test_two_applications_share_a_database(postgres_url: str) -> None:
    """Each has a schema, with whatever name: what one does, the other neither sees nor hears."""
    other_url = postgres_url.replace("schema=", "schema=Ü%20%22x%22%25_")

    async def story() -> None:
        async with opened(postgres_url) as one, opened(other_url) as other:
            heard = []
            other.on_change(heard.append)
            process = await registered(one)
            await one.create(new("r1", idempotency_key="k"))
            assert [claimed.run.run_id for claimed in await one.claim(process, [FLOW], 10)] == ["r1"]
            assert await record(one, "r1", 1, step(2)) is None
            assert await other.list_runs() == []
            assert await other.processes() == []
            found, created = await other.create(new("r2", idempotency_key="k"))
            assert (found.run_id, created) == ("r2", True)
            assert await other.claim(await registered(other), [FLOW], 10) != []
            await asyncio.sleep(0.1)
            assert heard == []

    play(story)


def test_a_store_is_opened_once_and_used_on_its_loop(emptied_schema: str) -> None:
    """Opening it twice, and using it from another loop, say what is wrong."""

    async def story() -> None:
        async with opened(emptied_schema) as store:
            with pytest.raises(StoreError, match="open already"):
                await store.open()

            def elsewhere() -> Any:
                return asyncio.run(store.list_runs())

            with pytest.raises(StoreError, match=r"another event loop.*run_coroutine_threadsafe"):
                await asyncio.to_thread(elsewhere)

    play(story)


def test_a_store_for_reading_alone_changes_nothing(postgres_url: str) -> None:
    """It makes no tables, refuses what writes, and knows the server's time."""

    async def story() -> None:
        reader = PostgresStore(postgres_url, Environment(), read_only=True)
        with pytest.raises(StoreError, match="no store"):
            await reader.open()
        async with opened(postgres_url) as store:
            await store.create(new("r1"))
        await reader.open()
        assert [run.run_id for run in await reader.list_runs()] == ["r1"]
        with pytest.raises(StoreError, match="reading alone"):
            await reader.create(new("r2"))
        with pytest.raises(StoreError, match="reading alone"):
            await reader.terminate("r1")
        await reader.close()

    play(story)
