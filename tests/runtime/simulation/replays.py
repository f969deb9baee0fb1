"""Live equals replay: a recorded history is worked again from its beginning, and has to end as it did."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from wfgen.checkpoints import current_part
from wfgen.codec import Codec
from wfgen.conformance import OffGraph
from wfgen.events import Event
from wfgen.execution import Execution
from wfgen.operations import Operation
from wfgen.registry import Registry
from wfgen.store.records import Append, Claimed, Verdict
from wfgen.worker_process import OpenProcess

from .place import Place


class ReplayHost:
    """Acknowledges what is recorded, and lets nothing begin."""

    def __init__(self, registry: Registry, time: float) -> None:
        self.registry = registry
        self.codec = Codec(1_000_000)
        self.process = OpenProcess()
        self.off_graph: OffGraph = "warn"
        self.record_inputs = False
        self.started: list[str] = []
        self.last: Append | None = None
        self._time = time
        self._soon: deque[Callable[[], None]] = deque()

    def time(self) -> float:
        return self._time

    def shorten(self, filename: str) -> str:
        return filename

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        self.last = append
        self._soon.append(lambda: done(None))

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        self.started.append(operation.key)
        return lambda: None

    def soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def continued(self, execution: Execution, start: Event) -> None:
        raise AssertionError("only the last part is replayed")

    def woken(self, execution: Execution) -> None:
        pass

    def parked(self, execution: Execution) -> None:
        pass

    def call_handlers(self, handlers: Any, update: Any) -> None:
        pass

    def ended(self, execution: Execution, last: Append | None) -> None:
        pass

    def work(self, execution: Execution) -> None:
        """Work a run until nothing happens by itself any more."""
        execution.begin()
        while self._soon:
            self._soon.popleft()()


def differences(place: Place, registry: Registry) -> list[str]:
    """Replay every finished run; tells what came out otherwise."""
    found: list[str] = []
    for run, events in place.finished():
        end, before = events[-1], current_part(events[:-1])
        if end.type == "run_terminated":  # by no code
            continue
        host = ReplayHost(registry, end.time)
        execution = Execution(Claimed(run, before, []), registry.workflow(run.workflow, run.version), host)
        host.work(execution)
        execution.drop()
        again: Any = host.last.events[-1] if host.last is not None and host.last.events else None
        if host.started:
            found.append(f"the replay of run {run.run_id} begins {host.started}")
        said = {name: value for name, value in end.data.items() if name != "process"}  # the code did not say it
        if again is None or (again.type, again.payload, again.data) != (end.type, end.payload, said):
            found.append(f"the replay of run {run.run_id} ends with {again}, not with {end}")
    return found
