"""When today's code does not reproduce what is recorded: seeing it, and saying it."""

from __future__ import annotations

from collections.abc import Iterable

from wfgen.errors import DivergenceError
from wfgen.events import Event
from wfgen.operations import Operation
from wfgen.store.records import RunRecord

SHOWN = 5
"""Operations that a message lists at most."""


def reproduces(operation: Operation | None, event: Event) -> bool:
    """Whether an operation that was asked for is the one that an event was recorded for."""
    return (
        operation is not None
        and operation.asked
        and event.data.get("form") == operation.form
        and event.data.get("target") == operation.target
        and event.data.get("awaited", True) == operation.awaited
    )


def divergence(
    run: RunRecord,
    event: Event,
    operation: Operation | None,
    open_operations: Iterable[Operation],
    recorded_later: set[str | None],
    source: str,
) -> DivergenceError:
    """Say which step was expected and which was asked for, each with file and line.

    Args:
        run: the run.
        event: what was recorded and is not reproduced.
        operation: what the code asked for under the same key, if it did.
        open_operations: what the code waits for just now.
        recorded_later: keys of completions that are recorded behind `event`: not what was asked for in its place.
        source: where the workflow is defined, as it is shown.
    """
    name = (event.key or "").partition("/")[2]
    target = f" -> {event.data['target']}" if event.data.get("target") else ""
    recorded = f"step {name!r} ({event.data.get('form')}{target}), recorded at {event.data.get('at')}"
    if event.type == "compensation_started":
        recorded = "the code to fail or to be cancelled, as it did before its steps were undone"
    if operation is not None and operation.asked:
        asked = repr(operation)
    else:
        waiting = list(open_operations)
        waiting = [o for o in waiting if o.key not in recorded_later] or waiting
        asked = ", ".join(map(repr, waiting[:SHOWN])) if waiting else f"nothing more ({source})"
    return DivergenceError(
        f"run {run.run_id} of workflow {run.workflow!r} version {run.version!r} does not follow its history: "
        f"expected {recorded}; asked for: {asked}.",
        hint="The run has failed, and none of the new steps ran. To let others like it finish, put the old steps back; "
        "to change the workflow, give it a new version and keep this one for runs in flight.",
    )
