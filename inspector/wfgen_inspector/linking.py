"""Linking: what one file says about another. References become ids, and the files one manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from wfgen.manifest import (
    DYNAMIC,
    Branch,
    Loop,
    Manifest,
    Node,
    Parallel,
    Raise,
    Return,
    Sequence,
    SourceFile,
    Step,
    Try,
    With,
)
from wfgen.names import identifiers, is_name
from wfgen.settings import Settings
from wfgen_inspector.body.targets import unpack
from wfgen_inspector.discovery import Layout
from wfgen_inspector.facts import FileFacts, LinkedTarget, Problem, Project, TargetFact, WorkflowFact
from wfgen_inspector.hashes import steps_hash
from wfgen_inspector.remembered import PerFile


@dataclass(frozen=True)
class _Names:
    """Who is called what in the whole project."""

    package: str
    workers: dict[str, str] = field(default_factory=dict)
    """Qualified name of a function or a reference -> worker id."""
    workflows: dict[str, str] = field(default_factory=dict)
    """Qualified name of a function or a reference -> workflow name."""
    worker_ids: frozenset[str] = frozenset()
    workflow_names: frozenset[str] = frozenset()

    def below(self, reference: str, kind: str) -> str | None:
        """The dotted path below the generated `workers` or `workflows`, if it lies there."""
        prefix = f"{self.package}.{kind}."
        return reference.removeprefix(prefix) if reference.startswith(prefix) else None


def link(settings: Settings, layout: Layout, files: Iterable[FileFacts]) -> Project:
    """Resolve references between files, and put the manifest together. Files are sorted by path."""
    ordered = sorted(files, key=lambda facts: facts.path)
    linked = _linked(ordered, _names(layout.package, ordered))
    return Project(
        settings=settings,
        files=tuple(one.facts for one in linked),
        manifest=Manifest(
            package=layout.package,
            output=layout.output,
            files=tuple(one.source for one in linked if one.facts.readable),
        ),
        targets=tuple(target for one in linked for target in one.targets),
        stubs=layout.stubs,
        root=layout.root,
    )


@dataclass(frozen=True, slots=True)
class _Own:
    """Who is called what in one file, see `_Names`."""

    workers: tuple[tuple[str, str], ...]
    workflows: tuple[tuple[str, str], ...]
    worker_ids: tuple[str, ...]
    workflow_names: tuple[str, ...]


def _own(facts: FileFacts, package: str) -> _Own:
    workers: list[tuple[str, str]] = []
    for worker in facts.workers:
        worker_id = worker.entry.id
        if worker.reference is not None:
            workers.append((worker.reference, worker_id))
        workers.append((".".join((package, "workers", *identifiers(worker_id))), worker_id))
    workflows: list[tuple[str, str]] = []
    for workflow in facts.workflows:
        name = workflow.entry.name
        workflows.append((f"{package}.{facts.module}.{workflow.entry.function}", name))
        workflows.append((".".join((package, "workflows", *identifiers(name))), name))
    return _Own(
        tuple(workers),
        tuple(workflows),
        tuple(worker.entry.id for worker in facts.workers),
        tuple(workflow.entry.name for workflow in facts.workflows),
    )


_owns = PerFile(_own)


def _names(package: str, files: list[FileFacts]) -> _Names:
    owns = _owns(files, package)
    names = _Names(
        package,
        worker_ids=frozenset(worker_id for own in owns for worker_id in own.worker_ids),
        workflow_names=frozenset(name for own in owns for name in own.workflow_names),
    )
    for own in owns:
        for reference, worker_id in own.workers:
            names.workers.setdefault(reference, worker_id)
        for reference, name in own.workflows:
            names.workflows.setdefault(reference, name)
    return names


@dataclass(frozen=True, slots=True)
class _Linked:
    """One file after linking."""

    facts: FileFacts
    source: SourceFile
    targets: tuple[LinkedTarget, ...]


def _link_one(facts: FileFacts, names: _Names) -> _Linked:
    linked = _link_file(facts, names)
    targets = (_target(linked.path, fact, names) for fact in _targets(linked))
    return _Linked(linked, _source_file(linked), tuple(target for target in targets if target is not None))


_linked = PerFile(_link_one)


def _targets(facts: FileFacts) -> Iterable[TargetFact]:
    return (target for workflow in facts.workflows for target in workflow.targets)


def _target(path: str, fact: TargetFact, names: _Names) -> LinkedTarget | None:
    """What a target leads to; None for the reference of something that is neither worker nor workflow."""
    path = fact.file or path
    is_worker = fact.kind == "worker"
    known = names.worker_ids if is_worker else names.workflow_names
    if fact.id is not None:
        return LinkedTarget(path, fact.span, fact.kind, fact.id, fact.id in known)
    reference = fact.reference or ""
    found = (names.workers if is_worker else names.workflows).get(reference)
    if found is not None:
        return LinkedTarget(path, fact.span, fact.kind, found, True)
    below = names.below(reference, "workers" if is_worker else "workflows")
    return None if below is None else LinkedTarget(path, fact.span, fact.kind, below, False)


def _link_file(facts: FileFacts, names: _Names) -> FileFacts:
    if all(workflow.linked for workflow in facts.workflows):
        return facts
    problems = list(facts.problems)
    workflows = tuple(w if w.linked else _link_workflow(w, names, problems) for w in facts.workflows)
    return replace(facts, workflows=workflows, problems=tuple(problems))


def _link_workflow(fact: WorkflowFact, names: _Names, problems: list[Problem]) -> WorkflowFact:
    body = _relinked(fact.entry.body, lambda step: _link_step(step, names))
    before, after = _link_tasks(fact.entry.before, names), _link_tasks(fact.entry.after, names)
    for target in fact.targets:
        if target.kind == "workflow" and target.reference is not None and _target("", target, names) is None:
            problems.append(
                Problem(
                    "WF402",
                    target.span,
                    f"{target.reference.rpartition('.')[2]!r} is not known to be a workflow.",
                    "Name a workflow by its id or its reference.",
                    file=target.file,
                )
            )
    hashed = steps_hash((*(before or ()), *body, *(after or ())))
    entry = fact.entry.model_copy(update={"body": body, "before": before, "after": after, "steps_hash": hashed})
    return replace(fact, entry=entry, linked=True)


def _link_tasks(tasks: tuple[Step, ...] | None, names: _Names) -> tuple[Step, ...] | None:
    """Tasks before and after a run: named after the worker where its reference stands, else after the function."""
    if tasks is None:
        return None
    linked = []
    for task in tasks:
        packed = unpack(task.target)
        step = _link_step(task, names)
        if packed is not None and packed[0].startswith(f"{names.package}.workers.") and step.target is not None:
            step = step.model_copy(update={"name": step.target})
        linked.append(step)
    return tuple(linked)


def _link_step(step: Step, names: _Names) -> Step:
    packed = unpack(step.target)
    if packed is None:
        return step
    reference, text = packed
    if step.form in ("call", "start"):
        name = names.workflows.get(reference) or names.below(reference, "workflows")
        return step.model_copy(update={"target": name or DYNAMIC})
    worker = names.workers.get(reference) or names.below(reference, "workers")
    if worker is None:
        return step.model_copy(update={"target": text})
    form = "rpc" if step.form == "inline" else step.form
    return step.model_copy(update={"form": form, "target": worker})


def _relinked(nodes: tuple[Node, ...], change: Callable[[Step], Step]) -> tuple[Node, ...]:
    """The same nodes with every step changed."""

    def inner(body: tuple[Node, ...]) -> tuple[Node, ...]:
        return tuple(map(one, body))

    def one(node: Node) -> Node:
        match node:
            case Step():
                return change(node)
            case Branch():
                arms = tuple(arm.model_copy(update={"body": inner(arm.body)}) for arm in node.arms)
                return node.model_copy(update={"arms": arms})
            case Parallel():
                branches = tuple(branch.model_copy(update={"body": inner(branch.body)}) for branch in node.branches)
                return node.model_copy(update={"branches": branches})
            case Loop():
                return node.model_copy(update={"body": inner(node.body), "orelse": inner(node.orelse)})
            case Try():
                handlers = tuple(arm.model_copy(update={"body": inner(arm.body)}) for arm in node.handlers)
                parts = {key: inner(getattr(node, key)) for key in ("body", "orelse", "final")}
                return node.model_copy(update={**parts, "handlers": handlers})
            case Sequence() | With() | Return() | Raise():
                return node.model_copy(update={"body": inner(node.body)})
            case _:
                return node

    return inner(nodes)


def _source_file(facts: FileFacts) -> SourceFile:
    """What the manifest says of a file: definitions whose name cannot be used are left out (and reported)."""
    workflows = (w.entry for w in facts.workflows if is_name(w.entry.name) and is_name(w.entry.version))
    return SourceFile(
        file=facts.path,
        module=facts.module,
        source_hash=facts.source_hash,
        workflows=tuple(workflows),
        workers=tuple(worker.entry for worker in facts.workers if is_name(worker.entry.id)),
        declarations=facts.declarations,
    )
