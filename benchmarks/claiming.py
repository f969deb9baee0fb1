"""How long a claim takes in a store that is full of finished and waiting runs, against an empty one."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import psycopg

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.engines import open_store
from wfgen.store.processes import this_process
from wfgen.store.protocol import Store
from wfgen.store.records import Append, NewRun

FINISHED, WAITING = 1_000_000, 10_000
FLOW = ("bench", "1")

_RUNS = """
INSERT INTO wfgen.runs (run_id, workflow, version, status, epoch, created_at, updated_at, finished_at, salt, wake_at)
SELECT 'run_' || md5(n::text), 'bench', '1', CASE WHEN n <= %(finished)s THEN 'completed' ELSE 'waiting' END, 1,
    1.7e9 + n, 1.7e9 + n, CASE WHEN n <= %(finished)s THEN 1.7e9 + n + 1 END, 'salt',
    CASE WHEN n <= %(finished)s THEN 0 ELSE 9e9 + n END
FROM generate_series(1, %(finished)s + %(waiting)s) AS n
"""
_EVENTS = """
INSERT INTO wfgen.events (run, seq, type, time, data, payload)
SELECT run, 1, 'run_started', created_at, '{"workflow":"bench","version":"1"}', '{}'::bytea FROM wfgen.runs
"""


def claim_latency(full: str, empty: str, rounds: int) -> tuple[float, float]:
    """Medians in milliseconds of claiming one run that has come in, in both stores.

    Args:
        full: URL of an empty database, which is filled.
        empty: URL of another one.
        rounds: of 50 claims each, in turns.
    """
    return asyncio.run(_measure(full, empty, rounds))


async def _measure(full: str, empty: str, rounds: int) -> tuple[float, float]:
    environment = Environment()
    stores = [open_store(url, Path(), environment) for url in (full, empty)]
    for store in stores:
        await store.open()
    with psycopg.connect(full, autocommit=True) as connection:
        connection.execute(_RUNS, {"finished": FINISHED, "waiting": WAITING})
        connection.execute(_EVENTS)
        connection.execute("VACUUM ANALYZE")
    processes = []
    for store in stores:
        process = this_process(environment)
        await store.register(process, 60)
        processes.append(process.process_id)
    took: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for store, process_id, found in zip(stores, processes, took, strict=True):
            times = await _claims(store, process_id, number)
            found += times if number else []  # the first round warms up
    for store in stores:
        await store.close()
    return statistics.median(took[0]) * 1000, statistics.median(took[1]) * 1000


async def _claims(store: Store, process_id: str, number: int) -> list[float]:
    times = []
    for claim in range(50):
        run_id = RunId(f"new_{number}_{claim}")
        await store.create(NewRun(run_id, *FLOW, b"{}", "salt"))
        began = time.perf_counter()
        (claimed,) = await store.claim(process_id, [FLOW], 10)
        times.append(time.perf_counter() - began)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        last = Event(claimed.events[-1].seq + 1, "run_completed", time.time())
        store.append(Append(run_id, claimed.run.epoch, [last], status="completed", output=b"1"), done.set_result)
        assert await done is None
    return times
