"""Whether a run keeps to the static graph of its workflow.

What is drawn, checked and compared before a release is the graph; an operation that it does not have means that the
code that runs is not the code that was looked at. Nothing is reported that the source leaves open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wfgen.errors import LeftGraphError
from wfgen.events import Event

if TYPE_CHECKING:
    from wfgen.definitions import WorkflowDefinition
    from wfgen.graph import Graph
    from wfgen.host import Host
    from wfgen.operations import Operation
    from wfgen.recorder import Recorder
    from wfgen.store.records import RunRecord

log = logging.getLogger("wfgen.engine")

OffGraph = Literal["warn", "error", "ignore"]
"""What becomes of an operation that the graph does not have: it is recorded and goes on, the run fails, or nothing."""


class Conformance:
    """Compares the operations of one run with the graph of its workflow.

    Args:
        run: the run.
        definition: its workflow.
        graph: None if there is none.
        mode: what becomes of an operation that it does not have.
        recorder: where it is recorded.
        events: what is recorded of the run.
    """

    def __init__(
        self,
        run: RunRecord,
        definition: WorkflowDefinition,
        graph: Graph | None,
        mode: OffGraph,
        recorder: Recorder,
        events: Iterable[Event],
    ) -> None:
        self._run = run
        self._definition = definition
        self._graph = None if mode == "ignore" else graph
        self._mode = mode
        self._recorder = recorder
        self._reported = set[str | None]()
        self._known = set[str | None]()
        """Operations that are recorded already: they are past."""
        if self._graph is not None:
            for event in events:
                (self._reported if event.type == "left_graph" else self._known).add(event.key)
        self._left: list[Operation] = []
        """What the code has asked for since `settle`."""

    @classmethod
    def of(
        cls, run: RunRecord, definition: WorkflowDefinition, host: Host, recorder: Recorder, events: Iterable[Event]
    ) -> Conformance:
        """That of a run which a host works."""
        graph = None if host.off_graph == "ignore" else host.registry.graph(definition.name, definition.version)
        return cls(run, definition, graph, host.off_graph, recorder, events)

    def check(self, operation: Operation) -> None:
        """Look at an operation that the code has just asked for.

        Raises:
            LeftGraphError: the graph does not have it, and runs must keep to it.
        """
        graph = self._graph
        if graph is None or graph.may_have(operation.form, operation.name, operation.target):
            return
        self._left.append(operation)
        if self._is_fatal(operation):
            raise LeftGraphError(f"the workflow's graph does not have {operation!r}.")

    def settle(self) -> None:
        """The code has come to rest: say what it asked for that the graph does not have.

        Raises:
            LeftGraphError: the run fails with it, whatever its code made of the one that it got.
        """
        if not self._left:
            return
        left, self._left = self._left, []
        for operation in left:
            error = self._error(operation)
            if self._is_fatal(operation):
                raise error
            if operation.key not in self._reported:
                self._reported.add(operation.key)
                log.warning("run %s: %s %s", self._run.run_id, error.message, error.hint)
                self._recorder.record("left_graph", operation, {})

    def _is_fatal(self, operation: Operation) -> bool:
        return self._mode == "error" and operation.key not in self._known

    def _error(self, operation: Operation) -> LeftGraphError:
        name, version = self._definition.name, self._definition.version
        what = f"the graph of workflow {name!r} version {version!r} does not have {operation!r}"
        assert self._graph is not None
        if self._graph.is_older_than(Path(self._definition.source.rpartition(":")[0])):
            return LeftGraphError(
                f"{what}; its source has changed since `wfgen prebuild`.",
                hint="Run `wfgen prebuild`, and start the process anew.",
            )
        return LeftGraphError(
            f"{what}.",
            hint="Ask for steps by the handle that the workflow function got, in code that `wfgen check` follows.",
        )
