"""Every version of every workflow of a release against today's sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wfgen_inspector.compatibility.comparison import Comparison
from wfgen_inspector.compatibility.loading import missed, unreadable
from wfgen_inspector.compatibility.shapes import changes, operations
from wfgen_inspector.compatibility.snapshot import LockedWorkflow, Snapshot
from wfgen_inspector.compatibility.verdicts import Reason, Verdict, worst


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one version of one workflow."""

    old: LockedWorkflow | None
    """As it was released; None for a version that is new."""
    new: LockedWorkflow | None
    """As it is today; None for one that is gone."""
    reasons: tuple[Reason, ...]

    @property
    def entry(self) -> LockedWorkflow:
        """Whichever there is, today's first."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def verdict(self) -> Verdict:
        return worst(self.reasons)


def classify(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """Compare a release with today's sources.

    Returns:
        One entry for each version that is in either, sorted by name and version; new ones are `unchanged`.
    """
    found = [Change(None, entry, ()) for id_, entry in new.workflows.items() if id_ not in old.workflows]
    names = {entry.name for entry in new.workflows.values()}
    for id_, before in old.workflows.items():
        today = new.workflows.get(id_)
        reasons = _gone(before, before.name in names) if today is None else _changed(before, old, today, new)
        found.append(Change(before, today, tuple(dict.fromkeys(reasons))))
    return tuple(sorted(found, key=lambda change: (change.entry.name, change.entry.version)))


def _gone(before: LockedWorkflow, is_named: bool) -> Iterator[Reason]:
    yield Reason("breaks-runs", "it is gone, and runs of it that are in flight cannot go on", before)
    if not is_named:
        yield Reason("breaks-clients", f"no workflow is called {before.name!r} any more", before)


def _changed(before: LockedWorkflow, old: Snapshot, today: LockedWorkflow, new: Snapshot) -> Iterator[Reason]:
    comparison = Comparison(before.body, today.body)
    yield from comparison.reasons
    yield from _payloads(before, old, today, new)
    for one, other in comparison.hooks:
        problem = unreadable(one.payload, old.types, other.payload, new.types)
        if problem is not None:
            yield Reason("breaks-runs", f"a payload of hook {one.name!r} no longer loads: {problem}", one, other)
            continue
        problem = unreadable(one.payload, old.types, other.payload, new.types, by_callers=True)
        if problem is not None:
            yield Reason("breaks-clients", f"hook {one.name!r} refuses what callers send: {problem}", one, other)
    hooks = today.hooks
    for name, hook in before.hooks.items():
        if name not in hooks:
            yield Reason("breaks-clients", f"callers cannot answer the hook {name!r} any more", hook, today)
    yield from _workers(before, old, today, new)
    for change in sorted(changes(today.body) - changes(before.body)):
        yield Reason("safe", f"runs in flight go on without the change {change!r}", before, today)
    if before.code_key != today.code_key:
        yield Reason("safe", "the code between the steps or inside of them has changed", before, today)


def _payloads(before: LockedWorkflow, old: Snapshot, today: LockedWorkflow, new: Snapshot) -> Iterator[Reason]:
    if before.input is not None and today.input is None:
        yield Reason("breaks-clients", "it takes no input any more", before, today)
    elif before.input is None and today.input is not None and today.input_required:
        yield Reason("breaks-runs", "it needs an input now, which recorded runs do not have", before, today)
    elif today.input_required and not before.input_required:
        yield Reason("breaks-runs", "its input is required now, which recorded runs may not have", before, today)
    problem = unreadable(before.input, old.types, today.input, new.types)
    if problem is not None:
        yield Reason("breaks-runs", f"a recorded input no longer loads: {problem}", before, today)
    else:
        problem = unreadable(before.input, old.types, today.input, new.types, by_callers=True)
        if problem is not None:
            yield Reason("breaks-clients", f"it refuses what callers send: {problem}", before, today)
    problem = missed(before.output, old.types, today.output, new.types)
    if problem is not None:
        yield Reason("breaks-clients", f"its result has changed: {problem}", before, today)


def _workers(before: LockedWorkflow, old: Snapshot, today: LockedWorkflow, new: Snapshot) -> Iterator[Reason]:
    """Workers whose results are recorded, or that are still to be called."""
    still = {operation.identity for operation in operations(today.body)}
    for step in operations(before.body):
        worker = None if step.form != "rpc" or step.target is None else old.workers.get(step.target)
        if worker is None or step.identity not in still:
            continue
        found = new.workers.get(worker.id)
        if found is None:
            yield Reason("breaks-runs", f"the worker {worker.id!r} of step {step.name!r} is gone", worker, today)
            continue
        problem = unreadable(worker.output, old.types, found.output, new.types)
        if problem is not None:
            message = f"the recorded result of step {step.name!r} no longer loads: {problem}"
            yield Reason("breaks-runs", message, worker, found)
