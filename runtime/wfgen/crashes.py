"""Runs that bring down whoever works them."""

from __future__ import annotations

from wfgen.errors import CrashLoopError
from wfgen.store.protocol import Claimed


def crash_loop(claimed: Claimed, limit: int) -> CrashLoopError | None:
    """Why a run is not worked any more: the last `limit` processes that took it died before it got any further."""
    died = claimed.run.claims - 1
    if died < limit:
        return None
    took = [event.data.get("process") for event in claimed.events if event.type in ("run_started", "run_claimed")]
    processes = ", ".join(str(process) for process in took[-1 - died : -1] if process)
    return CrashLoopError(
        f"run {claimed.run.run_id} was given up: {died} processes in a row died while they worked it, and it got no "
        f"further ({processes}).",
        hint="Look into the steps at work last: they may end the process, or need too much memory. "
        "`wfgen runs retry` takes the run up again.",
    )
