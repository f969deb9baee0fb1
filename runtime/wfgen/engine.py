"""The engine: claims runs from a store, works them, and answers for them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal

from wfgen.appends import Appends
from wfgen.claims import LAST_RETRY, Claims
from wfgen.codec import Codec
from wfgen.conformance import OffGraph
from wfgen.controls import Controls
from wfgen.definitions import MISSING
from wfgen.deployment import record_deployment
from wfgen.durations import Duration, seconds
from wfgen.encryption import load_keys
from wfgen.environment import Environment
from wfgen.errors import (
    StoreError,
)
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.ids import RunId
from wfgen.job_runner import JobRunner
from wfgen.lifecycle import Handler, HandlerRunner, RunUpdate
from wfgen.loading import Unloadable, load_served
from wfgen.membership import Membership
from wfgen.messages import Messages
from wfgen.outage import Outage
from wfgen.registry import Registry
from wfgen.retention import keep_for
from wfgen.runs import Run
from wfgen.serving import Serving
from wfgen.settings import Settings
from wfgen.starts import Starts
from wfgen.step_runner import StepRunner
from wfgen.step_states import StepState, step_states
from wfgen.store.encrypted import encrypted
from wfgen.store.engines import open_store
from wfgen.store.protocol import Store
from wfgen.store.records import ANY_CHANGE, FINISHED, GIVEN_BACK, Append, Claimed, Message, RunRecord, RunStatus
from wfgen.strangers import tell_of_strangers
from wfgen.timers import Timers
from wfgen.waiters import Waiters
from wfgen.work import Work
from wfgen.worker_process import OpenProcess, WorkerProcess, load_process

log = logging.getLogger("wfgen.engine")


class Engine:
    """Starts runs, and works them if asked.

    Use `open_engine` to get one. All methods must be called on the loop that opened it.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        settings: Settings,
        environment: Environment,
        observe: Callable[[RunId, Event], None] | None = None,
        process: WorkerProcess | None = None,
        serving: Serving | None = None,
    ) -> None:
        keys = load_keys(settings)
        store = self.store = encrypted(store, keys)
        # All that is recorded, and all timers, go by one clock, which the processes of a store share.
        environment = dataclasses.replace(environment, clock=store.clock)
        self.process = OpenProcess(process)
        self.serving = serving or Serving()
        """The part of the work that this process takes."""
        self.registry = registry
        self.unloadable = Unloadable()
        """What of that it cannot load."""
        self.off_graph: OffGraph = settings.off_graph
        self.record_inputs = settings.record_inputs
        self.settings = settings
        self.codec = Codec(settings.payload_limit, keys)
        self.lease = seconds(settings.lease)
        self._environment = environment
        self._loop = asyncio.get_running_loop()
        self._membership = Membership(store, self.lease, environment, self._lapsed)
        self.append = Appends(self, self._membership, observe).record
        """Records what runs append; a verdict is final."""
        self._claims = Claims(self)
        self.executions = self._claims.executions
        """The runs in memory, by id."""
        self._wake = self._claims.wake
        self._starts = Starts(self, self._membership, self._claims, environment.random)
        self.outage = Outage(self._loop.time)
        """What is told of a store that cannot be used."""
        self._waiters = Waiters(store, self.executions, self.outage)
        self._timers = Timers(self._loop, environment.clock)
        self._executor: Executor = environment.executor()
        self._steps = StepRunner(self._loop, environment, self._executor, self._holds)
        self._handlers = HandlerRunner(self._loop, self._executor)
        self._keeping: asyncio.Task[None] | None = None
        """Removes old runs."""
        self._files: dict[str, str] = {}
        self._background: set[asyncio.Task[None]] = set()
        self.controls = Controls(self)
        """What is done to runs from outside: cancelling, pausing, answering their hooks, taking them back, …"""
        self.messages = Messages(self)
        self.jobs = JobRunner(self)
        """The jobs that this process works."""
        self._closed = False

    # Starting and asking.

    async def start_run(
        self,
        workflow: str,
        data: Any = MISSING,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
        tags: Collection[str] = (),
    ) -> Run[Any]:
        """Record a new run; whoever works this store takes it up.

        Args:
            workflow: its name.
            data: the input; leave it out if the workflow takes none.
            version: default the latest.
            idempotency_key: a second start with the same key returns the first run; without `version` also when there
                is a newer version by now.
            tags: what the run can be found by, beside its workflow's tags; 1 to 100 printable characters each.

        Raises:
            UnknownWorkflowError, InvalidInputError, SerializationError: nothing was recorded.
            DefinitionError: nor here: its source does not load; nor does a worker's, and this process works its runs.
            ConflictError: the key was used with another input.
        """
        return await self._starts.start(workflow, data, version, idempotency_key, tags, is_json=False)

    async def start_run_json(
        self,
        workflow: str,
        text: str | bytes | None,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
        tags: Collection[str] = (),
    ) -> Run[Any]:
        """The same with the input as JSON text; None for no input."""
        data = MISSING if text is None else text
        return await self._starts.start(workflow, data, version, idempotency_key, tags, is_json=True)

    def run(self, run_id: str) -> Run[Any]:
        """A handle on a run; nothing is looked up yet."""
        return Run(self, RunId(run_id))

    async def prune(self, older_than: Duration, statuses: Collection[RunStatus] | None = None) -> int:
        """Remove finished runs that have been over for so long, with all that is recorded of them.

        An idempotency key of theirs is free again. A run stays while its parent is kept, and until its children can go.

        Args:
            older_than: since their end.
            statuses: which; default all finished ones.

        Returns:
            How many were removed.
        """
        before, removed = self.time() - seconds(older_than), 0
        while gone := await self.store.prune(before, statuses):
            removed += len(gone)
        return removed

    def step_states(self, run: RunRecord, events: Sequence[Event]) -> list[StepState]:
        """Where the steps of a run stand, by its history, its graph, and what this process works of it."""
        execution = self.executions.get(run.run_id)
        at_work = [] if execution is None else execution.steps_at_work
        return step_states(events, run.status, self.registry.graph(run.workflow, run.version), at_work)

    async def finished(self, run_id: str, timeout: float | None = None) -> RunRecord:
        """Wait until a run is finished.

        Raises:
            TimeoutError: it took longer than `timeout` seconds; the run goes on.
            UnknownRunError: there is no such run.
            StoreError: the engine was closed meanwhile.
        """
        return await self._waiters.finished(run_id, timeout)

    # Opening and closing.

    async def start(self, *, own: bool = False) -> None:
        """Begin to work runs: all of the store, or only its own, which are started through it, and their children.

        Raises:
            DefinitionError: nothing of what this process takes can be loaded.
        """
        if own:
            self._claims.families = set()
        else:
            self.unloadable = load_served(self.registry, self.serving)
            self._claims.refuse(self.unloadable.workflows)
            self.jobs.refuse(self.unloadable.workers)
        await self.process.enter()
        concurrency = self.serving.concurrency or self.settings.job_concurrency
        self._membership.serves = self.serving.describe(self.registry, concurrency, self.unloadable, own=own)
        await self._membership.enter()
        if self.serving.takes_runs:
            self._claims.start()
        self.jobs.start()
        self._record_deployment()
        if not own and self.serving.takes_runs:
            self.spawn(tell_of_strangers(self.store, self.registry.package, self.registry.workflows))
        if self.settings.retention is not None:
            kept = seconds(self.settings.retention)
            self._keeping = self._loop.create_task(keep_for(kept, self.store, self.time))

    def _record_deployment(self) -> None:
        """Record which definitions this process has brought; once, so that who was deployed last is known."""

        async def record() -> None:
            try:
                await record_deployment(self.store, self.registry, self.serving.pairs(self.registry))
            except StoreError as error:
                level = self.level_of(error)
                log.log(level, "what was deployed is not recorded, next attempt in %g s: %s", LAST_RETRY, error)
                self.later(LAST_RETRY, self._record_deployment)

        self.spawn(record())

    @property
    def is_taking(self) -> bool:
        """Whether runs are on their way into memory."""
        return self._claims.is_taking

    @property
    def families(self) -> Collection[RunId] | None:
        """The runs that alone are worked here, with their children and theirs, and the jobs of all; None for all."""
        return self._claims.families

    @property
    def taken(self) -> int:
        """How many runs were taken into memory so far."""
        return self._claims.taken

    @property
    def process_id(self) -> str:
        """Under which this process is registered; empty if it works no runs."""
        return self._membership.process_id

    def leaves_alone(self, run_id: RunId) -> bool:
        """Whether this process has given a run back since it cannot read it, for want of a key."""
        return self._claims.leaves_alone(run_id)

    async def renew_membership(self) -> None:
        """Register again if the lease was lost."""
        await self._membership.renew()

    @property
    def under_way(self) -> Sequence[tuple[int, str]]:
        """What has to come to its end before this process can: how many of which."""
        steps = sum(len(execution.steps_at_work) for execution in self.executions.values())
        return [(steps, "step"), (self.jobs.at_work, "job")]

    async def drain(self, timeout: Duration) -> None:
        """Come to rest, so that `close` has nothing to cancel: take nothing new, let what is under way end.

        Runs are given back as soon as none of their steps is at work, and others may take them up.

        Args:
            timeout: how long steps and jobs under way may go on.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds(timeout)):
                await asyncio.gather(self._claims.leave(), self.jobs.leave())

    async def close(self) -> None:
        """Stop: steps on the loop are cancelled, runs are given back to whoever comes next. Nothing is lost."""
        await self._claims.stop()
        await self.jobs.close()
        self._closed = True
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self.controls.close()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._timers.close()
        self._claims.drop_all()
        await self._steps.close()
        await self._handlers.close()
        await self._membership.leave()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._waiters.close()
        await self.process.leave()

    # What an execution needs (Host).

    def time(self) -> float:
        return self._environment.clock.time()

    def soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self._timers.at(due, callback)

    def _holds(self) -> bool:
        """Whether this process may still act for its runs, by its own clock."""
        return self._membership.valid

    def start_step(self, operation: Work, attempt: int) -> Callable[[], None]:
        return self._steps.start(operation, attempt)

    def shorten(self, filename: str) -> str:
        short = self._files.get(filename)
        if short is None:
            path = Path(filename)
            project = self.settings.project.absolute()
            short = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()
            self._files[filename] = short
        return short

    def level_of(self, error: Exception, asker: str | None = None) -> int:
        """How loudly to log an error after which the store is asked again, see `Outage.level`."""
        return self.outage.level(error, asker)

    def call_handlers(self, handlers: Sequence[Handler], update: RunUpdate) -> None:
        self._handlers.call(handlers, update)

    def parked(self, execution: Execution) -> None:
        self._claims.parked(execution)

    def woken(self, execution: Execution) -> None:
        self._claims.woken(execution)

    def continued(self, execution: Execution, start: Event) -> None:
        if execution.has_family:
            self.jobs.changed()  # those that the part before has awaited are to stop

        async def go_on() -> None:
            run = dataclasses.replace(execution.run, input=start.payload)

            def take(messages: list[Message]) -> None:
                if self.executions.get(run.run_id) is execution:  # not given up meanwhile
                    self._claims.take(Claimed(run, [start], messages))

            try:
                await self.messages.hand_over(run.run_id, take)
            except StoreError as error:
                log.error("run %s cannot go on in this process: %s", run.run_id, error)
                self.ended(execution, None)

        self.spawn(go_on())

    def ended(self, execution: Execution, last: Append | None) -> None:
        run = execution.run
        self._claims.forget(execution)
        if last is not None and last.status in GIVEN_BACK:
            self._wake.set()
        elif last is not None:
            self._waiters.tell(run, last)
        else:
            # Given back after a while, if it is still ours: its record could not be written, or it was lost anyway.
            self.later(LAST_RETRY, lambda: self._claims.release(run.run_id, run.epoch))
        if execution.has_family:  # its end may be recorded even if this process was told otherwise
            self.told()
            self.jobs.changed()
        elif self._claims.families is not None and last is not None and last.status in FINISHED:
            self._claims.families.discard(run.run_id)
        if last is None:
            self._wake.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside all else; nothing any more once the engine is closed."""
        if self._closed:
            work.close()
            return
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after so many seconds, unless the engine is closed by then."""
        self._loop.call_later(delay, lambda: None if self._closed else callback())

    def _drop_all(self) -> None:
        if self.executions:
            log.warning("the lease has lapsed: %d runs are given up", len(self.executions))
        self._claims.drop_all()
        self.jobs.drop_all()

    def _lapsed(self) -> None:
        self._drop_all()
        self._wake.set()
        self.jobs.wake.set()

    # What comes from outside.

    def told(self) -> None:
        """Something was written for other runs, which this process may work: the end of a child, or of a job."""
        self._wake.set()
        self.spawn(self.messages.fetch())

    def changed(self, changes: Collection[str] = ANY_CHANGE) -> None:
        """Another process, or another connection, has written to the store: something of ANY_CHANGE."""
        if "runs" in changes:
            self._wake.set()
        if "messages" in changes and (self.executions or self.is_taking):
            self.spawn(self.messages.fetch())
        if "jobs" in changes:
            self.jobs.changed()
        if "ends" in changes:
            self.controls.others_wrote()
            if self._waiters.has_any:
                self.spawn(self._waiters.look_again())


@contextlib.asynccontextmanager
async def open_engine(
    registry: Registry,
    settings: Settings,
    *,
    work: bool | Literal["own"] = True,
    environment: Environment | None = None,
    observe: Callable[[RunId, Event], None] | None = None,
    process: WorkerProcess | None = None,
    serving: Serving | None = None,
) -> AsyncIterator[Engine]:
    """Open the engine that the settings name.

    Args:
        registry: the workflows and workers.
        settings: where the store is, lease, limits.
        work: whether this process claims and works runs, or is only a client; with `own` it works the runs that are
            started through it, and their children, and leaves all others alone.
        environment: clock, randomness and threads; the machine's own by default.
        observe: told of each event that this process has recorded, on the engine's loop.
        process: what this process brings to the runs that it works; default what the setting of that name names.
        serving: which part of the work it takes, if it works; default all that the registry has the code for.

    Raises:
        ConfigurationError: the setting `process` names nothing that can serve.
        StoreError: the store cannot be used.
    """
    environment = environment or Environment()
    if process is None and work:
        process = load_process(settings)
    store = open_store(settings.engine, settings.project, environment)
    await store.open()
    try:
        engine = Engine(store, registry, settings, environment, observe, process, serving)
        try:
            store.on_change(engine.changed)
            if work:
                await engine.start(own=work == "own")
            yield engine
        finally:
            await engine.close()
    finally:
        await store.close()
