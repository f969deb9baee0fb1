"""The shop's own database: what really happened, and how often.

`calls` has a row for every time that a worker ran. The tables of effects are keyed by run and step, so that a step
that runs a second time, because the process died before its completion was recorded, has its effect once.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wfgen import Job

DATABASE = Path(os.environ.get("ORDERS_DATABASE", Path(__file__).parent.parent / "orders.db"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (run TEXT, step TEXT, key TEXT, attempt INTEGER, pid INTEGER, at REAL);
CREATE TABLE IF NOT EXISTS effects (run TEXT, key TEXT, kind TEXT, what TEXT, PRIMARY KEY (run, key));
"""


@contextmanager
def connect() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(DATABASE, timeout=30)
    try:
        connection.executescript(SCHEMA)
        with connection:
            yield connection
    finally:
        connection.close()


def happen(job: Job, kind: str, what: str) -> None:
    """Record the call, and its effect unless this very step has had it."""
    with connect() as connection:
        connection.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?)",
            (job.run_id, job.step, job.key, job.attempt, os.getpid(), time.time()),
        )
        connection.execute("INSERT OR IGNORE INTO effects VALUES (?, ?, ?, ?)", (job.run_id, job.key, kind, what))
