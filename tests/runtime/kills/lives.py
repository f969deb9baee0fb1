"""Lives of processes that may be killed, and what is looked at after them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from .effects import opened
from .records import FILE, Records
from .scenarios import Scenario

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
"""A process that is killed loses nothing that it has written, on a disk or not."""

DIED = -signal.SIGKILL


class Server:
    """Gives processes their lives, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kills.server"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, folder: Path, name: str, where: str, fault: str = "", engine: str = FILE) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(folder), engine, name, where, fault]) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """How the life ended that was begun."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def live(self, folder: Path, name: str, where: str = "never", fault: str = "", engine: str = FILE) -> int:
        self.begin(folder, name, where, fault, engine)
        return self.end()

    def close(self) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()


def commits(folder: Path) -> list[list[str]]:
    """The names of each commit of the last process there."""
    return [line.split() for line in (folder / "commits").read_text().splitlines()]


def problems(folder: Path, scenario: Scenario, engine: str = FILE) -> list[str]:
    """What is wrong in the end."""
    found = []
    told = json.loads((folder / "told").read_text())
    if told != scenario.told:
        found.append(f"somebody was told {told}")
    with closing(opened(folder)) as connection, closing(Records(folder, engine)) as records:
        found += [what for (what,) in connection.execute("SELECT what FROM wrong")]
        ends = "SELECT workflow || ' ' || status, count(*) FROM runs GROUP BY 1"
        if (runs := dict(records.rows(ends))) != scenario.runs:
            found.append(f"the runs are {runs}")
        calls = connection.execute("SELECT run, key, pid, count(*) FROM calls GROUP BY 1, 2, 3").fetchall()
        for _, key, _, times in calls:
            if times > 1 + (key.rpartition("/")[2] in scenario.twice):
                found.append(f"{key} ran {times} times in one process")
        for (run_id,) in records.rows("SELECT run_id FROM runs"):
            keys = Counter(records.completed(run_id))
            found += [f"{key} is recorded {times} times" for key, times in keys.items() if times > 1]
        done = {key for (key,) in records.rows("SELECT key FROM events WHERE type = 'step_completed'")}
        done |= {key for (key,) in records.rows("SELECT key FROM jobs WHERE status = 'completed'")}
        if never := done - {key for _, key, _, _ in calls}:
            found.append(f"never done: {never}")
        for what, query in LEFT.items():
            if left := records.rows(query):
                found.append(f"{what}: {left}")
    return found


LEFT = {
    "said twice": "SELECT key FROM events WHERE type IN ('emitted', 'progress') GROUP BY 1 HAVING count(*) > 1",
    "gaps": "SELECT run FROM events GROUP BY run HAVING max(seq) <> count(*)",
    "held": "SELECT run_id FROM runs WHERE owner IS NOT NULL",
    "messages": "SELECT * FROM messages",
    "hooks": "SELECT name FROM hooks WHERE state = 'open'",
    "jobs": "SELECT key, status FROM jobs WHERE finished_at IS NULL OR owner IS NOT NULL",
    "jobs from nowhere": "SELECT key FROM jobs AS j WHERE NOT EXISTS (SELECT 1 FROM events AS e WHERE e.run = j.run"
    " AND e.type = 'job_created' AND e.key = j.key)",
}
"""What nothing must be left of."""
