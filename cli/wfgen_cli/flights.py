"""Runs in flight: where each stands, and whether today's sources can take it up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wfgen.errors import UnknownRunError
from wfgen.events import Event
from wfgen.manifest import Span
from wfgen.origins import Origins
from wfgen_cli import terminal
from wfgen_cli.run_filters import UNFINISHED
from wfgen_cli.stores import place_of, reading
from wfgen_inspector.compatibility.acceptance import Replay
from wfgen_inspector.compatibility.shapes import START, Operation, operations
from wfgen_inspector.compatibility.snapshot import LockedWorkflow, Snapshot
from wfgen_inspector.diagnostics import Diagnostic, Related
from wfgen_inspector.rules import RULES
from wfgen_inspector.rules.rule import Finding

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen.store.records import RunRecord

MOST = 10_000
"""Runs in flight that are looked at."""
SHOWN = 5
"""Ids of runs that one finding lists."""

State = Literal["reproduced", "breaks", "stranded", "foreign", "unknown"]
"""`foreign`: its workflow is of another project that shares the store; `unknown`: its version is not found, and some
source cannot be read just now."""


@dataclass(frozen=True)
class Flight:
    """One run in flight."""

    run_id: str
    workflow: str
    version: str
    status: str
    state: State
    step: str | None
    """Key of the last operation that is recorded: `0/charge`."""
    expected: Event | None = None
    """State breaks: the first recorded event that today's graph cannot ask for."""
    package: str | None = None
    """State foreign: the generated package of its project."""


@dataclass(frozen=True)
class Flights:
    """All runs in flight."""

    flights: tuple[Flight, ...]
    workflows: dict[str, LockedWorkflow]
    """Today's, by name and version."""
    missing: str | None = None
    """The store, if it does not exist yet."""
    is_cut: bool = False
    """Whether there are more than were looked at."""

    def data(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "complete": not self.is_cut,
            "runs": [
                {
                    "run_id": flight.run_id,
                    "workflow": flight.workflow,
                    "version": flight.version,
                    "status": flight.status,
                    "state": flight.state,
                    "step": flight.step,
                    "expected": None if flight.expected is None else _told(flight.expected),
                    "package": flight.package,
                }
                for flight in self.flights
            ],
        }

    def note(self) -> None:
        """Tell on stderr how many runs of which version stand where."""
        if self.missing is not None:
            terminal.note(f"No runs in flight: {terminal.printable(self.missing)} does not exist.")
            return
        if not self.flights:
            terminal.note("No runs in flight.")
            return
        terminal.note("Runs in flight:")
        groups = Counter((f.workflow, f.version) for f in self.flights)
        for (name, version), count in sorted(groups.items()):
            own = [f for f in self.flights if (f.workflow, f.version) == (name, version)]
            states = Counter(f.state for f in own)
            steps = Counter(_step_name(f.step) for f in own)
            at = ", ".join(f"{n} at {terminal.printable(step)}" for step, n in steps.most_common(SHOWN))
            bad = ", ".join(f"{states[s]} {_STATES[s]}" for s in _STATES if states[s])
            if own[0].package is not None:
                bad = f"not of this project but of {terminal.printable(own[0].package)}"
            shown = f"{terminal.printable(name)} version {terminal.printable(version)}"
            terminal.note(f"  {shown}: {terminal.count(count, 'run')} ({at}){f'; {bad}' if bad else ''}")
        if self.is_cut:
            terminal.note(f"  Only the newest {MOST:,} were looked at.")

    def diagnostics(self) -> Iterator[Diagnostic]:
        """One finding for each place at which runs break, and for each version that is gone."""
        groups: dict[tuple[str, ...], list[Flight]] = {}
        for flight in self.flights:
            if flight.state in ("reproduced", "foreign", "unknown"):
                continue
            step = "" if flight.expected is None else _told(flight.expected)
            groups.setdefault((flight.state, flight.workflow, flight.version, step), []).append(flight)
        for (state, name, version, step), flights in sorted(groups.items()):
            listed = ", ".join(flight.run_id for flight in flights[:SHOWN])
            more = f" and {len(flights) - SHOWN} more" if len(flights) > SHOWN else ""
            many = terminal.count(len(flights), "run")
            if state == "stranded":
                yield RULES["WF507"].diagnostic(self._stranded(name, version, f"{many} ({listed}{more})"))
                continue
            entry = self.workflows[f"{name}@{version}"]
            expected = flights[0].expected
            assert expected is not None
            file, span = _place(entry, expected)
            place, _, line = str(expected.data.get("at", "")).rpartition(":")
            related = Related(
                place or entry.file, int(line) if line.isdigit() else 1, 1, f"{step} was recorded here", is_past=True
            )
            message = f"workflow {name!r} version {version!r}: {many} in flight would break at {step} ({listed}{more})."
            hint = RULES["WF506"].remedy
            yield RULES["WF506"].diagnostic(Finding(file, span, message, hint, (related,)))

    def _stranded(self, name: str, version: str, what: str) -> Finding:
        entry = next((w for w in self.workflows.values() if w.name == name), None)
        file, span = (entry.file, _start(entry.span)) if entry else ("pyproject.toml", START)
        message = f"workflow {name!r} version {version!r} is not defined any more, and is in flight: {what}."
        return Finding(file, span, message, RULES["WF507"].remedy)


