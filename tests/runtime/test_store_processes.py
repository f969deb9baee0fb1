"""Which process is which, and whether it is still there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

from wfgen.environment import Environment
from wfgen.store.processes import host_identity, is_gone, this_process


def test_this_process_lives() -> None:
    """The current process is described with its pid and is not gone."""
    process = this_process(Environment())
    assert process.pid == os.getpid()
    assert process.host == host_identity()
    assert not is_gone(process, host_identity())


def test_ids_are_new_each_time_and_come_from_the_environment() -> None:
    """Two descriptions have different ids, and a seeded environment gives the same ones again."""

    def ids(seed: int) -> list[str]:
        environment = Environment(random=random.Random(seed))
        return [this_process(environment).process_id for _ in range(3)]

    assert len(set(ids(1))) == 3
    assert ids(1) == ids(1) != ids(2)


def test_an_ended_process_is_gone_even_before_its_parent_notices() -> None:
    """A process that ended is gone, also while it is a zombie."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    process = replace(this_process(Environment()), pid=child.pid, pid_started="")
    assert not is_gone(process, host_identity())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    started = replace(process, pid_started="1")
    assert is_gone(started, host_identity())
    child.wait()
    child.stdin.close()
    assert is_gone(started, host_identity())
    assert is_gone(process, host_identity())


def test_a_pid_that_was_reused_is_another_process() -> None:
    """A live process with the same pid and another start is not the one that was recorded."""
    assert is_gone(replace(this_process(Environment()), pid_started="1"), host_identity())


def test_processes_of_other_machines_are_not_judged() -> None:
    """Where a pid means nothing, only the lease counts."""
    process = replace(this_process(Environment()), host="elsewhere", pid=2**22 + 1)
    assert not is_gone(process, host_identity())
