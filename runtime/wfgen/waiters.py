"""Who waits for runs to finish."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Collection

from wfgen.errors import StoreError, StoreUnreachableError
from wfgen.outage import Outage
from wfgen.store.protocol import Store
from wfgen.store.records import FINISHED, Append, RunRecord

log = logging.getLogger("wfgen.engine")

FIRST_RETRY, LAST_RETRY = 0.1, 1.0
"""Seconds between attempts to read from a server that cannot be reached just now."""


class Waiters:
    """Wakes those who wait for a run: with its record when this process has finished it, or to look again.

    Args:
        store: where they look.
        local: ids of the runs that this process works; nobody needs to look for those.
        outage: tells of a store that cannot be reached.
    """

    def __init__(self, store: Store, local: Collection[str], outage: Outage) -> None:
        self._store = store
        self._local = local
        self._outage = outage
        self._waiting: dict[str, set[asyncio.Future[RunRecord | None]]] = {}
        self._is_looking = self._is_stale = False

    async def finished(self, run_id: str, timeout: float | None = None) -> RunRecord:
        """Wait until a run is finished. A server that cannot be reached for a while is waited for as well.

        Raises:
            TimeoutError: it took longer than `timeout` seconds.
            UnknownRunError: there is no such run.
            StoreError: the engine was closed meanwhile.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._finished(run_id)
        except TimeoutError:
            record = await self._store.get_run(run_id)  # no time to look is no reason not to see that it is finished
            if record.status in FINISHED:
                return record
            raise TimeoutError(f"run {run_id} is {record.status} after {timeout:g} s; it goes on.") from None

    async def _finished(self, run_id: str) -> RunRecord:
        pause = FIRST_RETRY
        while True:
            # Before the look, so that nothing is missed between the two.
            waiter: asyncio.Future[RunRecord | None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(run_id, set())
            waiting.add(waiter)
            try:
                if run_id not in self._local:
                    record = await self._store.get_run(run_id)
                    self._outage.over("results")
                    if record.status in FINISHED:
                        return record
                    pause = FIRST_RETRY
                told = await waiter
                if told is not None:
                    return told
            except StoreUnreachableError as error:
                level = self._outage.level(error)
                log.log(level, "whether run %s is finished is asked again in %g s: %s", run_id, pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY)
            finally:
                waiting.discard(waiter)
                if not waiting and self._waiting.get(run_id) is waiting:
                    del self._waiting[run_id]

    def tell(self, run: RunRecord, last: Append) -> None:
        """This process has finished a run, with this append."""
        assert last.status is not None
        error_type, error, error_code = last.error or (None, None, None)
        record = dataclasses.replace(
            run,
            status=last.status,
            output=last.output,
            error_type=error_type,
            error=error,
            error_code=error_code,
            owner=None,
            updated_at=last.events[-1].time,
            finished_at=last.events[-1].time,
        )
        self._wake(run.run_id, record)

    @property
    def has_any(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def look_again(self) -> None:
        """Another process has written: runs that are not worked here may be finished. All are looked at together."""
        self._is_stale = True
        if self._is_looking:
            return
        self._is_looking = True
        try:
            while self._is_stale:
                self._is_stale = False
                wanted = {run_id for run_id in self._waiting if run_id not in self._local}
                try:
                    found = await self._store.finished(wanted) if wanted else wanted
                except StoreError:
                    found = wanted  # who waits looks for himself, and is told
                for run_id in found:
                    self._wake(run_id, None)
        finally:
            self._is_looking = False

    def close(self) -> None:
        """Nobody will be told any more."""
        for run_id, waiting in self._waiting.items():
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_exception(
                        StoreError(
                            f"the engine was closed while somebody waited for run {run_id}.",
                            hint="The run goes on with the next process that works it; wait for it there.",
                        )
                    )
                    waiter.exception()  # who waited may be cancelled by now: then nobody is to be told

    def _wake(self, run_id: str, record: RunRecord | None) -> None:
        for waiter in self._waiting.pop(run_id, ()):
            if not waiter.done():
                waiter.set_result(record)
