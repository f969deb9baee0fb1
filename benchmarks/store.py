"""How fast events are appended to the SQLite store, against SQLite itself on the same disk in the same run.

    python benchmarks/store.py [--folder FOLDER]

Both sides make each commit durable (write-ahead log, `synchronous=FULL`) and write rows of the same size. Shown are
medians of several rounds that alternate between the sides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.processes import this_process
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import SQLiteStore

DATA = {"form": "inline", "target": "flows.tax", "attempt": 1, "started_at": 1789000000.25, "at": "flows/a.py:12"}
PAYLOAD = b'{"amount":12.5}'


def raw_single(path: Path, events: int) -> float:
    """Events a second that plain SQLite commits one by one."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE events (run INTEGER, seq INTEGER, type TEXT, time REAL, key TEXT, data TEXT, payload BLOB,"
        " PRIMARY KEY (run, seq)) WITHOUT ROWID"
    )
    data = json.dumps(DATA)
    started = time.perf_counter()
    for seq in range(events):
        connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
            (1, seq, "step_completed", time.time(), "0/charge", data, PAYLOAD),
        )
    rate = events / (time.perf_counter() - started)
    connection.close()
    return rate


async def store(path: Path, runs: int, events: int) -> float:
    """Events a second with this many runs, each of which waits for its last append before the next."""
    environment = Environment()
    store = SQLiteStore(path, environment)
    await store.open()
    process = this_process(environment)
    await store.register(process, 60)
    for number in range(runs):
        await store.create(NewRun(RunId(f"run-{number}"), "bench", "1", b"{}", "salt"))
    claimed = await store.claim(process.process_id, [("bench", "1")], runs)
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = runs

    def work(run_id: RunId, epoch: int) -> None:
        seq = 1

        def proceed(verdict: Verdict) -> None:
            nonlocal seq, left
            if verdict is not None:
                finished.set_exception(verdict)
            elif seq <= events:
                seq += 1
                event = Event(seq, "step_completed", time.time(), "0/charge", DATA, PAYLOAD)
                store.append(Append(run_id, epoch, [event]), proceed)
            else:
                left -= 1
                if left == 0:
                    finished.set_result(None)

        proceed(None)

    started = time.perf_counter()
    for one in claimed:
        work(one.run.run_id, one.run.epoch)
    await finished
    rate = runs * events / (time.perf_counter() - started)
    await store.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure appends to the SQLite store against SQLite itself.")
    parser.add_argument("--folder", type=Path, help="where the files are made (default: the system's temporary folder)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sides: dict[str, list[float]] = {"raw, one at a time": [], "store, 1 run": [], "store, 100 runs": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            sides["raw, one at a time"].append(raw_single(folder / "raw.db", 3000))
            sides["store, 1 run"].append(asyncio.run(store(folder / "one.db", 1, 3000)))
            sides["store, 100 runs"].append(asyncio.run(store(folder / "many.db", 100, 300)))
    raw = statistics.median(sides["raw, one at a time"])
    for side, rates in sides.items():
        rate = statistics.median(rates)
        print(f"{side:20} {rate:10,.0f} events/s {rate / raw:8.2f} times raw")


if __name__ == "__main__":
    main()
