"""What jobs at work report: taken from whichever thread, and kept in the store now and then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from wfgen.ids import JobId
from wfgen.job_work import JobWork

REPORT = 1.0
"""Seconds between two reports of a job that are kept in the store."""


class JobProgress:
    """Keeps reports, at most one a second for each job: the first at once.

    Args:
        loop: the engine's.
        keep: writes a report to the store.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, keep: Callable[[JobWork, bytes], None]) -> None:
        self._loop = loop
        self._keep = keep
        self._pauses: dict[JobId, asyncio.TimerHandle] = {}
        """Jobs of which a report was kept just now, with what ends the pause after that."""
        self._kept: dict[JobId, object] = {}
        """What was kept last of those."""
        self._turns: dict[JobId, asyncio.Lock] = {}

    def turn(self, work: JobWork) -> asyncio.Lock:
        """To be held while a report is kept: one that takes long must not come after the next one."""
        return self._turns.get(work.record.job_id) or asyncio.Lock()

    def reported(self, work: JobWork) -> None:
        """A job has reported something; called in any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._look, work)

    def forget(self, work: JobWork) -> None:
        """A job is no longer worked here."""
        job_id = work.record.job_id
        self._kept.pop(job_id, None)
        self._turns.pop(job_id, None)
        if (pause := self._pauses.pop(job_id, None)) is not None:
            pause.cancel()

    def _look(self, work: JobWork) -> None:
        job_id = work.record.job_id
        last = None if work.reports is None else work.reports.last
        if job_id in self._pauses or work.was_recorded or work.stopping == "lost":
            return
        if last is not None and last is not self._kept.get(job_id):
            self._kept[job_id] = last
            self._turns.setdefault(job_id, asyncio.Lock())
            self._pauses[job_id] = self._loop.call_later(REPORT, self._go_on, work)
            self._keep(work, last[0])

    def _go_on(self, work: JobWork) -> None:
        del self._pauses[work.record.job_id]
        self._look(work)
