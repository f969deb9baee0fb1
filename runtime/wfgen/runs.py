"""Handles on runs and their hooks, as a client sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast

from wfgen.checkpoints import Checkpoint, effective
from wfgen.definitions import MISSING
from wfgen.durations import Duration, seconds
from wfgen.emissions import Progress
from wfgen.errors import run_error
from wfgen.events import Event
from wfgen.history import HistoryEntry, entries
from wfgen.ids import RunId
from wfgen.step_states import StepState
from wfgen.store.jobs import JobRecord
from wfgen.store.records import HookRecord, RunRecord

if TYPE_CHECKING:
    from wfgen.engine import Engine

O = TypeVar("O")  # noqa: E741
P = TypeVar("P")


class Run(Generic[O]):
    """One execution of a workflow. All methods raise UnknownRunError when the store has none of that id."""

    def __init__(self, engine: Engine, id: RunId) -> None:
        self.id = id
        self._engine = engine

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    @property
    def hooks(self) -> Hooks:
        """Its hooks, by name: `run.hooks.approval`, `run.hooks["any name"]`."""
        return Hooks(self)

    async def result(self, timeout: Duration | None = None) -> O:
        """Wait for the result.

        Raises:
            RunFailedError: the run failed.
            RunCancelledError: it was cancelled.
            RunTerminatedError: it was terminated.
            TimeoutError: it took longer than `timeout`; the run goes on.
        """
        record = await self._engine.finished(self.id, None if timeout is None else seconds(timeout))
        if record.status != "completed":
            raise run_error(self.id, record.status, record.error_type, record.error, record.error_code)
        definition = self._engine.registry.workflow(record.workflow, record.version)
        assert record.output is not None
        recorded = None
        if definition.signature.output is Any:
            recorded = (await self.history())[-1].data.get("type")
        what = f"the result of run {self.id}"
        return cast("O", self._engine.codec.load(record.output, definition.signature.output, recorded, what))

    async def info(self) -> RunRecord:
        """Status, times, error: the row that summarises it."""
        return await self._engine.store.get_run(self.id)

    async def history(self) -> list[Event]:
        """Everything that is recorded of it, in order."""
        return await self._engine.store.history(self.id)

    async def progress(self) -> Progress | None:
        """What its code last said with `workflow.progress(...)`; None if it has said nothing yet."""
        return Progress.last(effective(await self.history()))

    async def entries(self) -> list[HistoryEntry]:
        """The same as it is looked at: attempt, process, duration, payload, and whether it still counts."""
        return entries(await self.history())

    async def steps(self) -> list[StepState]:
        """Where each step stands: those that were reached, then the others that the workflow's source has.

        A step that is at work shows as `running` where this process works the run; else, unless a start or a failed
        attempt is recorded of it, as `pending`.
        """
        record = await self.info()
        return self._engine.step_states(record, await self.history())

    async def jobs(self) -> list[JobRecord]:
        """Its steps that were put on queues, as jobs, newest first: at most 1,000 of them."""
        found = await self._engine.store.list_jobs(run_id=self.id, limit=1000)
        if not found:
            await self.info()  # to tell a run that has none from one that is not there
        return found

    async def waiting(self) -> Sequence[HookRecord]:
        """Its open hooks: step name, token, deadline."""
        found = await self._engine.store.hooks(run_id=self.id)
        if not found:
            await self.info()  # to tell a run that waits for none from one that is not there
        return found

    async def cancel(self) -> None:
        """Ask it to stop; raises RunStateError when it is finished. A paused run goes on to do so."""
        await self._engine.controls.cancel(self.id)

    async def pause(self) -> Literal["sent", "duplicate"]:
        """Let nothing new begin; steps at work end and are recorded, timers and messages wait.

        `duplicate`: it is paused, or is asked to be. Raises RunStateError when it is finished.
        """
        return await self._engine.controls.pause(self.id)

    async def resume(self) -> Literal["sent", "duplicate"]:
        """Go on after a pause, at the exact point; timers that came due in the meantime fire then.

        `duplicate`: it is not paused. Raises RunStateError when it is finished.
        """
        return await self._engine.controls.resume(self.id)

    async def terminate(self, reason: str | None = None) -> None:
        """End it at once: its code is not asked, and nothing is undone. Raises RunStateError when it is finished."""
        await self._engine.controls.terminate(self.id, reason)

    async def retry(self) -> None:
        """Run it again from the step whose error ended it; what completed before does not run again.

        Raises:
            RunStateError: it has not failed, or its steps have been undone.
        """
        await self._engine.controls.retry(self.id)

    async def rollback(self, to: int, *, compensate: bool = False) -> None:
        """Take it back to a checkpoint, finished or not; it goes on from there.

        Args:
            to: seq of the checkpoint; what was recorded after it does not count any more.
            compensate: whether the steps completed after it are undone first, with their compensations.

        Raises:
            RunStateError: there is no such checkpoint, or it is not kept.
        """
        await self._engine.controls.rollback(self.id, to, compensate=compensate)

    async def fork(self, at: int, data: Any = MISSING, *, idempotency_key: str | None = None) -> Self:
        """Start a new run with its history up to a checkpoint; this one stays as it is.

        Args:
            at: seq of the checkpoint.
            data: another input; left out for the same one.
            idempotency_key: a second fork with the same key returns the first one.

        Raises:
            RunStateError: there is no such checkpoint, or it is not kept.
            InvalidInputError: the data does not fit the workflow's input.
            ConflictError: the key was used for something else.
        """
        forked = await self._engine.controls.fork(self.id, at, data, idempotency_key=idempotency_key)
        return type(self)(self._engine, forked.id)

    async def checkpoints(self) -> list[Checkpoint]:
        """Where it can be rolled back to and forked from, oldest first."""
        return await self._engine.controls.checkpoints(self.id)


class Hooks:
    """The hooks of a run, open or still to be opened."""

    def __init__(self, run: Run[Any]) -> None:
        self._run = run

    def __getitem__(self, name: str) -> HookRef[Any]:
        return self._hook(name, Any)

    def _hook(self, name: str, payload: Any) -> HookRef[Any]:
        return HookRef(self._run, name, payload)


class HookRef(Generic[P]):
    """A hook of a run by its name."""

    def __init__(self, run: Run[Any], name: str, payload: Any) -> None:
        self._run = run
        self._name = name
        self._payload = payload

    @property
    def payload_type(self) -> Any:
        """What a payload has to fit; Any when the generated client does not know."""
        return self._payload

    async def resume(self, payload: P) -> Literal["sent", "duplicate"]:
        """Send the payload; kept if the run has not got there yet.

        Raises:
            InvalidInputError: the payload does not fit the hook's type; nothing was sent.
            UnknownRunError: there is no such run.
            RunStateError: it is finished.
        """
        engine = self._run._engine
        encoded = engine.codec.validate(payload, self._payload, f"the payload of hook {self._name!r}")
        return await engine.controls.resume_hook(encoded, run_id=self._run.id, name=self._name)
