"""The engine: claims runs from a store, works them, and answers for them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Literal

from wfgen.codec import Codec
from wfgen.definitions import MISSING, WorkflowDefinition
from wfgen.durations import seconds
from wfgen.environment import Environment
from wfgen.errors import (
    InvalidInputError,
    LeaseLostError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    WfgenError,
)
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.heartbeat import Heartbeat
from wfgen.ids import RunId
from wfgen.registry import Registry
from wfgen.runs import Run
from wfgen.settings import Settings
from wfgen.step_runner import StepRunner
from wfgen.store.engines import open_store
from wfgen.store.processes import this_process
from wfgen.store.protocol import Append, Claimed, NewRun, RunRecord, Store, Verdict
from wfgen.timers import Timers
from wfgen.waiters import Waiters

log = logging.getLogger("wfgen.engine")


FIRST_RETRY, LAST_RETRY = 0.1, 10.0
"""Seconds between attempts to write to a store that cannot be written just now."""


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
    ) -> None:
        self.store = store
        self.registry = registry
        self.settings = settings
        self.codec = Codec(settings.payload_limit)
        self.process_id = ""
        self._environment = environment
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._executions: dict[str, Execution] = {}
        self._waiters = Waiters(store, self._executions)
        self._timers = Timers(self._loop, environment.clock)
        self._executor: Executor = environment.executor()
        self._steps = StepRunner(self._loop, environment, self._executor)
        self._heartbeat: Heartbeat | None = None
        self._lease = seconds(settings.lease)
        self._wake = asyncio.Event()
        self._claiming: asyncio.Task[None] | None = None
        self._files: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()
        """Workflows whose source does not load."""
        self._background: set[asyncio.Task[None]] = set()
        self._fetching = asyncio.Lock()
        """Held while messages are read and given to their runs."""

    # Starting and asking.

    async def start_run(
        self, workflow: str, data: Any = MISSING, *, version: str | None = None, idempotency_key: str | None = None
    ) -> Run[Any]:
        """Record a new run; whoever works this store takes it up.

        Args:
            workflow: its name.
            data: the input; leave it out if the workflow takes none.
            version: default the latest.
            idempotency_key: a second start with the same key returns the first run.

        Raises:
            UnknownWorkflowError, InvalidInputError, SerializationError: nothing was recorded.
            ConflictError: the key was used with another input.
        """
        definition = self.registry.workflow(workflow, version)
        encoded = definition.encode_input(data, self.codec.validate)
        return await self._create(definition, encoded, idempotency_key)

    async def start_run_json(
        self,
        workflow: str,
        text: str | bytes | None,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Run[Any]:
        """The same with the input as JSON text; None for no input."""
        definition = self.registry.workflow(workflow, version)
        data = MISSING if text is None else text
        encoded = definition.encode_input(data, self.codec.validate_json)
        return await self._create(definition, encoded, idempotency_key)

    def run(self, run_id: str) -> Run[Any]:
        """A handle on a run; nothing is looked up yet."""
        return Run(self, RunId(run_id))

    async def cancel(self, run_id: str) -> None:
        """Ask a run to stop: its code gets a CancelledError, once.

        Raises:
            UnknownRunError: there is no such run, or it is finished.
        """
        await self.store.send("cancel", run_id=RunId(run_id))
        await self._fetch_messages()

    async def resume(
        self, payload: bytes, *, token: str | None = None, run_id: str | None = None, name: str | None = None
    ) -> Literal["sent", "duplicate"]:
        """Send an encoded payload to a hook: by token, or by run and name; kept if the run has not got there yet.

        Raises:
            UnknownHookError, UnknownRunError: nobody can take it.
        """
        sent = await self.store.send(
            "hook", run_id=None if run_id is None else RunId(run_id), token=token, name=name, payload=payload
        )
        await self._fetch_messages()
        return sent

    async def resume_json(
        self, text: str | bytes, *, token: str | None = None, run_id: str | None = None, name: str | None = None
    ) -> Literal["sent", "duplicate"]:
        """The same for JSON text that comes from outside.

        Raises:
            InvalidInputError: it is no JSON.
        """
        return await self.resume(
            self.codec.validate_json(text, Any, "the payload"), token=token, run_id=run_id, name=name
        )

    async def finished(self, run_id: str, timeout: float | None = None) -> RunRecord:
        """Wait until a run is finished.

        Raises:
            TimeoutError: it took longer than `timeout` seconds; the run goes on.
            UnknownRunError: there is no such run.
        """
        async with asyncio.timeout(timeout):
            return await self._waiters.finished(run_id)

    # Opening and closing.

    async def start(self) -> None:
        """Begin to work runs."""
        await self._register()
        self._claiming = self._loop.create_task(self._claim())

    async def _register(self) -> None:
        process = this_process(self._environment)
        self.process_id = process.process_id
        await self.store.register(process, self._lease)
        self._heartbeat = Heartbeat(self.store, self.process_id, self._lease, self._environment, self._lapsed)
        self._heartbeat.start()

    async def close(self) -> None:
        """Stop: steps on the loop are cancelled, runs are given back to whoever comes next. Nothing is lost."""
        if self._claiming is not None:
            self._claiming.cancel()
            await asyncio.gather(self._claiming, return_exceptions=True)
        await asyncio.gather(*self._background, return_exceptions=True)
        self._timers.close()
        for execution in list(self._executions.values()):
            execution.drop()
        self._executions.clear()
        await self._steps.close()
        if self._heartbeat is not None:
            await self._heartbeat.close()
            with contextlib.suppress(StoreError):
                await self.store.leave(self.process_id)
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._waiters.close()

    # What an execution needs (Host).

    def time(self) -> float:
        return self._environment.clock.time()

    def soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self._timers.at(due, callback)

    def start_step(self, operation: Any, attempt: int) -> Callable[[], None]:
        return self._steps.start(operation, attempt)

    def shorten(self, filename: str) -> str:
        short = self._files.get(filename)
        if short is None:
            path = Path(filename)
            project = self.settings.project.absolute()
            short = path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()
            self._files[filename] = short
        return short

    def append(self, append: Append, done: Callable[[Verdict], None], *, delay: float = FIRST_RETRY) -> None:
        if self._heartbeat is None or not self._heartbeat.valid:
            self._loop.call_soon(done, LeaseLostError(f"this process has lost its lease on run {append.run_id}."))
            return

        def settle(verdict: Verdict) -> None:
            if verdict is None and self._observe is not None:
                for event in append.events:
                    self._observe(append.run_id, event)
            if verdict is None and (append.children or append.given_up):
                self._wake.set()
                self._spawn(self._fetch_messages())
            if not isinstance(verdict, StoreBusyError | StoreFullError):
                done(verdict)
                return
            log.error("run %s cannot be recorded, next attempt in %g s: %s", append.run_id, delay, verdict)
            self._loop.call_later(delay, lambda: self.append(append, done, delay=min(delay * 2, LAST_RETRY)))

        self.store.append(append, settle)

    def continued(self, execution: Execution, start: Event) -> None:
        async def go_on() -> None:
            run = dataclasses.replace(execution.run, input=start.payload)
            # Read anew, while no other reading is under way: that could bring what the old part has answered.
            async with self._fetching:
                try:
                    messages = await self.store.messages(self.process_id)
                except StoreError as error:
                    log.error("run %s cannot go on in this process: %s", run.run_id, error)
                    self.ended(execution, None)
                    return
                if self._executions.get(run.run_id) is execution:  # not given up meanwhile
                    self._take(Claimed(run, [start], [m for m in messages if m.run_id == run.run_id]))

        self._spawn(go_on())

    def ended(self, execution: Execution, last: Append | None) -> None:
        run = execution.run
        if self._executions.get(run.run_id) is execution:
            del self._executions[run.run_id]
        if last is not None:
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
                finished_at=last.events[-1].time,
            )
            self._waiters.tell(record)
            if execution.has_family:
                self._spawn(self._fetch_messages())
        else:
            # Given back after a while, if it is still ours: its record could not be written, or it was lost anyway.
            self._loop.call_later(LAST_RETRY, lambda: self._release(run.run_id, run.epoch))
        if last is None or len(self._executions) == self.settings.concurrency - 1:
            self._wake.set()

    # Claiming.

    async def _create(self, definition: WorkflowDefinition, encoded: bytes | None, key: str | None) -> Run[Any]:
        if key is not None and not (0 < len(key) <= 255 and key.isprintable()):
            raise InvalidInputError(
                f"{key!r:.80} cannot be an idempotency key.", hint="Use printable text of 1 to 255 characters."
            )
        new = NewRun(
            run_id=RunId(f"run_{uuid.UUID(int=self._environment.random.getrandbits(128), version=4).hex}"),
            workflow=definition.name,
            version=definition.version,
            input=encoded,
            salt=f"{self._environment.random.getrandbits(128):032x}",
            idempotency_key=key,
        )
        takes = self._heartbeat is not None and self._heartbeat.valid and self._free > 0
        try:
            record, created = await self.store.create(new, self.process_id if takes else None)
        except asyncio.CancelledError:
            # It may be recorded all the same, as ours in its first epoch: given back, so that somebody works it.
            self._release(new.run_id, 1)
            raise
        if created and record.owner is not None and record.owner == self.process_id:
            data = {"workflow": record.workflow, "version": record.version}
            started = Event(1, "run_started", record.created_at, None, data, record.input)
            self._take(Claimed(record, [started], []))
        elif created:
            self._wake.set()
        return Run(self, record.run_id)

    @property
    def _free(self) -> int:
        """How many more runs this process takes."""
        parked = sum(execution.waits_for_children for execution in self._executions.values())
        return self.settings.concurrency - len(self._executions) + parked

    async def _claim(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._claim_some()
            except WfgenError as error:
                log.error("no run can be claimed: %s", error)
                await asyncio.sleep(FIRST_RETRY)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 3):
                    await self._wake.wait()

    async def _claim_some(self) -> None:
        if self._free <= 0:
            return
        if self._heartbeat is not None and not self._heartbeat.valid:
            # Under a new id: what the old one held belongs to others now.
            self._drop_all()
            await self._heartbeat.close()
            await self._register()
        workflows = [known for known in self.registry.workflows if known not in self._refused]
        claimed = await self.store.claim(self.process_id, workflows, self._free)
        for one in claimed:
            self._take(one)

    def _take(self, claimed: Claimed) -> None:
        run = claimed.run
        try:
            definition = self.registry.workflow(run.workflow, run.version)
        except Exception as error:
            # The file is there but does not load: its runs are left to a process where it does.
            log.error("workflow %r version %r cannot be loaded: %s", run.workflow, run.version, error)
            self._refused.add((run.workflow, run.version))
            self._release(run.run_id, run.epoch)
            return
        execution = Execution(claimed, definition, self)
        self._executions[run.run_id] = execution
        if run.claims > 1:
            log.info("run %s of workflow %r is taken over (claim %d)", run.run_id, run.workflow, run.claims)
        # Not from inside this task: a run's loop is driven from plain callbacks.
        self._loop.call_soon(execution.begin)

    def _release(self, run_id: RunId, epoch: int) -> None:
        async def release() -> None:
            with contextlib.suppress(StoreError):  # nobody else takes it before this process ends
                await self.store.release(run_id, epoch)
            self._wake.set()

        self._spawn(release())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _drop_all(self) -> None:
        for execution in list(self._executions.values()):
            execution.drop()
        self._executions.clear()

    def _lapsed(self) -> None:
        if self._executions:
            log.warning("the lease has lapsed: %d runs are given up", len(self._executions))
        self._drop_all()
        self._wake.set()

    # What comes from outside.

    def _changed(self) -> None:
        self._wake.set()
        self._waiters.look_again()
        if self._executions:
            self._spawn(self._fetch_messages())

    async def _fetch_messages(self) -> None:
        if not self._executions:
            return
        async with self._fetching:
            for message in await self.store.messages(self.process_id):
                execution = self._executions.get(message.run_id)
                if execution is not None:
                    self._loop.call_soon(execution.receive, message)


@contextlib.asynccontextmanager
async def open_engine(
    registry: Registry,
    settings: Settings,
    *,
    work: bool = True,
    environment: Environment | None = None,
    observe: Callable[[RunId, Event], None] | None = None,
) -> AsyncIterator[Engine]:
    """Open the engine that the settings name.

    Args:
        registry: the workflows and workers.
        settings: where the store is, lease, limits.
        work: whether this process claims and works runs, or is only a client.
        environment: clock, randomness and threads; the machine's own by default.
        observe: told of each event that this process has recorded, on the engine's loop.

    Raises:
        StoreError: the store cannot be used.
    """
    environment = environment or Environment()
    store = open_store(settings.engine, settings.project, environment)
    await store.open()
    try:
        engine = Engine(store, registry, settings, environment, observe)
        try:
            store.on_change(engine._changed)
            if work:
                await engine.start()
            yield engine
        finally:
            await engine.close()
    finally:
        await store.close()
