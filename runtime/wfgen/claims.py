"""The runs that this process holds: how it claims them, keeps those that wait at hand, and gives them back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wfgen.crashes import crash_loop
from wfgen.errors import StoreError, StoreFormatError, WfgenError
from wfgen.execution import Execution
from wfgen.ids import RunId
from wfgen.parked import ParkedRuns
from wfgen.store.protocol import LEFT_ALONE, Claimed

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

BATCH = 250
"""Runs that are claimed in one transaction."""

FIRST_RETRY, LAST_RETRY = 0.1, 10.0
"""Seconds between attempts to write to a store that cannot be written just now."""


class Claims:
    """Claims what is due, as long as there is room; sleeps until the next run is due or something changes.

    Args:
        engine: whose store, membership and timers it uses, and who works the runs.
    """

    def __init__(self, engine: Engine) -> None:
        settings = engine.settings
        self.executions: dict[str, Execution] = {}
        """The runs in memory, by id."""
        self.taken = 0
        """How many were taken so far."""
        self.wake = asyncio.Event()
        """Set when there may be something to claim."""
        self.families: set[RunId] | None = None
        """The runs that are claimed, with their children and theirs; None for all."""
        self._engine = engine
        self._concurrency = settings.concurrency
        self._max_claims = settings.max_claims
        self._parked = ParkedRuns(settings.resident)
        self._refused: set[tuple[str, str]] = set()
        """Workflows whose source does not load."""
        self._left_alone: set[RunId] = set()
        """Runs that this process cannot read."""
        self._taking = 0
        self._is_full = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to claim."""
        self._task = asyncio.get_running_loop().create_task(self._claim())

    async def stop(self) -> None:
        """Claim no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """While runs are on their way from the store into memory."""
        self._taking += 1
        try:
            yield
        finally:
            self._taking -= 1
            self._engine.messages.taken()

    @property
    def is_taking(self) -> bool:
        """Whether runs are on their way into memory."""
        return self._taking > 0

    @property
    def free(self) -> int:
        """How many more runs this process takes; those that wait do not count."""
        return self._concurrency - len(self.executions) + len(self._parked)

    def take(self, claimed: Claimed) -> None:
        """Work a run that this process holds."""
        run = claimed.run
        try:
            definition = self._engine.registry.workflow(run.workflow, run.version)
        except Exception as error:
            # The file is there but does not load: its runs are left to a process where it does.
            log.error("workflow %r version %r cannot be loaded: %s", run.workflow, run.version, error)
            self._refused.add((run.workflow, run.version))
            self.release(run.run_id, run.epoch)
            return
        if claimed.fault is not None:
            self._leave_alone(claimed, claimed.fault)
            return
        try:
            execution = Execution(claimed, definition, self._engine)
        except Exception as error:  # a history that no version of wfgen has written
            log.debug("run %s", run.run_id, exc_info=True)
            self._leave_alone(claimed, StoreFormatError(f"what is recorded of it cannot be understood ({error!r})."))
            return
        previous = self.executions.get(run.run_id)
        if previous is not None:  # it was taken from this process, and came back before anybody had noticed
            previous.drop()
        self.taken += 1
        execution.number = self.taken
        self._parked.discard(run.run_id)
        self.executions[run.run_id] = execution
        loop = asyncio.get_running_loop()
        failure = crash_loop(claimed, self._max_claims)
        if failure is not None:
            log.error("run %s is not worked any more: %s", run.run_id, failure)
            loop.call_soon(execution.give_up, failure)
            return
        if claimed.events[-1].type == "run_claimed":
            log.info("run %s of workflow %r is taken over (epoch %d)", run.run_id, run.workflow, run.epoch)
        # Not from inside this task: a run's loop is driven from plain callbacks.
        loop.call_soon(execution.begin)

    def forget(self, execution: Execution) -> None:
        """A run is no longer worked by this process."""
        run_id = execution.run.run_id
        if self.executions.get(run_id) is execution:
            del self.executions[run_id]
            self._parked.discard(run_id)
            self._made_room()

    def drop_all(self) -> None:
        """Forget all runs where they are."""
        for execution in list(self.executions.values()):
            execution.drop()
        self.executions.clear()
        self._parked.clear()

    def release(self, run_id: RunId, epoch: int, wake_at: float = 0.0, seen: int = 0) -> None:
        """Give a run back, to be claimed from `wake_at` on; at once if a message came after number `seen`."""

        async def release() -> None:
            try:
                due = await self._engine.store.release(run_id, epoch, wake_at=wake_at, seen=seen)
            except StoreError as error:  # nobody else takes it before
                log.error("run %s cannot be given back, next attempt in %g s: %s", run_id, LAST_RETRY, error)
                self._engine.later(LAST_RETRY, lambda: self.release(run_id, epoch, wake_at, seen))
                return
            if due < self._wakes_at:
                self.wake.set()

        self._engine.spawn(release())

    def leaves_alone(self, run_id: RunId) -> bool:
        """Whether this process has given a run back since it cannot read it."""
        return run_id in self._left_alone

    def _leave_alone(self, claimed: Claimed, error: WfgenError) -> None:
        """Give a run back that this process cannot read, for a while; the others go on."""
        run = claimed.run
        if run.run_id not in self._left_alone:
            log.error("run %s is left alone: %s", run.run_id, error)
            self._left_alone.add(run.run_id)
        seen = max((message.id for message in claimed.messages), default=0)
        self.release(run.run_id, run.epoch, self._engine.time() + LEFT_ALONE, seen)

    # Runs that wait.

    def parked(self, execution: Execution) -> None:
        """A run waits, and that is recorded: it may leave memory."""
        if self.executions.get(execution.run.run_id) is not execution:
            return
        self._parked.add(execution)
        self._made_room()
        for evicted in self._parked.take_surplus():
            run = evicted.run
            del self.executions[run.run_id]
            wake_at, seen = evicted.wake_at, evicted.last_message
            evicted.drop()
            self.release(run.run_id, run.epoch, wake_at, seen)

    def woken(self, execution: Execution) -> None:
        """A run goes on that waited."""
        self._parked.discard(execution.run.run_id)

    def _made_room(self) -> None:
        if self._is_full and self.free > 0:
            self.wake.set()

    # Claiming.

    _wakes_at = float("inf")
    """When the next run is due that nobody holds, as far as this process knows."""

    async def _claim(self) -> None:
        engine = self._engine
        while True:
            self.wake.clear()
            self._wakes_at = float("inf")
            try:
                due = await self._claim_due()
            except Exception as error:
                log.error("no run can be claimed: %s", error, exc_info=not isinstance(error, WfgenError))
                await asyncio.sleep(FIRST_RETRY)
                due = engine.time()
            if due <= (now := engine.time()):  # it came in just now, or cannot be claimed: others need their turn
                due = now + FIRST_RETRY / 2
            self._wakes_at = due
            stop = engine.at(due, self.wake.set) if due < float("inf") else None
            # Not for ever: processes that have died are noticed here, and a clock may be set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(engine.lease / 3):
                    await self.wake.wait()
            if stop is not None:
                stop()

    async def _claim_due(self) -> float:
        """Claim while there is room; gives when the next run is due."""
        engine = self._engine
        while True:
            self._is_full = self.free <= 0
            if self._is_full:
                return float("inf")
            if self.families is not None and not self.families:
                return float("inf")
            await engine.renew_membership()
            limit = min(self.free, BATCH)
            workflows = [known for known in engine.registry.workflows if known not in self._refused]
            with self.taking():
                claimed = await engine.store.claim(engine.process_id, workflows, limit, self.families)
                for one in claimed:
                    self.take(one)
            if len(claimed) < limit:
                return await engine.store.next_wake(workflows, self.families)
            await asyncio.sleep(0)  # what was claimed begins
