"""A worker that is stopped past its lease and woken again: it has lost its runs, and it knows."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from ..postgres import plain
from ..proxy import proxy

CHILD = Path(__file__).with_name("fencing_child.py")
MACHINE = 60.0
"""Seconds that a busy machine may add."""


class Worker:
    """A worker process, and what it has said."""

    def __init__(self, folder: Path, engine: str, name: str, trust: str = "carefully") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), engine, name, trust],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        streams = (self.process.stdout, self.process.stderr)
        self._readers = [threading.Thread(target=self._read, args=(stream,)) for stream in streams]
        for reader in self._readers:
            reader.start()
        self.said: list[str] = []

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.lines.put(line.rstrip())

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self, what: str) -> str:
        """Wait for a line that holds a text."""
        until = time.monotonic() + 60
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"nobody said {what!r}: {self.said}") from None
            self.said.append(line)
            if what in line:
                return line

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=60)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        self.process.stdin.close()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """The URL of an engine."""
    return "sqlite:///.wfgen/wfgen.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def asked(folder: Path, engine: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the store itself."""
    if engine.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(folder / ".wfgen" / "wfgen.db")) as file:
            return file.execute(query).fetchall()
    with psycopg.connect(plain(engine)) as server:
        return server.execute(query.encode()).fetchall()


@pytest.mark.parametrize("trust", ["carefully", "blindly"])
def test_a_stopped_worker_is_fenced(tmp_path: Path, engine: str, trust: str) -> None:
    """F7, B14: after SIGSTOP past its lease and SIGCONT, its late result is refused, and it says so; the run ends once.

    Nobody takes its run before its lease is over, and somebody does within twice that time.
    """
    first = Worker(tmp_path, engine, "first", trust)
    second = None
    try:
        first.hear("ready")
        first.tell("start")
        run_id = first.hear("started").split()[1]
        first.hear("begins two")
        os.kill(first.process.pid, signal.SIGSTOP)
        (heartbeat, lease) = asked(
            tmp_path, engine, "SELECT heartbeat_at, lease_until FROM processes ORDER BY started_at DESC"
        )[0]

        second = Worker(tmp_path, engine, "second")
        second.hear("ready")
        second.tell(run_id)
        assert second.hear("result").endswith("['first', 'second', 'second', 'second']")

        (tmp_path / "go").touch()
        os.kill(first.process.pid, signal.SIGCONT)
        said = first.hear(f"run {run_id} is given up" if trust == "blindly" else "given up")
        if trust == "blindly":
            assert "no longer held by epoch 1" in said
        assert first.end() == 0, "it goes on, and ends in good order"
        assert second.end() == 0
    finally:
        for worker in filter(None, (first, second)):
            worker.close()

    assert second is not None
    began = [line.split()[1] for line in (*first.said, *second.said) if line.startswith("begins")]
    again = began.count("two")  # three times or more where the first one was so slow that it lost the run to itself
    assert again >= 2
    assert sorted(began) == ["four", "one", "three", *["two"] * again], "only what was under way was begun again"
    assert asked(tmp_path, engine, "SELECT status, epoch FROM runs") == [("completed", again)]
    events = asked(tmp_path, engine, "SELECT seq, type, time FROM events ORDER BY seq")
    recorded = [type for _, type, _ in events if type != "run_claimed"]
    assert recorded == ["run_started", *["step_completed"] * 4, "run_completed"]
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    taken = max(time for _, type, time in events if type == "run_claimed")
    if engine.startswith("postgres"):  # a file knows the boot's own clock as well, by which a lease may end earlier
        assert lease == pytest.approx(heartbeat + 2, abs=0.01)
        assert taken >= lease, "not before its lease is over"
    assert taken < heartbeat + 2 * 2 + MACHINE


def test_a_worker_that_is_cut_off_gives_up(tmp_path: Path, postgres_url: str) -> None:
    """B14, F7: a worker that hears nothing from the server gives up by its own clock, also while a step is at work, and
    begins nothing more."""
    with proxy(postgres_url) as network:
        first, second = Worker(tmp_path, network.url(postgres_url), "first"), None
        try:
            second = Worker(tmp_path, postgres_url, "second")
            first.hear("ready")
            second.hear("ready")
            first.tell("start")
            run_id = first.hear("started").split()[1]
            first.hear("begins two")
            network.black_hole()
            second.tell(run_id)
            first.hear("given up")  # nobody can have told it
            assert second.hear("result").endswith("['first', 'second', 'second', 'second']")
            (tmp_path / "go").touch()
            network.heal()
            assert first.end() == 0
            assert second.end() == 0
        finally:
            for worker in filter(None, (first, second)):
                worker.close()
    assert [line for line in first.said if line.startswith("begins")] == ["begins one", "begins two"]
    assert asked(tmp_path, postgres_url, "SELECT status, epoch FROM runs") == [("completed", 2)]
