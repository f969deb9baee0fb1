"""The jobs that this process takes off queues: it claims as many as it has free slots, and says how they end.

It never takes a job that it cannot begin at once, so that an idle process takes what a loaded one cannot. What was
claimed is this process's as long as its lease; a later claim of the job fences it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future as ThreadFuture
from typing import TYPE_CHECKING, Any

from wfgen.claims import BATCH, FIRST_RETRY, LAST_RETRY, SOON
from wfgen.crashes import job_crash_loop
from wfgen.definitions import WorkflowDefinition
from wfgen.errors import (
    LeaseLostError,
    StoreError,
    StoreUnreachableError,
    UnknownWorkflowError,
    WfgenError,
    error_name,
    error_text,
)
from wfgen.ids import JobId
from wfgen.job_progress import JobProgress
from wfgen.job_work import JobWork
from wfgen.runinfo import RunInfo
from wfgen.store.jobs import JobEnd, JobRecord, NewJob
from wfgen.store.records import LEFT_ALONE
from wfgen.surroundings import Surroundings

if TYPE_CHECKING:
    from wfgen.engine import Engine

log = logging.getLogger("wfgen.engine")

LOOK, LOOK_AGAIN = 1.0, 0.05
"""Seconds after which a process that works jobs looks whether it is to stop one, and between two looks at least."""

GRACE = 5.0
"""Seconds that a process which closes waits for jobs that it has cancelled."""


class JobRunner:
    """Takes jobs as long as there is room; sleeps until the next one is due or something changes.

    Args:
        engine: whose store, membership, timers and step runner it uses.
    """

    def __init__(self, engine: Engine) -> None:
        self.wake = asyncio.Event()
        """Set when there may be something to claim."""
        self._engine = engine
        self._serving = engine.serving
        self._concurrency = engine.serving.concurrency or engine.settings.job_concurrency
        self._max_claims = engine.settings.max_claims
        self._loop = asyncio.get_running_loop()
        self._at_work: dict[JobId, JobWork] = {}
        self._stops: dict[JobId, Callable[[], None]] = {}
        self._threads: dict[JobId, ThreadFuture[Any]] = {}
        """Threads of attempts that took too long, and go on."""
        self._progress = JobProgress(self._loop, lambda work, encoded: self._spawn(self._keep(work, encoded)))
        self._refused: set[str] = set()
        """Workers whose source does not load."""
        self._stir = asyncio.Event()
        """Set when a job at work may have to stop."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_leaving = False
        self._is_full = False
        """Whether there was no room when it looked last."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def at_work(self) -> int:
        """How many jobs it works."""
        return len(self._at_work)

    @property
    def free(self) -> int:
        """How many more it takes."""
        return 0 if self._is_leaving else max(0, self._concurrency - len(self._at_work))

    @property
    def is_busy(self) -> bool:
        """Whether something is being recorded of its jobs."""
        return bool(self._background)

    def refuse(self, workers: Collection[str]) -> None:
        """Take no jobs of some workers."""
        self._refused.update(workers)

    def start(self) -> None:
        """Begin to take jobs."""
        self._tasks = {self._loop.create_task(self._claim()), self._loop.create_task(self._watch())}

    def put(self, jobs: Collection[NewJob]) -> None:
        """A run of this process has put jobs on queues."""
        if self._serving.takes_jobs or any(job.expires_at is not None for job in jobs):
            self.wake.set()

    def changed(self) -> None:
        """Something was written to the store: there may be a job to take, or one to stop."""
        if self._serving.takes_jobs:
            self.wake.set()
        self._stir.set()

    async def leave(self) -> None:
        """Take no more; return once what is at work has ended."""
        self._is_leaving = True
        await self._idle.wait()

    async def close(self) -> None:
        """Take no more, and give back what is at work. A plain function goes on in its thread, for nothing."""
        self._is_leaving = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for work in list(self._at_work.values()):
            self._stop(work, "leaving")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._idle.wait()
        self._drop_rest()
        for task in self._background:  # what could not be recorded so far: whoever comes next takes it over
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def drop_all(self) -> None:
        """The lease has lapsed: stop all where they are; nothing is recorded, they are others' now."""
        if self._at_work:
            log.warning("the lease has lapsed: %d jobs are given up", len(self._at_work))
        self._drop_rest()

    def _drop_rest(self) -> None:
        for work in list(self._at_work.values()):
            self._stop(work, "lost")
            self.forget(work)

    # What a job needs (JobHost).

    def time(self) -> float:
        return self._engine.time()

    def reported(self, work: JobWork) -> None:
        self._progress.reported(work)

    def finish(self, work: JobWork, end: JobEnd) -> None:
        job = work.record
        self._record(work, lambda: self._engine.store.finish_job(job.job_id, job.epoch, end))

    def requeue(self, work: JobWork, delay: float, failed: JobEnd | None) -> None:
        job, due = work.record, self.time() + delay

        async def requeue() -> None:
            await self._engine.store.requeue_job(job.job_id, job.epoch, due, failed)
            self.wake.set()

        self._record(work, requeue)

    def forget(self, work: JobWork) -> None:
        job_id = work.record.job_id
        if self._at_work.get(job_id) is not work:
            return
        del self._at_work[job_id]
        self._stops.pop(job_id, None)
        self._progress.forget(work)
        if work.thread is not None and not work.thread.done() and not work.retry.overlap:
            self._threads[job_id] = work.thread
            work.thread.add_done_callback(lambda _: self._threads.pop(job_id, None))
        if not self._at_work:
            self._idle.set()
        if self._is_full:
            self.wake.set()

    # Recording.

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _record(self, work: JobWork, write: Callable[[], Awaitable[None]]) -> None:
        """Write what became of a job; again and again if the store cannot just now, as long as the job is ours."""

        async def record() -> None:
            delay = FIRST_RETRY
            while work.stopping != "lost":
                try:
                    await write()
                except LeaseLostError as error:
                    log.warning("what became of %r is not recorded: %s", work, error)
                    break
                except StoreError as error:
                    level = self._engine.level_of(error) if delay == FIRST_RETRY else logging.DEBUG
                    log.log(level, "%r cannot be recorded, next attempt in %g s: %s", work, delay, error)
                    await asyncio.sleep(delay)
                    is_away = isinstance(error, StoreUnreachableError)
                    delay = min(delay * 2, SOON if is_away else LAST_RETRY)
                else:
                    break
            self.forget(work)
            self._engine.told()

        self._spawn(record())

    async def _keep(self, work: JobWork, encoded: bytes) -> None:
        try:
            async with self._progress.turn(work):
                await self._engine.store.report_job(work.record.job_id, work.record.epoch, encoded)
        except LeaseLostError:
            self._stir.set()
        except StoreError as error:
            log.log(self._engine.level_of(error), "what %r reports is not kept: %s", work, error)

    # Claiming.

    async def _claim(self) -> None:
        engine, pause, due, was_quiet = self._engine, FIRST_RETRY, float("inf"), False
        while True:
            self.wake.clear()
            expected = due
            try:
                due = await self._claim_due()
                pause = FIRST_RETRY
            except Exception as error:
                level = engine.level_of(error, "jobs")
                log.log(level, "no job can be claimed: %s", error, exc_info=not isinstance(error, WfgenError))
                await asyncio.sleep(pause)
                pause = min(pause * 2, SOON)
                due = engine.time()
            if was_quiet or expected <= engine.time():
                engine.told()  # what had expired, or was a dead process's, has ended now: our runs may wait for it
            # What came in just now, or cannot be claimed, is not asked for without a pause.
            at = due if due > (now := engine.time()) else now + FIRST_RETRY / 2
            stop = engine.at(at, self.wake.set) if at < float("inf") else None
            was_quiet = False
            try:
                # Not for ever: processes that have died are noticed here.
                async with asyncio.timeout(engine.lease / 3):
                    await self.wake.wait()
            except TimeoutError:
                was_quiet = True
            if stop is not None:
                stop()

    @property
    def workers(self) -> list[str]:
        """Ids of the workers whose jobs this process takes, without those whose file does not load here."""
        return [one for one in self._serving.worker_ids(self._engine.registry) if one not in self._refused]

    async def _claim_due(self) -> float:
        """Claim while there is room; gives when the next job is due."""
        engine, serving = self._engine, self._serving
        while True:
            workers = self.workers if serving.takes_jobs else []
            families = engine.families
            if families is not None and not families:
                return float("inf")
            await engine.renew_membership()
            limit = min(self.free, BATCH)
            self._is_full = limit == 0
            claimed = await engine.store.claim_jobs(
                engine.process_id, workers, limit, queues=serving.queues, families=families
            )
            engine.outage.over("jobs")
            for record in claimed:
                self._take(record)
            if len(claimed) < limit or limit == 0:  # without room: when the next one expires
                wanted = workers if limit else []
                return await engine.store.next_job(wanted, queues=serving.queues, families=families)

    def _take(self, record: JobRecord) -> None:
        """Work a job that this process has claimed."""
        try:
            worker = self._engine.registry.worker(record.worker)
            worker.signature  # noqa: B018
            definition = self._definition(record)
        except Exception as error:
            # The file is there but does not load: its jobs are left to a process where it does.
            log.error("job %s cannot be worked by this process: %s", record.job_id, error)
            self._refused.add(record.worker)
            self._spawn(self._give_back(record))
            return
        info = RunInfo(record.run_id, record.workflow, record.version)
        surroundings = Surroundings(info, definition, self._engine.process)
        try:
            if (failure := job_crash_loop(record, self._max_claims)) is not None:
                raise failure
            work = JobWork(record, worker, surroundings, self._engine.codec, self)
        except Exception as error:  # no process of this version can: the input or the policy is of another one
            self._spawn(self._fail(record, error))
            return
        if record.claims > 1:
            log.info("%r of run %s is taken over (epoch %d)", work, record.run_id, record.epoch)
        work.thread = self._threads.pop(record.job_id, None)
        if not self._at_work:
            self._stir.set()  # from now on somebody looks after them
        self._at_work[record.job_id] = work
        self._idle.clear()
        if surroundings.needs_run:
            self._spawn(self._begin_with_run(work, definition))
        else:
            surroundings.open()
            self._begin(work)

    def _definition(self, record: JobRecord) -> WorkflowDefinition | None:
        """The workflow of a job's run, if this process has it; what its source raises goes through."""
        try:
            return self._engine.registry.workflow(record.workflow, record.version)
        except UnknownWorkflowError:
            return None

    def _begin(self, work: JobWork) -> None:
        if self._at_work.get(work.record.job_id) is not work or work.was_recorded:  # it was stopped meanwhile
            return
        self._stops[work.record.job_id] = self._engine.start_step(work, work.record.attempt)

    async def _begin_with_run(self, work: JobWork, definition: WorkflowDefinition | None) -> None:
        """Read the run first, which its workflow's context factory or middleware is told of."""
        engine, surroundings = self._engine, work.surroundings
        try:
            run = await engine.store.get_run(work.run_id)
            surroundings.info = RunInfo(run.run_id, run.workflow, run.version, run.tags)
            arguments: tuple[Any, ...] = ()
            if definition is not None and definition.signature.takes_input and run.input is not None:
                what = f"the input of run {run.run_id}"
                arguments = (engine.codec.decode(run.input, definition.signature.input, what),)
            surroundings.open(*arguments)
        except Exception as error:
            # A fault of this process, not of the job: it is given back, and taken up again after a while.
            log.error(
                "%r cannot be worked by this process: %s", work, error, exc_info=not isinstance(error, WfgenError)
            )
            work.was_recorded = True
            self.requeue(work, LEFT_ALONE, None)
            return
        self._begin(work)

    async def _give_back(self, record: JobRecord) -> None:
        try:
            await self._engine.store.requeue_job(record.job_id, record.epoch, self.time())
        except StoreError as error:  # whoever takes this process's jobs over finds it
            log.error("job %s cannot be given back: %s", record.job_id, error)

    async def _fail(self, record: JobRecord, failure: Exception) -> None:
        """End a job that is not begun."""
        log.error("job %s is not worked: %s", record.job_id, failure)
        began = self.time() if record.started_at is None else record.started_at
        texts = error_name(failure), error_text(failure), record.details
        try:
            await self._engine.store.finish_job(
                record.job_id, record.epoch, JobEnd("failed", record.attempt, began, None, None, *texts)
            )
        except StoreError as error:
            log.error("job %s cannot be recorded: %s", record.job_id, error)
        self._engine.told()

    # Stopping.

    def _stop(self, work: JobWork, why: Any) -> None:
        """Stop a job: an `async def` gets a CancelledError, a plain function finds `job.is_over`."""
        work.stopping = why
        if work.reports is not None:
            work.reports.over = True
        stop = self._stops.get(work.record.job_id)
        if stop is not None:
            stop()
        elif not work.was_recorded:  # not begun yet
            work.cancelled(work.record.attempt)

    async def _watch(self) -> None:
        """Look now and then whether a job at work is to stop, or is another process's by now."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK if self._at_work else None):
                    await self._stir.wait()
            self._stir.clear()
            if self._at_work:
                try:
                    await self._look()
                except StoreError as error:
                    level = self._engine.level_of(error)
                    log.log(level, "jobs at work cannot be looked after: %s", error)
            await asyncio.sleep(LOOK_AGAIN)

    async def _look(self) -> None:
        mine = dict(self._at_work)  # what is claimed meanwhile may not be in the answer
        held = await self._engine.store.held_jobs(self._engine.process_id)
        for job_id, work in mine.items():
            if work.was_recorded or work.stopping is not None or self._at_work.get(job_id) is not work:
                continue
            epoch, is_asked = held.get(job_id, (0, False))
            if epoch != work.record.epoch:
                log.warning("%r was taken from this process", work)
                self._stop(work, "lost")
                self.forget(work)
            elif is_asked:
                self._stop(work, "asked")
