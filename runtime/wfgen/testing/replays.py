"""Today's code against recorded histories, without running a single step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wfgen.checkpoints import STARTS, effective
from wfgen.codec import Codec
from wfgen.conformance import OffGraph
from wfgen.definitions import WorkflowDefinition
from wfgen.errors import CrashLoopError, DivergenceError
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.lifecycle import Handler, RunUpdate
from wfgen.operations import Operation
from wfgen.registry import Registry
from wfgen.store.records import Append, Claimed, RunRecord, Verdict
from wfgen.testing.definitions import Source, registry_of
from wfgen.testing.histories import History, history_files, load_history
from wfgen.worker_process import OpenProcess

ENDS = {"run_completed": "completed", "run_failed": "failed", "run_cancelled": "cancelled"}

_HINT = (
    "Runs in flight would fail. Put the old steps back and guard new ones with `workflow.patched(...)`, or give the "
    "changed workflow a new version."
)


def replay_history(
    history: History | str | Path, *definitions: Source, dependencies: Any = None, payload_limit: int = 2_097_152
) -> None:
    """Run today's code against a recorded history; no step runs, nothing is recorded.

    Args:
        history: a file, or what `load_history` has read from one.
        definitions: today's, as TestEngine takes them.
        dependencies: what the process's context factory would have made.
        payload_limit: the setting.

    Raises:
        DivergenceError: the code does not do what is recorded, or does more after the end of a finished run.
        UnknownWorkflowError: there is no such workflow, or not that version of it, any more.
    """
    if not isinstance(history, History):
        history = load_history(history)
    registry = registry_of(*definitions)
    definition = registry.workflow(history.workflow, history.version)
    for part in _parts(history.events):
        _replay(history, part, definition, registry, dependencies, payload_limit)


def assert_replays(folder: str | Path, *definitions: Source, dependencies: Any = None) -> int:
    """Replay all histories in a folder; returns how many there are.

    Raises:
        DivergenceError: one does not replay; the message lists all that do not.
        TestingError: there is none.
    """
    registry = registry_of(*definitions)
    files = history_files(folder)
    diverged = []
    for path in files:
        try:
            replay_history(path, registry, dependencies=dependencies)
        except DivergenceError as error:
            diverged.append(f"{path.name}: {error.message}")
    if diverged:
        listed = "\n".join(f"  {text}" for text in diverged)
        raise DivergenceError(
            f"{len(diverged)} of {len(files)} histories in {folder} do not replay:\n{listed}", hint=_HINT
        )
    return len(files)


def _parts(events: Sequence[Event]) -> list[list[Event]]:
    """What counts of a history, from each start to the next one, which ends the part: its code has to come to it."""
    parts: list[list[Event]] = []
    for event in effective(events):
        if event.type in STARTS:
            if parts:
                parts[-1].append(event)
            parts.append([])
        parts[-1].append(event)
    return parts


def _replay(
    history: History,
    events: list[Event],
    definition: WorkflowDefinition,
    registry: Registry,
    dependencies: Any,
    payload_limit: int,
) -> None:
    last = events[-1]
    has_ended = len(events) > 1 and (last.type in ENDS or last.type in STARTS or last.type == "run_terminated")
    if last.type == "run_terminated" or (last.type == "run_failed" and last.data.get("code") in _NOT_OF_THE_CODE):
        events, has_ended = events[:-1], False
    elif has_ended:
        events = events[:-1]
    start = events[0]
    encoded = start.payload
    if encoded is None and definition.signature.input_required:
        encoded = b"null"
    run = RunRecord(
        run_id=history.run_id, workflow=history.workflow, version=history.version, status="running", input=encoded,
        output=None, error_type=None, error=None, error_code=None, salt=history.salt, idempotency_key=None, epoch=1,
        claims=2, owner="a test", created_at=start.time, updated_at=start.time, finished_at=None,
    )  # fmt: skip
    host = _Host(registry, Codec(payload_limit), events[-1].time, dependencies)
    host.work(Execution(Claimed(run, events, []), definition, host))
    end = next((e for e in reversed(host.recorded) if e.type in ENDS or e.type == "run_continued"), None)
    if end is not None and end.data.get("code") == DivergenceError.code:
        raise DivergenceError(f"{history.source}: {end.data['error']}", hint=_HINT)
    if not has_ended:
        return
    recorded = f"{history.source}: run {history.run_id} of workflow {history.workflow!r} was recorded as {_said(last)}"
    if host.started:
        raise DivergenceError(f"{recorded}; today's code goes on with {host.started[0]!r}.", hint=_HINT)
    if end is None:
        raise DivergenceError(f"{recorded}; today's code waits for something else first.", hint=_HINT)
    if end.type != last.type:
        detail = f": {end.data.get('error_type')}: {end.data.get('error')}" if end.type == "run_failed" else ""
        raise DivergenceError(f"{recorded}; today's code would have it {_said(end)}{detail}.", hint=_HINT)


_NOT_OF_THE_CODE = frozenset({DivergenceError.code, CrashLoopError.code})
"""Codes of failures that the engine has brought about: a divergence, a crash loop."""


def _said(end: Event) -> str:
    return ENDS.get(end.type, "continued with a new input")


@dataclass
class _Host:
    """Stands in for an engine: what today's code records goes nowhere, and no step begins."""

    registry: Registry
    codec: Codec
    now: float
    dependencies: Any
    recorded: list[Event] = field(default_factory=list)
    started: list[Operation] = field(default_factory=list)
    """Steps that would begin beyond the end of the history."""
    process: OpenProcess = field(default_factory=OpenProcess)
    off_graph: OffGraph = "ignore"
    record_inputs = False
    callbacks: deque[Callable[[], None]] = field(default_factory=deque)

    def work(self, execution: Execution) -> None:
        """Replay all that is recorded, and what follows from it at once."""
        self.process.dependencies = self.dependencies
        execution.begin()
        while self.callbacks:
            self.callbacks.popleft()()
        execution.drop()

    def time(self) -> float:
        return self.now

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        self.recorded += append.events
        self.callbacks.append(lambda: done(None))

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        self.started.append(operation)
        return lambda: None

    def soon(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def shorten(self, filename: str) -> str:
        path = Path(filename)
        return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()

    def call_handlers(self, handlers: Sequence[Handler], update: RunUpdate) -> None:
        """Nobody is told."""

    def parked(self, execution: Execution) -> None:
        """It stays."""

    def woken(self, execution: Execution) -> None:
        """It was here."""

    def continued(self, execution: Execution, start: Event) -> None:
        """What follows is the next part."""

    def ended(self, execution: Execution, last: Append | None) -> None:
        """It is known from what was recorded."""
