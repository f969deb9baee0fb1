"""Runs in progress while something goes wrong with their store: what they do meanwhile, and what they are told."""

from __future__ import annotations

import asyncio
import functools
import logging
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wfgen import Workflow, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.environment import Environment
from wfgen.errors import StoreFormatError, StoreGoneError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.settings import Settings
from wfgen.store.processes import this_process
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import SQLiteStore

CALLS: list[str] = []


@define_workflow
async def three_steps(workflow: Workflow, size: int) -> int:
    async def work(name: str) -> str:
        CALLS.append(name)
        return "x" * size

    return sum([len(await workflow.do(name, functools.partial(work, name))) for name in ("a", "b", "c")])


class Clock:
    """Two clocks that are set by hand."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 1000.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady


def work(
    folder: Path,
    scenario: Callable[[Engine], Awaitable[None]],
    environment: Environment | None = None,
) -> None:
    """Open an engine, await the scenario, close."""
    registry = Registry("none")
    registry.collect(globals())

    async def main() -> None:
        settings = Settings(project=folder)
        async with open_engine(registry, settings, environment=environment) as engine, asyncio.timeout(60):
            await scenario(engine)

    CALLS.clear()
    asyncio.run(main())


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until the log says something, loud or not."""
    caplog.set_level(logging.DEBUG, "wfgen.engine")
    while text not in caplog.text:
        await asyncio.sleep(0.005)


def file_of(folder: Path) -> Path:
    return folder / ".wfgen" / "wfgen.db"


def recorded(folder: Path) -> list[Any]:
    """What is recorded in the file: number, type, key and time of each event."""
    connection = sqlite3.connect(file_of(folder))
    rows = connection.execute("SELECT seq, type, key, time FROM events ORDER BY run, seq").fetchall()
    connection.close()
    return rows


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores give up on a lock at once, rather than after ten seconds."""
    monkeypatch.setattr("wfgen.store.engines.SQLiteStore", functools.partial(SQLiteStore, busy_timeout=0.05))


async def hold(store: SQLiteStore, *run_ids: str) -> str:
    """Create runs and claim them, each as its first epoch."""
    process = this_process(Environment())
    await store.register(process, 60)
    for run_id in run_ids:
        await store.create(NewRun(RunId(run_id), "flow", "1", b"{}", "salt"), process.process_id)
    return process.process_id


async def append(store: SQLiteStore, run_id: str, seq: int, payload: bytes = b"") -> Verdict:
    told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    store.append(Append(RunId(run_id), 1, [Event(seq, "step_completed", 1.0, "0/s", {}, payload)]), told.set_result)
    return await told


@pytest.mark.usefixtures("impatient")
def test_a_lock_of_another_program_delays_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D16: while the file is locked nothing is recorded and nothing is lost; then the run goes on where it stood."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("three_steps", 1)
        assert await run.result() == 3
        other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
        locked = await engine.start_run("three_steps", 2)
        other.execute("BEGIN IMMEDIATE")
        await logged(caplog, f"run {locked.id} cannot be recorded, next attempt in 0.2 s")
        assert CALLS == ["a", "b", "c", "a"], "the next step does not begin before what it follows from is recorded"
        assert (await engine.store.get_run(locked.id)).status != "completed"
        other.execute("COMMIT")
        other.close()
        assert await locked.result() == 6

    work(tmp_path, scenario)
    assert CALLS == ["a", "b", "c"] * 2, "what was waiting to be recorded was not done again"


def test_a_full_disk_delays_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D16: what does not fit is tried again until there is room; the step that it belongs to does not run again."""

    async def scenario(engine: Engine) -> None:
        store: Any = engine.store
        committer = getattr(store, "_store", store)._committer
        (pages,) = committer._connection.execute("PRAGMA page_count").fetchone()
        committer._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        run = await engine.start_run("three_steps", 40_000)
        await logged(caplog, f"run {run.id} cannot be recorded, next attempt in 0.2 s")
        assert (await engine.store.get_run(run.id)).status != "completed"
        assert CALLS == ["a"], "the next step does not begin before what it follows from is recorded"
        committer._connection.execute("PRAGMA max_page_count = 100000")
        assert await run.result() == 120_000

    work(tmp_path, scenario)
    assert CALLS == ["a", "b", "c"]
    assert [row[:2] for row in recorded(tmp_path)] == [
        (1, "run_started"),
        *((seq, "step_completed") for seq in (2, 3, 4)),
        (5, "run_completed"),
    ]


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_that_is_gone_is_not_written_to(tmp_path: Path, how: str) -> None:
    """D16: writing to a file that was removed or replaced under a store is refused, with what to do about it."""
    path = tmp_path / "w.db"

    async def main() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        process = await hold(store, "r1")
        assert await append(store, "r1", 2) is None
        if how == "replaced":
            shutil.copy(path, tmp_path / "copy.db")
        path.unlink()
        if how == "replaced":
            (tmp_path / "copy.db").rename(path)
        verdict = await append(store, "r1", 3)
        assert isinstance(verdict, StoreGoneError)
        assert verdict.code == "WF806"
        assert f"{path} was {how}" in str(verdict)
        assert "Put the file back" in str(verdict)
        with pytest.raises(StoreGoneError):
            await store.create(NewRun(RunId("r2"), "flow", "1", b"{}", "salt"))
        with pytest.raises(StoreGoneError):
            await asyncio.to_thread(store.renew, process, 60)
        await store.close()
        assert path.exists() == (how == "replaced"), "nobody makes a new one in its place"

    asyncio.run(main())


