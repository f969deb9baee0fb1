"""The child runs of one run: started with what the run records, and heard of through its inbox.

A child is created in the transaction that records its start, under an id that derives from the parent's, so that it is
started once. When it ends, the store puts its end into the parent's inbox in the transaction that records it; and when
the parent ends, the store asks those children to stop whose policy says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any, Generic, Literal, TypeVar

from wfgen.causes import caused_by
from wfgen.codec import Codec
from wfgen.definitions import WorkflowDefinition
from wfgen.errors import run_error
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.operations import Operation, wait_for_operation
from wfgen.recorder import Recorder
from wfgen.registry import Registry
from wfgen.store.records import ChildEnd, Message, NewRun, RunRecord

T = TypeVar("T")

OnParentEnd = Literal["cancel", "abandon"]
"""What becomes of a child whose parent ends first, or gives it up: it is cancelled, or goes on alone."""


class Child(Generic[T]):
    """A child run that was started; awaiting it gives its result."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    @property
    def run_id(self) -> RunId:
        """The child's run id."""
        assert self._operation.child is not None
        return self._operation.child.run_id

    def __await__(self) -> Generator[Any, Any, T]:
        return wait_for_operation(self._operation).__await__()


class OpenChildren:
    """The children of a run whose end it does not know of.

    Args:
        run: the parent.
        origin: text from which the children's ids derive.
        recorder: where starts and ends are recorded.
        registry: knows the children's workflows.
        codec: encodes inputs, loads results.
    """

    def __init__(self, run: RunRecord, origin: str, recorder: Recorder, registry: Registry, codec: Codec) -> None:
        self._run = run
        self._origin = origin
        self._recorder = recorder
        self._registry = registry
        self._codec = codec
        self._open: dict[str, Operation] = {}
        self.started = False
        """Whether this process has recorded the start of one."""

    @property
    def waiting(self) -> bool:
        """Whether a child is at work."""
        return bool(self._open)

    def prepare(self, operation: Operation, data: Any, on_parent_end: OnParentEnd, recorded: str | None = None) -> None:
        """Check the input and choose the child's id and version, unless it was started before: `recorded` is its id.

        Raises:
            UnknownWorkflowError: the registry has none of that name.
            InvalidInputError: the data does not fit its input.
        """
        if recorded is not None:
            # It stays what it was started as, whatever its workflow takes today: only its id matters here.
            operation.child = NewRun(RunId(recorded), str(operation.target), version="", input=None, salt="")
            return
        definition = self._registry.workflow(str(operation.target))
        digest = hashlib.sha256(f"{self._origin}/{self._run.run_id}/{operation.key}".encode()).hexdigest()
        operation.child = NewRun(
            run_id=RunId(f"run_{digest[:32]}"),
            workflow=definition.name,
            version=definition.version,
            input=definition.encode_input(data, self._codec.validate),
            salt=digest[32:],
            parent=(self._run.run_id, operation.key),
            on_parent_end=on_parent_end,
            tags=definition.sorted_tags(),
        )

    def open(self, operation: Operation, opening: Event | None) -> None:
        """Start a child, or take it up again as it was recorded."""
        child = operation.child
        assert child is not None
        self._open[operation.key] = operation
        if opening is None:
            self.started = True
            self._recorder.record("child_started", operation, {"run_id": child.run_id, "version": child.version})
            self._recorder.outgoing.children.append(child)

    def close(self, operation: Operation) -> None:
        """The code no longer waits for a child."""
        if self._open.pop(operation.key, None) is not None:
            self._recorder.outgoing.given_up.append(operation.key)

    def replayed(self, key: str) -> None:
        """A child's recorded end was delivered."""
        self._open.pop(key, None)

    def take(self, message: Message) -> Event | None:
        """Turn a child's end into an event; None while nobody waits for it."""
        operation = self._open.pop(message.name or "", None)
        if operation is None:
            return None
        assert operation.child is not None
        self._recorder.outgoing.consumed.append(message.id)
        end = ChildEnd.load(message.payload or b"")
        data: dict[str, Any] = {"run_id": operation.child.run_id, "version": end.version}
        if end.status == "completed":
            if end.type is not None:
                data["type"] = end.type
            return self._recorder.record("child_completed", operation, data, end.output)
        data |= {"status": end.status, "error_type": end.error_type, "error": end.error, "code": end.error_code}
        return self._recorder.record("child_failed", operation, data)

    def settle(self, operation: Operation, event: Event) -> None:
        """Give the child's recorded end to the code that waits for it."""
        data = event.data
        if event.type == "child_failed":
            what = f"child run {data['run_id']} ({operation!r})"
            error = run_error(data["run_id"], data["status"], data["error_type"], data["error"], data["code"], what)
            operation.future.set_exception(caused_by(error, operation.key))
            return
        definition: WorkflowDefinition = self._registry.workflow(str(operation.target), data["version"])
        assert event.payload is not None
        what = f"the recorded result of {operation!r}"
        value = self._codec.load(event.payload, definition.signature.output, data.get("type"), what)
        operation.future.set_result(value)
