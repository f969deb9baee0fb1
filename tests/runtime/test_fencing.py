"""A worker that is stopped past its lease and woken again: it has lost its runs, and it knows."""

from __future__ import annotations

import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest

CHILD = Path(__file__).with_name("fencing_child.py")


class Worker:
    """A worker process, and what it has said."""

    def __init__(self, folder: Path, name: str, trust: str = "carefully") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), name, trust],
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
        until = time.monotonic() + 20
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
        return self.process.wait(timeout=20)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        self.process.stdin.close()


@pytest.mark.parametrize("trust", ["carefully", "blindly"])
def test_a_stopped_worker_is_fenced(tmp_path: Path, trust: str) -> None:
    """F7: after SIGSTOP past its lease and SIGCONT, its late result is refused, and it says so; the run ends once."""
    first = Worker(tmp_path, "first", trust)
    second = None
    try:
        first.hear("ready")
        first.tell("start")
        run_id = first.hear("started").split()[1]
        first.hear("begins two")
        os.kill(first.process.pid, signal.SIGSTOP)

        second = Worker(tmp_path, "second")
        second.hear("ready")
        second.tell(run_id)
        assert second.hear("result").endswith("['first', 'second', 'second', 'second']")

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
    assert sorted(began) == ["four", "one", "three", "two", "two"], "only what was under way was begun again"
    connection = sqlite3.connect(tmp_path / ".wfgen" / "wfgen.db")
    events = connection.execute("SELECT seq, type FROM events ORDER BY position").fetchall()
    (status, epoch) = connection.execute("SELECT status, epoch FROM runs").fetchone()
    connection.close()
    assert (status, epoch) == ("completed", 2)
    recorded = [type for _, type in events if type != "run_claimed"]
    assert recorded == ["run_started", *["step_completed"] * 4, "run_completed"]
    assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
