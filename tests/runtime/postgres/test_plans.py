"""Plans that are made when a store is new are right for years: what is written is found one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.testing.stores.desk import FLOW, hook, new, record, step

from ...postgres import plain, schema
from .worlds import ask, opened, play, registered

FILL = """
INSERT INTO runs (run_id, workflow, version, status, owner, epoch, created_at, updated_at, salt, wake_at)
    SELECT 'held' || n, 'flow', '1', 'waiting', 'somebody', 1, n, n, 's', 'Infinity' FROM generate_series(1, 3000) AS n;
INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, salt, wake_at)
    SELECT 'free' || n, 'flow', '1', 'waiting', n, n, 's', 'Infinity' FROM generate_series(1, 3000) AS n;
INSERT INTO events (run, seq, type, time) SELECT run, 1, 'run_started', 0 FROM runs ON CONFLICT DO NOTHING;
INSERT INTO hooks (token, run, key, name, state, created_at) SELECT run_id, run, 'k', 'n', 'open', 0 FROM runs
    ON CONFLICT DO NOTHING;
INSERT INTO messages (run, kind) SELECT run, 'hook' FROM runs WHERE owner = 'somebody';
"""
READ = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = current_schema()"


@pytest.fixture
def new_url(postgres_server: str) -> Iterator[str]:
    """A schema that nobody has used, without statistics."""
    with schema(postgres_server) as url:
        yield url


def test_a_plan_of_the_first_day_stays_right(new_url: str) -> None:
    """B22: A store that was opened when it was empty works one run as cheaply among thousands."""
    rounds = 20

    async def work(store: Any, process: str, name: str) -> None:
        await store.create(new(name))
        ((claimed),) = await store.claim(process, [FLOW], 10)
        seq = claimed.events[-1].seq + 1
        child = new(f"{name}.child", parent=(RunId(name), "0/call"), on_parent_end="cancel")
        assert await record(store, name, 1, step(seq), children=[child], opened=[hook(name, f"t{name}")]) is None
        assert await record(store, name, 1, status="waiting", wake_at=0.0) is None
        await store.release(RunId(name), 1)
        taken = await store.claim(process, [FLOW], 10)
        assert sorted(one.run.run_id for one in taken) == [name, f"{name}.child"]
        for one in sorted(taken, key=lambda one: one.run.run_id, reverse=True):
            run = one.run
            ending = Event(one.events[-1].seq + 1, "run_completed", 1.0)
            assert await record(store, run.run_id, run.epoch, ending, status="completed") is None

    async def story() -> None:
        with psycopg.connect(plain(new_url), autocommit=True) as connection:
            async with opened(new_url) as store:
                process = await registered(store)
                for n in range(10):
                    await work(store, process, f"early{n}")
            async with opened(new_url) as store:
                process = await registered(store)
                for n in range(10):
                    await work(store, process, f"small{n}")
                connection.execute(FILL.encode())
                for n in range(rounds):
                    await work(store, process, f"late{n}")
            end = time.monotonic() + 60
            while ask(connection, "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user") > 1:
                assert time.monotonic() < end
                await asyncio.sleep(0.01)
            read = ask(connection, READ)
        assert read < 6000 * 2 + rounds * 500, "the filling reads each run twice"

    play(story)