def test_an_engine_without_its_file_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D16: a run that cannot be recorded any more is given up, a new one is refused, and closing still works."""

    async def scenario(engine: Engine) -> None:
        run = await engine.start_run("three_steps", 1)
        shutil.move(tmp_path / ".wfgen", tmp_path / "elsewhere")
        await logged(caplog, f"run {run.id} cannot be recorded: the store")
        with pytest.raises(TimeoutError):
            await run.result(timeout="1ms")
        with pytest.raises(StoreGoneError):
            await engine.start_run("three_steps", 1)

    clock = Clock()
    work(tmp_path, scenario, Environment(clock=clock))
    assert f"the store {file_of(tmp_path)} was removed while it was in use" in caplog.text
    assert CALLS == ["a"]
    shutil.move(tmp_path / "elsewhere", tmp_path / ".wfgen")

    async def again(engine: Engine) -> None:
        (record,) = await engine.store.list_runs()
        assert await engine.run(record.run_id).result() == 3

    clock.steady += 20  # its lease could not be given back, and ends
    work(tmp_path, again, Environment(clock=clock))


def test_nothing_is_half_written_to_a_damaged_file(tmp_path: Path) -> None:
    """D16: of a batch that meets a damaged page nothing is recorded, and the file stays as it was found."""
    path = tmp_path / "w.db"

    async def fill() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        await hold(store, "r1", "r2")
        for seq in range(2, 60):
            assert await append(store, "r1", seq, b"x" * 2000) is None
        await store.close()

    async def use() -> None:
        store = SQLiteStore(path, Environment())
        await store.open()
        both = await asyncio.gather(append(store, "r1", 60), append(store, "r2", 2))
        assert all(isinstance(verdict, StoreFormatError) for verdict in both)
        assert "Restore it from a backup" in str(both[0])
        await store.close()

    asyncio.run(fill())
    connection = sqlite3.connect(path)
    ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_by_run'").fetchall()
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    damaged = path.read_bytes()
    asyncio.run(use())
    assert path.read_bytes() == damaged


def test_a_runs_time_only_goes_on(tmp_path: Path) -> None:
    """B21: the clock is set back while a run is under way, and again before another process takes it up."""
    clock = Clock()

    async def first(engine: Engine) -> None:
        run = await engine.start_run("three_steps", 1)
        clock.wall += 50
        while CALLS != ["a", "b", "c"]:
            await asyncio.sleep(0)
            clock.wall -= 7
        del run

    async def second(engine: Engine) -> None:
        (record,) = await engine.store.list_runs()
        assert await engine.run(record.run_id).result() == 3

    work(tmp_path, first, Environment(clock=clock))
    clock.wall -= 3600
    work(tmp_path, second, Environment(clock=clock))
    times = [row[3] for row in recorded(tmp_path)]
    assert times == sorted(times)
    assert times[0] == 1_800_000_000.0


def test_leases_do_not_heed_the_wall_clock(tmp_path: Path) -> None:
    """F7: a clock that is set forward or back neither ends nor prolongs the lease of a process of this machine."""
    clock = Clock()

    async def main() -> None:
        store = SQLiteStore(tmp_path / "w.db", Environment(clock=clock))
        await store.open()
        holder, other = (this_process(Environment(clock=clock)) for _ in range(2))
        await store.register(holder, 15)
        await store.create(NewRun(RunId("r1"), "flow", "1", b"{}", "salt"), holder.process_id)
        clock.wall += 86400
        await store.register(other, 60)
        assert await store.claim(other.process_id, [("flow", "1")], 1) == []
        clock.wall -= 2 * 86400
        clock.steady += 10
        assert await asyncio.to_thread(store.renew, holder.process_id, 15)
        clock.steady += 14
        assert await store.claim(other.process_id, [("flow", "1")], 1) == []
        clock.steady += 2
        (claimed,) = await store.claim(other.process_id, [("flow", "1")], 1)
        assert claimed.run.epoch == 2
        await store.close()

    asyncio.run(main())


@pytest.mark.usefixtures("impatient")
def test_a_lock_during_a_heartbeat_costs_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F7: a renewal that meets a lock is made up for before the lease ends."""
    beats: list[Callable[[], bool]] = []

    def by_hand(interval: float, beat: Callable[[], bool], name: str) -> Callable[[], None]:
        beats.append(beat)
        return lambda: None

    async def scenario(engine: Engine) -> None:
        before = engine.process_id
        other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        clock.steady += 5
        assert await asyncio.to_thread(beats[0]), "it is tried again"
        assert "the lease could not be renewed" in caplog.text
        other.execute("COMMIT")
        other.close()
        clock.steady += 2
        assert await asyncio.to_thread(beats[0])
        clock.steady += 8  # by now the lease that it had at first has ended
        assert await (await engine.start_run("three_steps", 1)).result() == 3
        assert engine.process_id == before

    clock = Clock()
    work(tmp_path, scenario, Environment(clock=clock, every=by_hand))
