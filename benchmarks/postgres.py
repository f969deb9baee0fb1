"""The section on PostgreSQL: one server, started for it, fsync on; each round measures both sides on it."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import server
from claiming import claim_latency

Row = tuple[str, str, float, str, bool]


def rows(rounds: int, peers: Callable[[], Path], run: Callable[..., dict[str, float]]) -> list[Row]:
    """Steps per second against DBOS and raw commits, several processes, jobs, and a store with a million runs.

    Args:
        rounds: how often each pair is measured.
        peers: gives the interpreter of the peers' environment.
        run: runs a script with an interpreter on a place, and gives its figures.
    """
    peer, here = peers(), Path(sys.executable)
    subprocess.run([here, "-c", "import wfgen.store.postgres"], check=True)  # compiled before it is measured
    ours, dbos, raw, one, two, jobs = [], [], [], [], [], []
    with server.postgres() as url:

        def fresh(python: Path, script: str, *arguments: object) -> dict[str, float]:
            with server.database(url, "bench_fresh") as place:
                return run(python, script, *arguments, place=place)

        for _ in range(rounds):
            ours.append(fresh(here, "steps_wfgen.py", 150, 100))
            raw.append(fresh(here, "commits_postgres.py", 2000))
            dbos.append(fresh(peer, "steps_dbos.py", 60, 100))
            one.append(fresh(here, "steps_many.py", 1, 120))
            two.append(fresh(here, "steps_many.py", 2, 120))
            jobs.append(fresh(here, "job_latency.py", 100))
        with server.database(url, "bench_full") as full, server.database(url, "bench_empty") as empty:
            latencies = claim_latency(full, empty, max(rounds, 5))

    def median(figures: list[dict[str, float]], name: str) -> float:
        return statistics.median(f[name] for f in figures)

    def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], name: str) -> float:
        return statistics.median(o[name] / t[name] for o, t in zip(ours, theirs, strict=True))

    many, single, scale = ratio(ours, dbos, "many"), ratio(ours, raw, "one"), ratio(two, one, "rate")
    p50, full_ms, empty_ms = median(jobs, "p50"), *latencies
    return [
        (
            f"PostgreSQL: ten-step runs, 100 at once, one process: {median(ours, 'many'):,.0f} steps/s",
            f"DBOS on the same PostgreSQL: {median(dbos, 'many'):,.0f}/s",
            many,
            ">= 20",
            many >= 20,
        ),
        (
            f"PostgreSQL: one at a time: {median(ours, 'one'):,.0f} steps/s",
            f"single-row commits on it: {median(raw, 'one'):,.0f}/s",
            single,
            ">= 0.4",
            single >= 0.4,
        ),
        (
            "the same",
            f"DBOS on the same PostgreSQL: {median(dbos, 'one'):,.0f}/s",
            ratio(ours, dbos, "one"),
            "",
            True,
        ),
        (
            f"two worker processes, steps of 5 ms: {median(two, 'rate'):,.0f} steps/s",
            f"one process: {median(one, 'rate'):,.0f}/s",
            scale,
            ">= 1.7",
            scale >= 1.7,
        ),
        ("the smaller share of the two, of the runs", "", median(two, "least share"), "", True),
        (
            f"job put on its queue until another process begins it, p50 in ms (p99 {median(jobs, 'p99'):.1f})",
            "",
            p50,
            "<= 5",
            p50 <= 5,
        ),
        (
            f"claim with 1,000,000 finished and 10,000 waiting runs in the store: {full_ms:.2f} ms",
            f"empty store: {empty_ms:.2f} ms",
            full_ms / empty_ms,
            "<= 1.5",
            full_ms / empty_ms <= 1.5,
        ),
    ]
