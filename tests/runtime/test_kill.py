"""SIGKILL at every commit, for every kind of step and operation: no run is lost, and nothing recorded runs again.

What is run, and what people do meanwhile, stands in the folder `kills`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wfgen.store.schema import open_file

from .kills.effects import completed, opened
from .kills.moments import commit_points
from .kills.scenarios import SCENARIOS, Scenario

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
"""A process that is killed loses nothing that it has written, on a disk or not."""

DIED = -signal.SIGKILL


class Server:
    """Gives processes their lives, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kills.server"],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, folder: Path, name: str, where: str, fault: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(folder), name, where, fault]) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """How the life ended that was begun."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def live(self, folder: Path, name: str, where: str = "never", fault: str = "") -> int:
        self.begin(folder, name, where, fault)
        return self.end()

    def close(self) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="wfgen-kills-") as name:
        yield Path(name)


def commits(folder: Path) -> list[list[str]]:
    """The names of each commit of the last process there."""
    return [line.split() for line in (folder / "commits").read_text().splitlines()]


def prepare(server: Server, folder: Path, name: str) -> Path:
    """A folder as it is when the process begins that is to be killed."""
    begun = folder / "begun"
    (begun / ".wfgen").mkdir(parents=True)
    if SCENARIOS[name].begin:
        open_file(begun / ".wfgen" / "wfgen.db", synchronous="normal", busy_timeout=1).close()
    if SCENARIOS[name].first:
        assert server.live(begun, name, SCENARIOS[name].first) == DIED
    return begun


def recover(server: Server, folder: Path, name: str, fault: str = "") -> list[str]:
    """Let another process go on; gives what is wrong then."""
    if server.live(folder, name, fault=fault) != 0:
        return [f"the next process ended with {(folder / 'error').read_text()}"]
    return problems(folder, SCENARIOS[name])


def problems(folder: Path, scenario: Scenario) -> list[str]:
    """What is wrong in the end."""
    found = []
    told = json.loads((folder / "told").read_text())
    if told != scenario.told:
        found.append(f"somebody was told {told}")
    connection = opened(folder)
    try:
        found += [what for (what,) in connection.execute("SELECT what FROM wrong")]
        ends = "SELECT workflow || ' ' || status, count(*) FROM store.runs GROUP BY 1"
        if (runs := dict(connection.execute(ends).fetchall())) != scenario.runs:
            found.append(f"the runs are {runs}")
        for _, key, _, times in connection.execute("SELECT run, key, pid, count(*) FROM calls GROUP BY 1, 2, 3"):
            if times > 1 + (key.rpartition("/")[2] in scenario.twice):
                found.append(f"{key} ran {times} times in one process")
        for (run_id,) in connection.execute("SELECT run_id FROM store.runs").fetchall():
            keys = Counter(completed(connection, run_id))
            found += [f"{key} is recorded {times} times" for key, times in keys.items() if times > 1]
        for what, query in LEFT.items():
            if left := connection.execute(query).fetchall():
                found.append(f"{what}: {left}")
    finally:
        connection.close()
    return found


LEFT = {
    "never done": "SELECT key FROM store.events WHERE type = 'step_completed' AND key NOT IN (SELECT key FROM calls)",
    "said twice": "SELECT key FROM store.events WHERE type IN ('emitted', 'progress') GROUP BY 1 HAVING count(*) > 1",
    "gaps": "SELECT run FROM store.events GROUP BY run HAVING max(seq) <> count(*)",
    "held": "SELECT run_id FROM store.runs WHERE owner IS NOT NULL",
    "messages": "SELECT * FROM store.messages",
    "hooks": "SELECT name FROM store.hooks WHERE state = 'open'",
}
"""What nothing must be left of."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_commit(server: Server, folder: Path, name: str, when: str) -> None:
    """F7: killed before or just after each of its commits, a process is replaced by another, which ends the runs."""
    begun = prepare(server, folder, name)
    assert die(server, folder, begun, name, "never") is None
    first = SCENARIOS[name].begin
    made = commits(folder / "one")
    number = next((number for number, commit in enumerate(made) if first in commit), 0)
    wanted = {point for commit in made[number:] for point in commit}
    if first == "renew":  # the others depend on the time of day
        wanted = {"renew"}
    else:
        while (last := die(server, folder, begun, name, f"{when}:{number + 1}")) is not None:
            wanted -= last
            number += 1
    for point in wanted:  # commits that came together, or in another order, this time
        where = f"{when}:{point}"
        assert any(die(server, folder, begun, name, where) is not None for _ in range(5)), f"{where} is never reached"
    assert number >= len(made) / 2 or first == "renew"


def die(server: Server, folder: Path, begun: Path, name: str, where: str) -> set[str] | None:
    """Kill a process at a moment, and see that another one goes on as it should.

    Gives the names of the commit at which the first one died, None if it lived.
    """
    place = folder / "one"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(begun, place)
    status = server.live(place, name, where)
    if status == 0:
        assert problems(place, SCENARIOS[name]) == []
        return None
    assert status == DIED, (place / "error").read_text()
    last = commits(place)[-1]
    assert recover(server, place, name) == [], f"killed {where} ({' '.join(last)})"
    return set(last)


def test_every_commit_is_among_them(server: Server, folder: Path) -> None:
    """F7: whatever the store is asked for, and whatever can be recorded, is among what a process is killed at."""
    found = set[str]()
    for name in SCENARIOS:
        place = prepare(server, folder / name, name)
        assert server.live(place, name) == 0, (place / "error").read_text()
        assert problems(place, SCENARIOS[name]) == []
        found |= {point for commit in commits(place) for point in commit}
    assert found == commit_points()


@pytest.mark.parametrize(
    ("fault", "noticed"),
    [
        ("runs are lost", "TimeoutError"),
        ("steps run again", "0/inline runs again after it was recorded"),
        ("completions are lost", "gaps"),
    ],
)
def test_known_faults_are_noticed(server: Server, folder: Path, fault: str, noticed: str) -> None:
    """With a fault put into the engine, what is looked at after a kill shows it."""
    place = prepare(server, folder, "waits")
    (place / ".wfgen" / "wfgen.db").unlink()
    assert server.live(place, "steps", "before:step_retrying", fault) == DIED
    assert any(noticed in problem for problem in recover(server, place, "steps", fault))


def test_killed_at_any_moment(server: Server, folder: Path) -> None:
    """F7: killed by somebody else at random moments, also while it starts, a process is replaced by another one."""
    source = random.Random(7)
    for number in range(int(os.environ.get("WFGEN_KILLS", "6"))):
        name = source.choice(sorted(SCENARIOS))
        place = prepare(server, folder / str(number), name)
        server.begin(place, name, "never")
        time.sleep(source.uniform(0, 0.12))
        for child in children(server):
            os.kill(child, signal.SIGKILL)
        if server.end() == DIED:
            assert recover(server, place, name) == [], name


def children(server: Server) -> list[int]:
    pid = server._process.pid
    found: Any = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
