"""The runs that this process holds: how it claims them, keeps those that wait at hand, and gives them back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from wfgen.balance import Balance
from wfgen.crashes import crash_loop
from wfgen.errors import StoreError, StoreFormatError, WfgenError, error_name, error_text
from wfgen.execution import Execution
from wfgen.ids import RunId
from wfgen.parked import ParkedRuns
from wfgen.store.records import LEFT_ALONE, Claimed

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

BATCH = 250
"""Runs that are claimed in one transaction."""

FIRST_RETRY, LAST_RETRY = 0.1, 10.0
"""Seconds between attempts to write to a store that cannot be written just now."""

SOON = 1.0
"""Seconds between attempts to get to a server that cannot be reached just now: leases end."""


AWAY = 0.5
"""Seconds in which other processes may take what was given to them."""


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
        self._concurrency = engine.serving.concurrency or settings.concurrency
        self._max_claims = settings.max_claims
        self._parked = ParkedRuns(settings.resident)
        self._refused: set[tuple[str, str]] = set()
        """Workflows whose source does not load."""
        self._left_alone: set[RunId] = set()
        """Runs that this process cannot read."""
        self._taking = 0
        self._is_full = False
        self._is_leaving = False
        """Whether the process ends, and gives its runs back."""
        self._left = asyncio.Event()
        """Set once it has."""
        self._going: set[str] = set()
        """Runs that are given to other processes as soon as nothing of them is at work."""
        self._ceiling: int | None = None
        """How many it takes at most while they go."""
        self._tasks: list[asyncio.Task[None]] = []

    def refuse(self, workflows: Collection[tuple[str, str]]) -> None:
        """Claim no runs of some workflows, given by name and version."""
        self._refused.update(workflows)

    def start(self) -> None:
        """Begin to claim; of all runs also to give some away while other processes have less to do."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._claim()))
        if self.families is None:
            self._tasks.append(loop.create_task(Balance(self._engine, self).keep()))

    async def stop(self) -> None:
        """Claim no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def leave(self) -> None:
        """Claim no more, and give each run back as soon as nothing of it is at work; return when all are."""
        await self.stop()
        self._is_leaving = True
        for execution in list(self.executions.values()):
            if execution.is_parked:
                self._evict(execution)
            else:
                execution.leave()
        if self.executions:
            await self._left.wait()

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
        if self._is_leaving:
            return 0
        return (self._concurrency if self._ceiling is None else self._ceiling) - self.at_work

    @property
    def at_work(self) -> int:
        """How many runs it works that do not wait."""
        return len(self.executions) - len(self._parked)

    def at_work_of(self, pairs: Collection[tuple[str, str]]) -> int:
        """How many of these are of some workflows, given by name and version."""
        runs = [execution.run for execution in self.executions.values() if execution not in self._parked]
        return sum((run.workflow, run.version) in pairs and run.run_id not in self._going for run in runs)

    def give_away(self, count: int, pairs: Collection[tuple[str, str]]) -> int:
        """Let up to `count` runs of these workflows go to others, those taken last first; gives how many go."""
        chosen = [
            one
            for one in reversed(self.executions.values())
            if one.can_go
            and one not in self._parked
            and one.run.run_id not in self._going
            and (one.run.workflow, one.run.version) in pairs
        ][: max(0, count)]
        if chosen:
            self._ceiling = self.at_work - len(self._going) - len(chosen)
            self._going |= {execution.run.run_id for execution in chosen}
            for execution in chosen:
                execution.leave()
        return len(chosen)

    def _gone(self, run_id: str) -> None:
        """A run has gone that was to go; once all have, the others get a moment to take them."""
        self._going.discard(run_id)
        if not self._going:
            self._engine.later(AWAY, self._take_again)

    def _take_again(self) -> None:
        if not self._going and self._ceiling is not None:
            self._ceiling = None
            self.wake.set()

    def take(self, claimed: Claimed) -> None:
        """Work a run that this process holds."""
        run = claimed.run
        try:
            definition = self._engine.registry.workflow(run.workflow, run.version)
            self._engine.registry.load_workers(run.workflow, run.version)
        except Exception as error:
            # A file is there but does not load, its own or a worker's: its runs are left to a process where it does.
            what = error_name(error), error_text(error)
            log.error("workflow %r version %r cannot be loaded: %s: %s", run.workflow, run.version, *what)
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
        if self._is_leaving or run.run_id in self._going:  # it was continued with another input
            execution.leave()

    def forget(self, execution: Execution) -> None:
        """A run is no longer worked by this process."""
        run_id = execution.run.run_id
        if self.executions.get(run_id) is execution:
            del self.executions[run_id]
            self._parked.discard(run_id)
            if run_id in self._going:
                self._gone(run_id)
            self._made_room()
            if self._is_leaving and not self.executions:
                self._left.set()

    def drop_all(self) -> None:
        """Forget all runs where they are."""
        for execution in list(self.executions.values()):
            execution.drop()
        self.executions.clear()
        self._parked.clear()
        self._going.clear()
        self._ceiling = None

    def release(self, run_id: RunId, epoch: int, wake_at: float = 0.0, seen: int = 0) -> None:
        """Give a run back, to be claimed from `wake_at` on; at once if a message came after number `seen`."""

        async def release() -> None:
            try:
                due = await self._engine.store.release(run_id, epoch, wake_at=wake_at, seen=seen)
            except StoreError as error:  # nobody else takes it before
                level = self._engine.level_of(error)
                log.log(level, "run %s cannot be given back, next attempt in %g s: %s", run_id, LAST_RETRY, error)
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
            self._evict(evicted)

    def _evict(self, execution: Execution) -> None:
        """Give a run back that waits; it is replayed where it goes on."""
        run = execution.run
        wake_at, seen = execution.wake_at, execution.last_message
        execution.drop()
        self.forget(execution)
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
        engine, pause = self._engine, FIRST_RETRY
        while True:
            self.wake.clear()
            self._wakes_at = float("inf")
            try:
                due = await self._claim_due()
                pause = FIRST_RETRY
            except Exception as error:
                level = engine.level_of(error, "runs")
                log.log(level, "no run can be claimed: %s", error, exc_info=not isinstance(error, WfgenError))
                await asyncio.sleep(pause)
                pause = min(pause * 2, SOON)
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
            workflows = [pair for pair in engine.serving.pairs(engine.registry) if pair not in self._refused]
            with self.taking():
                claimed = await engine.store.claim(engine.process_id, workflows, limit, self.families)
                engine.outage.over("runs")
                for one in claimed:
                    self.take(one)
            if len(claimed) < limit:
                return await engine.store.next_wake(workflows, self.families)
            await asyncio.sleep(0)  # what was claimed begins
