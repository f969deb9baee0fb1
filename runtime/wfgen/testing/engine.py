"""The engine of a test: real runs on a real store file, with time, workers and failures in the test's hands."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from wfgen.client import ClientBase
from wfgen.codec import Codec
from wfgen.definitions import MISSING
from wfgen.durations import Duration
from wfgen.errors import RunFailedError
from wfgen.events import Event
from wfgen.ids import HookToken, RunId
from wfgen.references import WorkerRef, WorkflowRef
from wfgen.runs import Run
from wfgen.settings import Settings
from wfgen.store.records import FINISHED, HookRecord, RunRecord
from wfgen.testing.answers import Answers
from wfgen.testing.bench import Bench
from wfgen.testing.clock import TestClock
from wfgen.testing.definitions import Source, registry_of, settings_around
from wfgen.testing.errors import StuckError, TestingError
from wfgen.testing.faults import Crash, Failure
from wfgen.testing.front import Front
from wfgen.testing.mocks import Mock, MockRegistry, make_mock
from wfgen.testing.steps import work_step
from wfgen.worker_process import WorkerProcess

C = TypeVar("C", bound=ClientBase)
T = TypeVar("T")

GRACE = 2.0
"""Real seconds for which a test that waits may still be helped by another task of its own."""


class TestEngine:
    """Runs workflows in a test.

    ```python
    async with TestEngine(shop.wfgen_gen) as wf:
        charge = wf.mock("payments.charge", returns=Payment(order_id="A-1", amount=12.5))
        wf.answer("approval", Approval(ok=True, by="Grace"))
        assert (await wf.execute("fulfil", order)).status == "shipped"
        charge.assert_called_once_with(order)
    ```

    Time stands still, but while the test waits for a run it jumps to the next timer whenever nothing is at work.

    Args:
        definitions: a generated package, a module with definitions, or functions that were defined.
        store: a store file, kept after the test; by default one in a temporary folder, gone afterwards.
        process: what the process brings to its runs; default what the project's setting `process` names.
        settings: of the project; default those around the generated package.
        real_workers: whether workers that are not mocked run for real; else they fail the test.
        replay: `"always"` forgets each run whenever it waits, replays it from its record when it goes on, and replays
            all finished runs once more at the end.
        start: the time at the beginning; default the machine's.
    """

    __test__ = False  # pytest: no test class, whatever its name

    def __init__(
        self,
        *definitions: Source,
        store: str | Path | None = None,
        process: WorkerProcess | None = None,
        settings: Settings | None = None,
        real_workers: bool = True,
        replay: Literal["needed", "always"] = "needed",
        start: datetime | None = None,
    ) -> None:
        self._failures: list[BaseException] = []
        self.registry = MockRegistry(registry_of(*definitions), real_workers, self._failures.append)
        self._settings = settings or settings_around(definitions)
        self._store = store
        self._process = process
        self._replays = replay == "always"
        self.clock = TestClock(start or datetime.now(UTC), self._still)
        """The time, which this engine's runs see; `await wf.clock.advance("5m")`."""
        self._codec = Codec(self._settings.payload_limit)
        self._bench: Bench | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._front = Front(self._opened, self._wait_finished)
        self._answers = Answers(self._send, self.get_run, self._failures.append)
        self._arranged: list[Failure | Crash] = []
        self._driving = asyncio.Lock()

    # Opening and closing.

    async def __aenter__(self) -> Self:
        if self._bench is not None:
            raise TestingError("this test engine is open already.", "Make one for each test.")
        if self._store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="wfgen-test-", ignore_cleanup_errors=True)
            # What a power failure could lose is of no use afterwards.
            url = f"sqlite:///{Path(self._folder.name).as_posix()}/test.db?synchronous=normal"
        else:
            url = f"sqlite:///{Path(self._store).absolute().as_posix()}"
        # With no waiting run kept in memory, each is replayed from its record when it goes on.
        options = {"engine": url, **({"resident": 0} if self._replays else {})}
        settings = self._settings.model_copy(update=options)
        self._bench = Bench(self.registry, settings, self._process, self.clock, self._observe)
        self._bench.failures = self._failures
        self._bench.faults.add(*self._arranged)
        try:
            await self._bench.open()
        except BaseException:
            self._clean_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        bench = self._opened()
        try:
            if kind is None:
                await bench.still()
                bench.faults.check_reached()
                self._answers.check_reached()
                if self._replays:
                    await self._replay_finished()
        finally:
            await bench.close()
            self._clean_up()
        if kind is None and self._failures:
            raise self._failures[0]

    def run_scenario(self, scenario: Callable[[Self], Awaitable[T]]) -> T:
        """Open, await a coroutine function that is called with this engine, close: for tests that are no coroutines."""

        async def play() -> T:
            async with self:
                return await scenario(self)

        return asyncio.run(play())

    def _opened(self) -> Bench:
        if self._bench is None:
            raise TestingError("this test engine is not open.", "Use it inside `async with TestEngine(...) as wf:`.")
        return self._bench

    def _clean_up(self) -> None:
        self._bench = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    # Runs.

    async def start(
        self,
        workflow: str | WorkflowRef[Any, Any],
        data: Any = MISSING,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
        tags: Collection[str] = (),
    ) -> Run[Any]:
        """Start a run; `await run.result()` lets time pass until it is finished. See `Engine.start_run`."""
        name = workflow if isinstance(workflow, str) else workflow.id
        run: Run[Any] = await self._front.start_run(
            name, data, version=version, idempotency_key=idempotency_key, tags=tags
        )
        return run

    async def execute(
        self, workflow: str | WorkflowRef[Any, Any], data: Any = MISSING, *, version: str | None = None
    ) -> Any:
        """Start a run and wait for its result."""
        return await (await self.start(workflow, data, version=version)).result()

    def client(self, client: type[C]) -> C:
        """The generated, typed client: `wf.client(shop.wfgen_gen.Client).fulfil.start(order)`."""
        return client(self._front.as_engine)

    def get_run(self, run_id: str) -> Run[Any]:
        """A handle on a run."""
        return Run(self._front.as_engine, RunId(run_id))

    async def until_waiting(self, run: Run[Any] | str, hook: str | None = None) -> HookRecord:
        """Let time pass until a run has opened a hook, of a name if that is given, and nothing is at work.

        Raises:
            StuckError: the run finished before, or it cannot get there.
        """
        run_id = run if isinstance(run, str) else run.id
        what = f"a hook of run {run_id}" if hook is None else f"hook {hook!r} of run {run_id}"

        async def look() -> HookRecord | None:
            bench = self._opened()
            for record in await bench.store.hooks(run_id=run_id):
                if hook is None or record.name == hook:
                    return record
            info = await bench.store.get_run(run_id)
            if info.status in FINISHED:
                raise StuckError(f"{what} was not opened: the run is {info.status}{_reason(info)}.")
            return None

        return await self._drive(look, what, None)

    async def until_still(self) -> None:
        """Wait until nothing is at work any more; time stands still meanwhile."""
        await self._still()

    # Workers.

    def mock(
        self,
        worker: str | WorkerRef[Any, Any],
        *,
        returns: Any = MISSING,
        raises: BaseException | type[BaseException] | None = None,
        outcomes: Sequence[Any] | None = None,
        side_effect: Callable[..., Any] | None = None,
        takes: Duration | None = None,
    ) -> Mock:
        """Replace a worker. Its types and its policies for retries and timeouts stay in force.

        Args:
            worker: its id or reference.
            returns: the result of every call.
            raises: the error of every call.
            outcomes: a result or an error for each call, in order.
            side_effect: a function that is called with the input, and the Job if it takes a second argument.
            takes: how long each call takes, by the test's clock; the worker's timeout applies.

        Raises:
            MockError: a result does not fit the type that the worker declares.
            UnknownWorkerError: there is no such worker.
        """
        worker_id = worker if isinstance(worker, str) else str(worker.id)
        mock = make_mock(
            self.registry.base.worker(worker_id),
            returns=returns,
            raises=raises,
            outcomes=outcomes,
            side_effect=side_effect,
            takes=takes,
            clock=self.clock,
            codec=self._codec,
            failed=self._failures.append,
        )
        self.registry.mocks[worker_id] = mock
        return mock

    async def step(self, worker: str | WorkerRef[Any, Any], data: Any = MISSING, *, context: Any = None) -> Any:
        """Work one worker alone: with a Job, its types checked, its retries and timeout, but without a run.

        Args:
            worker: its id or reference; a mock of it does not count.
            data: its input.
            context: what `job.context` is.

        Raises:
            InvalidInputError: the input does not fit.
            SerializationError: the result does not fit.
            Exception: what the worker raised in its last attempt, as it is.
        """
        worker_id = worker if isinstance(worker, str) else str(worker.id)
        return await work_step(self.registry.base.worker(worker_id), data, context, self._codec, self.clock)

    # Hooks, failures, crashes.

    def answer(self, hook: str, *payloads: Any) -> None:
        """Answer the next hooks of a name, in order, as soon as a run opens them.

        Args:
            hook: its step's name.
            payloads: one for each hook: a value, or a function that is called with the run and gives one.
        """
        self._answers.add(hook, payloads)
        if self._bench is not None:
            self._bench.spawn(self._answer_open(hook))

    def fail(
        self,
        step: str,
        error: BaseException | type[BaseException],
        *,
        attempt: int | None = 1,
    ) -> None:
        """Make an attempt at a step raise an error in place of its work, in each run that gets there.

        Args:
            step: its name, or its key such as `0.1/charge#2`.
            error: what is raised.
            attempt: which one, from 1; None for all.
        """
        self._arrange(Failure(step, attempt, error() if isinstance(error, type) else error))

    def crash_after(self, step: str) -> None:
        """End the engine right after the end of a step, sleep or hook is recorded, once; another one goes on."""
        self._arrange(Crash(step, "after"))

    def crash_during(self, step: str) -> None:
        """End the engine when a step has done its work and before that is recorded, once: it runs again."""
        self._arrange(Crash(step, "during"))

    async def restart(self) -> None:
        """End the engine and open another one on the same store, which replays all runs that are in flight."""
        bench = self._opened()
        await bench.still()
        await bench.restart()
        await bench.still()

    # Inside.

    def _arrange(self, fault: Failure | Crash) -> None:
        if self._bench is None:
            self._arranged.append(fault)
        else:
            self._bench.faults.add(fault)

    def _observe(self, run_id: RunId, event: Event) -> None:
        bench = self._opened()
        self._answers.recorded(event)
        if event.type == "hook_created" and event.key is not None:
            self._give(run_id, HookToken(event.data["token"]), event.key.partition("/")[2])
        bench.faults.recorded(event)

    def _give(self, run_id: RunId, token: HookToken, name: str) -> None:
        answer = self._answers.take(run_id, token, name)
        if answer is not None:
            self._opened().spawn(answer)

    async def _answer_open(self, name: str) -> None:
        for hook in await self._opened().store.hooks():
            if hook.name == name:
                self._give(hook.run_id, hook.token, name)

    async def _send(self, payload: Any, token: HookToken, name: str) -> None:
        engine = await self._opened().ready()
        encoded = self._codec.validate(payload, Any, f"the answer to hook {name!r}")
        await engine.controls.resume_hook(encoded, token=token)

    async def _still(self) -> None:
        await self._opened().still()

    async def _wait_finished(self, run_id: str, timeout: float | None) -> RunRecord:
        async def look() -> RunRecord | None:
            record = await self._opened().store.get_run(run_id)
            return record if record.status in FINISHED else None

        until = None if timeout is None else self.clock.time() + timeout
        return await self._drive(look, f"the end of run {run_id}", until)

    async def _drive(self, look: Callable[[], Awaitable[T | None]], what: str, until: float | None) -> T:
        """Let time jump until `look` finds something.

        Raises:
            TimeoutError: the clock has reached `until` first.
            StuckError: nothing can happen any more.
        """
        patience = asyncio.get_running_loop().time() + GRACE
        while True:
            async with self._driving:
                bench = self._opened()
                await bench.still()
                found = await look()
                if found is not None:
                    return found
                if bench.is_busy:  # what was looked at has gone on meanwhile
                    continue
                due = self.clock.next_due
                if until is not None and (due is None or due > until):
                    self.clock.jump(until)
                    raise TimeoutError(f"{what} has not come in time, by the test's clock.")
                if due is not None:
                    patience = asyncio.get_running_loop().time() + GRACE
                    self.clock.jump(due)
                    continue
            if asyncio.get_running_loop().time() > patience:
                raise StuckError(
                    f"the test waits for {what}, and nothing is left that could bring it about.",
                    "Arrange what the run waits for: wf.answer(...) for a hook, run.resume() for a paused run.",
                )
            await asyncio.sleep(0.005)

    async def _replay_finished(self) -> None:
        from wfgen.testing.histories import take_history
        from wfgen.testing.replays import replay_history

        bench = self._opened()
        for record in await bench.store.list_runs(limit=10_000):
            if record.status in FINISHED:
                replay_history(take_history(record, await bench.store.history(record.run_id)), self.registry)


def _reason(info: RunRecord) -> str:
    if info.error_type is None:
        return ""
    return f": {RunFailedError(info.run_id, info.error_type, info.error or '', info.error_code)}"
