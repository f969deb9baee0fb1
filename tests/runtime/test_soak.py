"""Real processes under a mixed load while some of them are killed. `WFGEN_TEST_SOAK=600` goes on for ten minutes."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

CHILD = Path(__file__).with_name("soak_child.py")
SECONDS = float(os.environ.get("WFGEN_TEST_SOAK", "4"))
PAGE = os.sysconf("SC_PAGE_SIZE")


@define_workflow
async def mixed(workflow: Workflow, number: int) -> list[object]:
    raise AssertionError("the children work it")


def worker(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(CHILD), str(folder)], stdin=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=60)


def memory(process: subprocess.Popen[bytes]) -> float:
    """What a process occupies, in MB."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 1e6


async def at_work(engine: Engine, workers: list[subprocess.Popen[bytes]]) -> list[subprocess.Popen[bytes]]:
    """Those that hold runs now."""
    owners = {run.owner for run in await engine.store.list_runs(status=["running", "waiting"], limit=500)}
    holders = {process.pid for process, _ in await engine.store.processes() if process.process_id in owners}
    return [one for one in workers if one.pid in holders]


def taken_over(folder: Path) -> set[str]:
    """Runs that more than one process has held."""
    store = sqlite3.connect(folder / ".wfgen" / "wfgen.db")
    found = {run for (run,) in store.execute("SELECT run_id FROM runs WHERE epoch > 1")}
    store.close()
    return found


async def load(engine: Engine, folder: Path, workers: list[subprocess.Popen[bytes]]) -> list[float]:
    """Start runs and kill workers that hold some, all but the first; gives the first one's memory over time."""
    source = random.Random(7)
    sizes: list[float] = []
    number = 0
    until = time.monotonic() + SECONDS
    next_kill = time.monotonic() + 1
    while time.monotonic() < until or (not taken_over(folder) and time.monotonic() < until + 60):
        for _ in range(10):
            number += 1
            run = await engine.start_run("mixed", number)
            await engine.controls.resume_hook_json('"now"', run_id=run.id, name="word")
        open_runs = len(await engine.store.list_runs(status=["pending", "running", "waiting"], limit=200))
        await asyncio.sleep(0.1 if open_runs < 150 else 0.5)
        sizes.append(memory(workers[0]))
        busy = await at_work(engine, workers[1:]) if time.monotonic() > next_kill else []
        if busy:
            next_kill = time.monotonic() + source.uniform(0.5, 2)
            victim = workers.index(source.choice(busy))
            workers[victim].kill()
            workers[victim].wait()
            end(workers[victim])
            workers[victim] = worker(folder)
    return sizes


def test_a_mixed_load_with_kills(tmp_path: Path) -> None:
    """F7, E5: every run ends as it should, no completed step runs again, and memory stays where it is."""
    connection = sqlite3.connect(tmp_path / "effects.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE calls (run TEXT, key TEXT, pid INTEGER)")
    workers = [worker(tmp_path) for _ in range(3)]
    registry = Registry("none")
    registry.collect(globals())

    async def main() -> list[float]:
        async with open_engine(registry, Settings(project=tmp_path), work=False) as engine:
            sizes = await load(engine, tmp_path, workers)
            async with asyncio.timeout(60 + SECONDS / 2):
                while await engine.store.list_runs(status=["pending", "running", "waiting"], limit=1):
                    await asyncio.sleep(0.1)
            return sizes

    try:
        sizes = asyncio.run(main())
    finally:
        for process in workers:
            end(process)

    store = sqlite3.connect(tmp_path / ".wfgen" / "wfgen.db")
    assert dict(store.execute("SELECT status, count(*) FROM runs GROUP BY status")).keys() == {"completed"}
    twice = store.execute(
        "SELECT run, key FROM events WHERE type = 'step_completed' AND key NOT LIKE '%/first'"
        " GROUP BY run, key HAVING count(*) > 1"
    ).fetchall()
    assert twice == []
    gaps = store.execute("SELECT run FROM events GROUP BY run HAVING max(seq) <> count(*)").fetchall()
    assert gaps == []
    hit = taken_over(tmp_path)
    assert hit, "a kill hits some run"
    again = connection.execute(
        "SELECT run, key, count(*) FROM calls WHERE key NOT LIKE '%/first' GROUP BY run, key HAVING count(*) > 1"
    ).fetchall()
    assert {run for run, _, _ in again} <= hit, "in a run that kept its process no step ran twice"
    store.close()
    connection.close()
    if len(sizes) >= 100:  # shorter than that is warming up
        quarter = len(sizes) // 4
        early, late = statistics.median(sizes[quarter : 2 * quarter]), statistics.median(sizes[-quarter:])
        print(f"\n{len(hit)} runs were taken over; memory: {early:.1f} MB, then {late:.1f} MB")
        assert late <= early * 1.15 + 5, f"memory grew from {early:.0f} to {late:.0f} MB"
