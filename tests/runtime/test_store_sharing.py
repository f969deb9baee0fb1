"""Several processes on one store file: crashes, takeover, races."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from wfgen.environment import Environment
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.processes import this_process
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import SQLiteStore

CHILD = Path(__file__).with_name("store_child.py")
FLOW = ("flow", "1")


class Children:
    """Processes that are ended with the test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def start(self, path: Path, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        """Start one that prints to a pipe, or to a file."""
        command = [sys.executable, str(CHILD), str(path), *words]
        with contextlib.nullcontext(subprocess.PIPE) if log is None else log.open("w") as output:
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True)
        self.started.append(child)
        return child


@pytest.fixture
def children() -> Iterator[Children]:
    started = Children()
    yield started
    for child in started.started:
        child.kill()
        child.communicate()


def events_of(path: Path) -> dict[str, list[int]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT run_id, seq FROM events JOIN runs USING (run) ORDER BY run, seq").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    found: dict[str, list[int]] = defaultdict(list)
    for run_id, seq in rows:
        found[run_id].append(seq)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, children: Children, seed: int) -> None:
    """Two processes append to one file and are killed at random moments: no acknowledged append is missing, and no
    run has a gap."""
    chance = random.Random(seed)
    path = tmp_path / "w.db"
    logs = [tmp_path / "one", tmp_path / "many"]
    workers = [children.start(path, "append", runs, log=log) for runs, log in zip(("1", "20"), logs, strict=True)]
    for worker, log in zip(workers, logs, strict=True):
        while not log.stat().st_size:
            assert worker.poll() is None
            time.sleep(0.001)
    for worker in workers:
        time.sleep(chance.uniform(0, 0.15))
        worker.send_signal(signal.SIGKILL)
    acknowledged: dict[str, int] = {}
    for worker, log in zip(workers, logs, strict=True):
        assert worker.communicate(timeout=60)[1] == ""
        for line in log.read_text().splitlines():
            run_id, seq = line.split()
            acknowledged[run_id] = max(acknowledged.get(run_id, 0), int(seq))
    recorded = events_of(path)
    for run_id, seqs in recorded.items():
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= acknowledged.get(run_id, 1)
    assert set(acknowledged) <= set(recorded)


def test_processes_may_create_the_file_together(tmp_path: Path, children: Children) -> None:
    """Five processes that open a fresh file at once all work, and one key is one run among them all."""
    path = tmp_path / "new" / "w.db"
    workers = [children.start(path, "create", "30") for _ in range(5)]
    creators: dict[str, int] = defaultdict(int)
    runs: dict[str, set[str]] = defaultdict(set)
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert err == ""
        for line in out.splitlines():
            key, run_id, created = line.split()
            creators[key] += created == "True"
            runs[key].add(run_id)
    assert creators == {str(key): 1 for key in range(30)}
    assert all(len(ids) == 1 for ids in runs.values())
    assert len(events_of(path)) == 30


async def _append(store: SQLiteStore, run_id: str, epoch: int, seq: int = 2) -> Verdict:
    told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    store.append(Append(RunId(run_id), epoch, [Event(seq, "step_completed", 1.0, "0/s")]), told.set_result)
    return await told


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_is_succeeded_at_once(tmp_path: Path, children: Children, how: signal.Signals) -> None:
    """On one machine nobody waits for the lease of a process that is gone, and nobody takes what a live one holds."""
    path = tmp_path / "w.db"

    async def main() -> None:
        environment = Environment()
        store = SQLiteStore(path, environment)
        await store.open()
        me = this_process(environment)
        await store.register(me, 3600)
        await store.create(NewRun(RunId("r1"), "flow", "1", b"{}", "salt"))
        child = children.start(path, "hold")
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "r1 1\n"
        for _ in range(5):
            assert await store.claim(me.process_id, [FLOW], 1) == []
        child.send_signal(how)
        deadline = time.monotonic() + 60  # the child's lease is an hour
        while not (claimed := await store.claim(me.process_id, [FLOW], 1)):
            assert time.monotonic() < deadline
        assert (claimed[0].run.epoch, claimed[0].run.claims) == (2, 2)
        assert claimed[0].events[-1].type == "run_claimed"
        assert await _append(store, "r1", 2, seq=3) is None
        assert [process.process_id for process, _ in await store.processes()] == [me.process_id]
        await store.close()

    asyncio.run(main())


def test_a_paused_process_keeps_its_runs_until_its_lease_ends(tmp_path: Path, children: Children) -> None:
    """A stopped process is not a dead one: only its lease decides."""
    path = tmp_path / "w.db"

    async def main() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        me = this_process(Environment())
        await store.register(me, 3600)
        await store.create(NewRun(RunId("r1"), "flow", "1", b"{}", "salt"))
        child = children.start(path, "hold")
        assert child.stdout is not None
        await asyncio.to_thread(child.stdout.readline)
        child.send_signal(signal.SIGSTOP)
        assert await store.claim(me.process_id, [FLOW], 1) == []
        (holder,) = [process for process, _ in await store.processes() if process.pid == child.pid]
        assert await asyncio.to_thread(store.renew, holder.process_id, -1)
        assert [claimed.run.epoch for claimed in await store.claim(me.process_id, [FLOW], 1)] == [2]
        await store.close()

    asyncio.run(main())


def test_another_process_is_heard_soon(tmp_path: Path, children: Children) -> None:
    """What another process writes is told within a fraction of a second, also after a long silence."""
    path = tmp_path / "w.db"

    async def main() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        times: list[float] = []
        told = asyncio.Event()
        store.on_change(lambda _: (times.append(time.monotonic()), told.set())[0])
        began = time.monotonic()
        child = children.start(path, "create", "200")
        assert child.stdout is not None
        line = ""
        while not line.startswith("199 "):
            line = await asyncio.to_thread(child.stdout.readline)
            assert line, "the other process has ended"
        await told.wait()
        assert len(times) <= (times[-1] - began) / 0.02 + 1, "a busy neighbour is not told of each time"
        other = sqlite3.connect(path, isolation_level=None)
        took = 1.0
        for _ in range(50):  # a stalled machine may be late, but not each time
            await asyncio.sleep(0.1)
            told.clear()
            other.execute("UPDATE runs SET wake_at = wake_at")
            written = time.monotonic()
            await told.wait()
            took = min(took, times[-1] - written)
            if took < 0.2:
                break
        other.close()
        await store.close()
        assert took < 0.2

    asyncio.run(main())


def test_neighbours_do_not_starve_each_other(tmp_path: Path, children: Children) -> None:
    """Beside a process that commits without a pause, another one's create waits for few of its commits."""
    path = tmp_path / "w.db"
    busy = children.start(path, "append", "50")
    assert busy.stdout is not None
    busy.stdout.readline()
    drain = subprocess.Popen(["cat"], stdin=busy.stdout, stdout=subprocess.DEVNULL)

    async def main() -> list[int]:
        store = SQLiteStore(path, Environment())
        await store.open()
        meanwhile: list[int] = []
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as look:
            for number in range(50):
                (before,) = look.execute("SELECT count(*) FROM events").fetchone()
                await store.create(NewRun(RunId(f"r{number}"), "flow", "1", b"{}", "salt"))
                (after,) = look.execute("SELECT count(*) FROM events").fetchone()
                meanwhile.append((after - before) // 50)
        await store.close()
        return meanwhile

    try:
        meanwhile = asyncio.run(main())
    finally:
        busy.kill()
        drain.wait()
    assert sorted(meanwhile)[-4] < 100, sorted(meanwhile)[-5:]  # commits; three may have met a stall of this process
