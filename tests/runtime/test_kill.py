"""SIGKILL at every commit, for every kind of step and operation: no run is lost, and nothing recorded runs again.

What is run, and what people do meanwhile, stands in the folder `kills`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wfgen.store.sqlite.schema import open_file

from .kills.lives import DIED, MEMORY, Server, commits, problems
from .kills.moments import commit_points
from .kills.scenarios import SCENARIOS


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="wfgen-kills-") as name:
        yield Path(name)


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
