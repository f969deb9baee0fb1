"""What steps give and get, judged against the signatures of the workers and workflows that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wfgen.manifest import Span, Step, WorkerEntry, WorkflowEntry, walk
from wfgen_inspector.contracts.compatible import is_incompatible, shown
from wfgen_inspector.diagnostics import Related
from wfgen_inspector.facts import (
    CallFact,
    ClassFact,
    EffectFact,
    FileFacts,
    LinkedTarget,
    Project,
    SignatureFact,
    ValueFact,
    WorkerFact,
)
from wfgen_inspector.types import ANY

Entry = WorkflowEntry | WorkerEntry


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that does not fit."""

    file: str
    span: Span
    message: str
    hint: str
    related: tuple[Related, ...]


@dataclass(frozen=True, slots=True)
class _Definition:
    """One definition of what a step names: ids may be defined twice, and workflows in several versions."""

    target: LinkedTarget
    entry: Entry
    signature: SignatureFact | None

    @property
    def what(self) -> str:
        return f"{self.target.kind} {self.target.id!r}"

    @property
    def related(self) -> tuple[Related, ...]:
        span = self.entry.span
        return (Related(self.entry.file, span.line, span.column, f"the {self.target.kind}"),)


class _Signatures:
    """Finds what steps name."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._targets = {(target.file, *_start(target.span)): target for target in project.targets}
        self._signatures = {
            (facts.path, signature.function): signature
            for facts in project.files
            for signature in facts.contracts.signatures
        }
        self._definitions: dict[tuple[str, str], list[_Definition]] = {}

    def of(self, file: str, place: Span) -> list[_Definition]:
        """All definitions of a target; empty if it is none, or not known."""
        target = self._targets.get((file, *_start(place)))
        if target is None or not target.known:
            return []
        found = self._definitions.get((target.kind, target.id))
        if found is None:
            found = self._definitions[target.kind, target.id] = self._defined(target)
        return found

    def _defined(self, target: LinkedTarget) -> list[_Definition]:
        if target.kind == "worker":
            entries: list[Entry] = [w.entry for _, w in self._project.workers_by_id.get(target.id, ())]
        else:
            entries = [w.entry for _, w in self._project.workflows_by_name.get(target.id, ())]
        return [_Definition(target, entry, self._signatures.get((entry.file, entry.function))) for entry in entries]

    def classes(self, file: str, value: ValueFact) -> tuple[tuple[ClassFact, ...], str]:
        """Classes of a value, and in words where it comes from, if that is a step."""
        if value.result_of is None:
            return value.classes, ""
        found = self.of(file, value.result_of)
        if len(found) != 1 or found[0].signature is None:
            return (), ""
        return found[0].signature.output, f", the result of {found[0].what}"


def _start(span: Span) -> tuple[int, int]:
    """Where a target begins: no two begin in one place, and whole spans take long to compare."""
    return span.line, span.column


def inputs(project: Project) -> Iterator[Complaint]:
    """Steps whose data does not fit what they name."""
    signatures = _Signatures(project)
    for facts in project.files:
        seen: set[Complaint] = set()
        for call in facts.contracts.calls:
            definitions = signatures.of(call.file, call.target)
            complaints = [_input(signatures, call, definition) for definition in definitions]
            first = next(iter(complaints), None)
            if first is not None and first not in seen and all(complaint is not None for complaint in complaints):
                seen.add(first)
                yield first


def _input(signatures: _Signatures, call: CallFact, definition: _Definition) -> Complaint | None:
    entry, what = definition.entry, definition.what
    if call.data is None:
        if not entry.input_required:
            return None
        of_type = "" if entry.input in (None, ANY) else f" of type {entry.input}"
        message = f"{what} needs an input{of_type}, and {call.step} gives it none."
        return Complaint(call.file, call.span, message, "Give it as the third argument.", definition.related)
    if entry.input is None:
        if call.is_none:
            return None
        message = f"{what} takes no input, and {call.step} gives it one."
        return Complaint(call.file, call.data_span, message, "Leave the third argument out.", definition.related)
    if definition.signature is None:
        return None
    given, origin = signatures.classes(call.file, call.data)
    expected = definition.signature.input
    if not is_incompatible(given, expected):
        return None
    message = f"{what} takes {shown(expected)}, and {call.step} gives it {shown(given)}{origin}."
    hint = f"Give it a value of type {shown(expected)}, or change the type of the {definition.target.kind}'s input."
    return Complaint(call.file, call.data_span, message, hint, definition.related)


def results(project: Project) -> Iterator[Complaint]:
    """Steps whose result does not fit what is declared where it goes."""
    signatures = _Signatures(project)
    for facts in project.files:
        for result in dict.fromkeys(facts.contracts.results):
            given, origin = signatures.classes(result.file, result.value)
            if is_incompatible(given, result.declared):
                target = result.value.result_of
                related = signatures.of(result.file, target)[0].related if target else ()
                message = f"{result.place} {shown(result.declared)}, but the step gives {shown(given)}{origin}."
                yield Complaint(result.file, result.span, message, "Make the two types agree.", related)


def repeated(project: Project) -> Iterator[tuple[FileFacts, WorkerFact, EffectFact]]:
    """Workers that are retried, with what another attempt does a second time."""
    found = [(facts, effect) for facts in project.files for effect in facts.contracts.effects]
    if not found:
        return
    retried = {
        node.target
        for facts in project.files
        for workflow in facts.workflows
        for node in walk(workflow.entry.body)
        if isinstance(node, Step) and node.form == "rpc" and _is_retried(node.retry)
    }
    for facts, effect in found:
        for worker in facts.workers:
            if worker.entry.function == effect.function and (
                _is_retried(worker.entry.retry) or worker.entry.id in retried
            ):
                yield facts, worker, effect
                break


def _is_retried(policy: object) -> bool:
    """Whether a policy is known to allow more than one attempt; three are the default."""
    if not isinstance(policy, dict):
        return False
    attempts = policy.get("attempts", 3)
    return isinstance(attempts, int) and attempts > 1
