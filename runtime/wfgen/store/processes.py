"""Who works the runs: what identifies a process, and whether one of the same machine is still there."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path

from wfgen.environment import Environment
from wfgen.store.records import ProcessRecord

_PROC = Path("/proc")


def this_process(environment: Environment) -> ProcessRecord:
    """Describe the current process, under a new id."""
    from wfgen import __version__  # not complete yet when this module is loaded

    pid = os.getpid()
    return ProcessRecord(
        process_id=str(uuid.UUID(int=environment.random.getrandbits(128), version=4)),
        host=host_identity(),
        pid=pid,
        pid_started=_started(pid) or "",
        started_at=environment.clock.time(),
        boot=boot_identity(),
        wfgen=__version__,
    )


def host_identity() -> str:
    """The machine, its boot and the process namespace: only within one of these does a pid mean one process."""
    parts = [platform.node()]
    try:
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    except OSError:
        pass  # not Linux: the machine's name has to do; a pid that was reused is waited for until its lease ends
    return "/".join(parts)


def boot_identity() -> str:
    """The boot of the machine and its namespace of time: within one of these the monotonic clock is one."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""  # not Linux: leases go by the wall clock
    try:
        return f"{boot}/{os.stat('/proc/self/ns/time').st_ino}"
    except OSError:  # a kernel without them
        return boot


def is_gone(process: ProcessRecord, host: str) -> bool:
    """Whether a process is known to have ended; False when it lives, or when it cannot be told from `host`."""
    if process.host != host:
        return False
    started = _started(process.pid)
    if started is None:
        return not _exists(process.pid)
    return bool(process.pid_started) and started != process.pid_started


def _started(pid: int) -> str | None:
    """When the system started a process, in ticks since boot; empty for a dead one, None if it cannot be read."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the command in parentheses, which may itself hold spaces and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):  # ended, and only waiting for its parent to notice
        return ""
    return fields[19].decode()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
