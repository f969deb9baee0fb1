"""A PostgreSQL store with many rows: what is asked of it reads what it gives, and never a table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from wfgen.environment import Environment
from wfgen.ids import RunId
from wfgen.store.postgres.store import PostgresStore
from wfgen.testing.stores.desk import Desk, new

from ..postgres import plain, schema

RUNS, JOBS = 10_000, 6_000
FLOWS = [(f"flow{number}", "1") for number in range(5)]
WORKERS = [f"w{number}" for number in range(10)]

FILL = f"""
ALTER TABLE runs SET (autovacuum_enabled = off);  -- it reads, too
ALTER TABLE events SET (autovacuum_enabled = off);
ALTER TABLE tags SET (autovacuum_enabled = off);
ALTER TABLE jobs SET (autovacuum_enabled = off);
INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, finished_at, salt, idempotency_key,
        error_code, tags, epoch, wake_at, owner)
    SELECT 'r' || n, 'flow' || n % 5, '1', CASE WHEN n > {RUNS - 500} THEN 'waiting' WHEN n % 7 = 0 THEN 'failed'
        ELSE 'completed' END, n, n + 5, CASE WHEN n <= {RUNS - 500} THEN n + 5 END, 'salt', 'k' || n,
        CASE WHEN n % 7 = 0 THEN 'WF710' END, '["t"]', 1, CASE WHEN n % 50 = 0 THEN 0 ELSE 1e12 END, NULL
    FROM generate_series(1, {RUNS}) AS n;
INSERT INTO tags SELECT 't', created_at, run FROM runs;
INSERT INTO events (run, seq, type, time, key) SELECT run, seq, CASE seq WHEN 1 THEN 'run_started' ELSE 'step_completed'
        END, created_at, CASE seq WHEN 2 THEN '0/step' END FROM runs, generate_series(1, 2) AS seq;
INSERT INTO jobs (job_id, run, part, queue, worker, key, name, status, policy, idempotency_key, awaited, at_most_once,
        attempt, due, created_at, updated_at, expires_at, finished_at)
    SELECT 'j' || n, run, 1, workflow || '.step', 'w' || n % 10, '0/step', 'step', CASE WHEN n % 2 = 0 THEN 'queued'
        ELSE 'completed' END, '{{}}', 'i', true, false, n % 2, n, n, n, CASE WHEN n % 6 = 0 THEN 1e12 END,
        CASE WHEN n % 2 = 1 THEN n END
    FROM generate_series(1, {JOBS}) AS n JOIN runs ON run_id = 'r' || n;
ANALYZE;
"""

READ = """
SELECT coalesce((SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = current_schema()), 0),
    coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = current_schema()), 0)
"""

Question = Callable[[PostgresStore, str], Awaitable[Any]]

QUESTIONS: dict[str, tuple[Question, int]] = {
    "claim": (lambda store, process: store.claim(process, FLOWS, 10), 10),
    "next_wake": (lambda store, _: store.next_wake(FLOWS), 1),
    "list_runs": (lambda store, _: store.list_runs(limit=10), 10),
    "list_runs before": (lambda store, _: store.list_runs(limit=10, before="r5000"), 10),
    "list_runs of a workflow": (lambda store, _: store.list_runs(limit=10, workflow="flow3"), 10),
    "list_runs failed": (lambda store, _: store.list_runs(limit=10, status=["failed"], until=5000.0), 10),
    "list_runs waiting": (lambda store, _: store.list_runs(limit=10, status=["waiting"]), 10),
    "list_runs by tag": (lambda store, _: store.list_runs(limit=10, tag="t"), 10),
    "list_runs by key": (lambda store, _: store.list_runs(idempotency_key="k9"), 1),
    "list_runs by code": (lambda store, _: store.list_runs(limit=10, error_code="WF710"), 10),
    "list_runs of a parent": (lambda store, _: store.list_runs(parent="r5"), 0),
    "workflows": (lambda store, _: store.workflows(), 5),
    "get_run": (lambda store, _: store.get_run("r777"), 1),
    "history": (lambda store, _: store.history("r777"), 2),
    "hooks": (lambda store, _: store.hooks(), 0),
    "messages": (lambda store, process: store.messages(process), 2),
    "send": (lambda store, _: store.send("cancel", run_id=RunId(f"r{RUNS}")), 1),
    "terminate": (lambda store, _: store.terminate(f"r{RUNS}"), 1),
    "rollback": (lambda store, _: store.rollback("r700", 2), 1),
    "create": (lambda store, process: store.create(new("one more", idempotency_key="mine"), process), 2),
    "claim_jobs": (lambda store, process: store.claim_jobs(process, WORKERS, 10), 10),
    "claim_jobs of a queue": (lambda store, process: store.claim_jobs(process, ["w4"], 10, queues=["flow4.*"]), 10),
    "next_job": (lambda store, _: store.next_job(WORKERS), 1),
    "list_jobs": (lambda store, _: store.list_jobs(limit=10), 10),
    "list_jobs of a run": (lambda store, _: store.list_jobs(run_id="r300"), 1),
    "held_jobs": (lambda store, _: store.held_jobs("nobody"), 0),
    "prune": (lambda store, _: store.prune(5000.0, limit=10), 10),
    "prune_jobs": (lambda store, _: store.prune_jobs(5000.0, limit=10), 10),
}
"""What is asked, and how many the answer has: one, unless it can be counted."""


@pytest.fixture(scope="module")
def filled_url(postgres_server: str) -> Iterator[str]:
    """A schema with many runs that are over, few that are not, and many jobs."""
    with schema(postgres_server) as url:
        _ask(url, lambda store, process: store.messages(process))  # makes the tables
        with psycopg.connect(plain(url), autocommit=True) as connection:
            connection.execute(FILL.encode())
        yield url


def _ask(url: str, question: Question) -> Any:
    async def main() -> Any:
        desk = Desk(lambda _: PostgresStore(url, Environment()))
        store: Any = await desk.open()
        try:
            process = await desk.register(store)
            return await question(store, process)
        finally:
            await desk.close()

    return asyncio.run(main())


def _read(url: str) -> tuple[int, int]:
    """Rows that were read of tables as such, and entries of indexes, until now; once all who have read are gone."""
    until = time.monotonic() + 60
    with psycopg.connect(plain(url), autocommit=True) as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        while connection.execute(others).fetchone() != (0,):
            assert time.monotonic() < until
            time.sleep(0.002)
        row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_asked_is_found(filled_url: str, name: str) -> None:
    """B22: entries of indexes that are read grow with the answer, and with the workflows or workers asked for."""
    question, wanted = QUESTIONS[name]
    tables, entries = _read(filled_url)
    answer = _ask(filled_url, question)
    assert (len(answer) if hasattr(answer, "__len__") and not isinstance(answer, str) else 1) == wanted
    tables, entries = (after - before for after, before in zip(_read(filled_url), (tables, entries), strict=True))
    assert tables < 100  # small ones, such as that of processes
    assert entries < 1000