_STATES: dict[State, str] = {"breaks": "would break", "stranded": "stranded", "unknown": "unknown"}


def look_at(settings: Settings, today: Snapshot, package: str, *, is_complete: bool = True) -> Flights:
    """Ask the store for runs in flight, and replay what is recorded of them through today's graphs.

    The store is only read: nothing is created, migrated or claimed, and no code of the project runs.

    Args:
        settings: of the project.
        today: what the sources define.
        package: import name of the generated package.
        is_complete: whether all sources could be read.

    Raises:
        ConfigurationError: the engine's URL is none.
        StoreError: the store cannot be read.
    """
    return asyncio.run(_look_at(settings, today, package, is_complete))


async def _look_at(settings: Settings, today: Snapshot, package: str, is_complete: bool) -> Flights:
    found: list[Flight] = []
    async with reading(settings) as store:
        if store is None:
            return Flights((), today.workflows, missing=place_of(settings))
        runs = await store.list_runs(status=UNFINISHED, limit=MOST + 1)
        known = {(entry.name, entry.version) for entry in today.workflows.values()}
        are_known = all((run.workflow, run.version) in known for run in runs)
        origins = Origins(() if are_known else await store.definitions(), package, known)
        for run in runs[:MOST]:
            try:
                events = await store.history(run.run_id)
            except UnknownRunError:  # it has ended and was removed meanwhile
                continue
            found.append(_flight(run, events, today, origins.stranger(run.workflow, run.version), is_complete))
    return Flights(tuple(found), today.workflows, is_cut=len(runs) > MOST)


def _flight(run: RunRecord, events: list[Event], today: Snapshot, stranger: str | None, is_complete: bool) -> Flight:
    entry = today.workflows.get(f"{run.workflow}@{run.version}")
    about = (run.run_id, run.workflow, run.version, run.status)
    replay = Replay(() if entry is None else entry.body, events)
    standing = replay.standing()
    step = None if standing is None else standing.key
    if entry is None and stranger is not None:
        return Flight(*about, "foreign", step, package=stranger)
    if entry is None:
        return Flight(*about, "stranded" if is_complete else "unknown", step)
    refusal = replay.refusal()
    return Flight(*about, "reproduced" if refusal is None else "breaks", step, refusal.event if refusal else None)


def _place(entry: LockedWorkflow, event: Event) -> tuple[str, Span]:
    """Where the operation of that name stands today, else the workflow."""
    name = _step_name(event.key)
    for operation in operations(entry.body):
        if isinstance(operation, Operation) and operation.name == name:
            return operation.file or entry.file, operation.span
    return entry.file, _start(entry.span)


def _start(span: Span) -> Span:
    return span.model_copy(update={"end_line": span.line, "end_column": span.column + 1})


def _step_name(key: str | None) -> str:
    return "the start" if key is None else repr(key.partition("/")[2].partition("#")[0])[1:-1]


def _told(event: Event) -> str:
    target = f" -> {event.data['target']}" if event.data.get("target") else ""
    return f"step {_step_name(event.key)!r} ({event.data.get('form')}{target})"
