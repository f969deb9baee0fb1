"""Jobs across real processes: the run in one, its jobs in others, which are killed, stopped and woken."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from wfgen.engine import Engine, open_engine
from wfgen.serving import Serving
from wfgen.settings import Settings

from . import jobs_child
from .conftest import Project


class Worker:
    """A process that takes jobs, and what it has said."""

    def __init__(self, settings: Settings, how: str, *, lease: str = "15s", trust: str = "carefully") -> None:
        words = [str(settings.project), settings.engine, lease, how, trust]
        self.process = subprocess.Popen(
            [sys.executable, "-m", jobs_child.__name__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.said: list[str] = []
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        streams = (self.process.stdout, self.process.stderr)
        self._readers = [threading.Thread(target=self._read, args=(stream,)) for stream in streams]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.lines.put(line.rstrip())

    async def hear(self, *what: str) -> str:
        """Wait for a line that holds one of some texts."""
        return await asyncio.to_thread(self._hear, what)

    def _hear(self, what: Sequence[str]) -> str:
        until = time.monotonic() + 60
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"nobody said {what!r}: {self.said}") from None
            self.said.append(line)
            if any(text in line for text in what):
                return line

    def begun(self) -> list[str]:
        """What it has begun so far."""
        while not self.lines.empty():
            self.said.append(self.lines.get())
        return [line for line in self.said if line.startswith("begins")]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        self.process.stdin.close()


@pytest.fixture
def start(project: Project) -> Iterator[Callable[..., Worker]]:
    """Starts workers, which are gone after the test."""
    started: list[Worker] = []

    def begin(how: str, **options: Any) -> Worker:
        started.append(Worker(project.settings, how, **options))
        return started[-1]

    yield begin
    for worker in started:
        worker.close()


@asynccontextmanager
async def orchestrator(project: Project) -> AsyncIterator[Engine]:
    """The runs, in this process; it takes no job."""
    serving = Serving(workers=[])
    async with open_engine(jobs_child.registry(), project.settings, serving=serving) as engine, asyncio.timeout(60):
        yield engine


@pytest.mark.both_stores
def test_a_run_here_its_jobs_there(project: Project, start: Callable[..., Worker]) -> None:
    """B13: two processes share the jobs of one run, none is worked twice, and the run's process works none."""

    async def main() -> None:
        first, second = start("quick"), start("quick")
        ids = {(await worker.hear("ready")).split()[1] for worker in (first, second)}
        async with orchestrator(project) as engine:
            run = await engine.start_run("several", 40)
            assert await run.result() == [f"{n} in quick" for n in range(40)]
            begun = [int(line.split()[1]) for worker in (first, second) for line in worker.begun()]
            assert sorted(begun) == list(range(40))
            assert engine.process_id not in ids

    asyncio.run(main())


def test_an_idle_process_takes_what_a_loaded_one_cannot(project: Project, start: Callable[..., Worker]) -> None:
    """B13: nothing is fetched ahead: with all its slots taken, the rest of the queue is there for others."""

    async def main() -> None:
        async with orchestrator(project) as engine:
            loaded = start("waits")
            await loaded.hear("ready")
            run = await engine.start_run("several", 10)
            for _ in range(4):
                await loaded.hear("begins")
            idle = start("quick")
            for _ in range(6):
                await idle.hear("ends")
            assert len(loaded.begun()) == 4
            (project.settings.project / "go").touch()
            assert len(await run.result()) == 10

    asyncio.run(main())


@pytest.mark.both_stores
@pytest.mark.parametrize("worker", ["work", "once"])
def test_a_process_that_is_killed_loses_its_job(project: Project, start: Callable[..., Worker], worker: str) -> None:
    """B14: another one takes it over, as a further attempt; a job that runs at most once has failed."""

    async def main() -> None:
        async with orchestrator(project) as engine:
            first = start("waits")
            await first.hear("ready")
            run = await engine.start_run("one", worker)
            assert await first.hear("begins") == "begins 1 1"
            first.process.kill()
            first.process.wait()
            second = start("quick")
            if worker == "work":
                assert await second.hear("begins") == "begins 1 2"
                assert await run.result() == "1 in quick"
            else:
                record = await engine.finished(run.id)
                assert (record.status, record.error_code) == ("failed", "WF713")
                assert second.begun() == []

    asyncio.run(main())


@pytest.mark.both_stores
@pytest.mark.parametrize("trust", ["carefully", "blindly"])
def test_a_stopped_process_is_fenced(project: Project, start: Callable[..., Worker], trust: str) -> None:
    """F7: after SIGSTOP past its lease and SIGCONT, what it still records of its job is refused."""

    async def main() -> None:
        async with orchestrator(project) as engine:
            first = start("waits", lease="1s", trust=trust)
            await first.hear("ready")
            run = await engine.start_run("one", "work")
            await first.hear("begins 1 ")
            os.kill(first.process.pid, signal.SIGSTOP)
            second = start("quick", lease="2s")  # it looks often
            attempt = int((await second.hear("begins 1 ")).split()[2])
            assert attempt >= 2
            assert await run.result() == "1 in quick"
            (project.settings.project / "go").touch()
            os.kill(first.process.pid, signal.SIGCONT)
            refused = ("is not recorded",)
            await first.hear(*refused, *(("lease has lapsed", "was taken from") if trust == "carefully" else ()))
            (job,) = await engine.store.list_jobs(run_id=run.id)
            assert (job.status, job.output) == ("completed", b'"1 in quick"')
            assert job.epoch >= job.attempt >= attempt
            history = [event.type for event in await run.history()]
            assert history == ["run_started", "job_created", "step_completed", "run_completed"]

    asyncio.run(main())


def test_a_process_says_what_it_takes(project: Project, start: Callable[..., Worker]) -> None:
    """B14: others read it from the store, with its heartbeat."""

    async def main() -> None:
        async with orchestrator(project) as engine:
            worker = start("quick")
            process_id = (await worker.hear("ready")).split()[1]
            processes = {record.process_id: json.loads(record.serves) for record, _ in await engine.store.processes()}
            assert processes[process_id]["workers"] == ["once", "work"]
            assert processes[process_id]["workflows"] == []
            assert processes[engine.process_id]["workers"] == []

    asyncio.run(main())
