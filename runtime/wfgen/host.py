"""What a run needs of the engine that works it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from wfgen.codec import Codec
from wfgen.conformance import OffGraph
from wfgen.events import Event
from wfgen.lifecycle import Handler, RunUpdate
from wfgen.operations import Operation
from wfgen.registry import Registry
from wfgen.store.records import Append, Verdict
from wfgen.worker_process import OpenProcess

if TYPE_CHECKING:
    from wfgen.execution import Execution


class Host(Protocol):
    """What a run needs of the engine that works it."""

    registry: Registry
    codec: Codec
    off_graph: OffGraph
    """What becomes of an operation that the workflow's graph does not have."""
    record_inputs: bool
    """Whether what a step was given is recorded with its end."""
    process: OpenProcess
    """What this process brings to its runs."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Record, then call back; retries itself what may be tried again, so a verdict is final."""
        ...

    def start_step(self, operation: Operation, attempt: int) -> Callable[[], None]:
        """Begin an attempt; returns what stops it. Reports to the execution."""
        ...

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back from a plain callback of the engine's loop."""
        ...

    def at(self, due: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at a time in seconds since the epoch; returns what stops it."""
        ...

    def shorten(self, filename: str) -> str:
        """A source path as it is shown and recorded: relative to the project."""
        ...

    def call_handlers(self, handlers: Sequence[Handler], update: RunUpdate) -> None:
        """Tell lifecycle handlers of a run."""
        ...

    def parked(self, execution: Execution) -> None:
        """The run waits for timers, hooks, children and jobs alone, and that is durable: it may be dropped here."""
        ...

    def woken(self, execution: Execution) -> None:
        """The run goes on."""
        ...

    def continued(self, execution: Execution, start: Event) -> None:
        """The run goes on from a new start, which is recorded."""
        ...

    def ended(self, execution: Execution, last: Append | None) -> None:
        """The run needs nothing more of this process: it finished, or was lost (`last` is None)."""
        ...
