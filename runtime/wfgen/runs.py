"""Handles on runs and their hooks, as a client sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from wfgen.durations import Duration, seconds
from wfgen.errors import RunCancelledError, RunFailedError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.protocol import HookRecord, RunRecord

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
            TimeoutError: it took longer than `timeout`; the run goes on.
        """
        record = await self._engine.finished(self.id, None if timeout is None else seconds(timeout))
        if record.status == "failed":
            raise RunFailedError(self.id, record.error_type or "Error", record.error or "", record.error_code)
        if record.status == "cancelled":
            raise RunCancelledError(self.id, f"run {self.id} was cancelled")
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

    async def waiting(self) -> Sequence[HookRecord]:
        """Its open hooks: step name, token, deadline."""
        return await self._engine.store.hooks(run_id=self.id)

    async def cancel(self) -> None:
        """Ask it to stop; raises UnknownRunError when it is finished."""
        await self._engine.cancel(self.id)


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
            UnknownRunError: there is no such run, or it is finished.
        """
        engine = self._run._engine
        encoded = engine.codec.validate(payload, self._payload, f"the payload of hook {self._name!r}")
        return await engine.resume(encoded, run_id=self._run.id, name=self._name)
