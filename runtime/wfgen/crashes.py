"""Runs and jobs that bring down whoever works them."""

from __future__ import annotations

from wfgen.errors import CrashLoopError
from wfgen.store.jobs import JobRecord
from wfgen.store.records import Claimed


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


def job_crash_loop(job: JobRecord, limit: int) -> CrashLoopError | None:
    """Why a job is not worked any more: the last `limit` processes that took it died before they had ended it."""
    died = job.claims - 1
    if died < limit:
        return None
    return CrashLoopError(
        f"job {job.job_id} was given up: {died} processes in a row died while they worked it.",
        hint=f"Look into the worker {job.worker!r}: it may end the process, or need too much memory.",
    )
