"""Which part of the work a process is told to take: names on the command line, checked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
    from wfgen.manifest import Manifest, Step, WorkerEntry, WorkflowEntry
    from wfgen.registry import Registry
    from wfgen.serving import Serving


@dataclass(frozen=True)
class Queues:
    """The queues that the steps of a project have."""

    names: frozenset[str]
    open: frozenset[str]
    """Workflows with steps whose names, and so their queues, are known at run time only."""

    def has(self, name: str) -> bool:
        """Whether there may be a queue of that name, or one that begins so if it ends in `*`."""
        if name.endswith("*"):
            begins = name[:-1]
            return any(known.startswith(begins) for known in self.names) or any(
                known.startswith(begins) or begins.startswith(known) for known in (f"{one}." for one in self.open)
            )
        return name in self.names or name.startswith(tuple(f"{one}." for one in self.open))


def queues_of(registry: Registry) -> Queues:
    """The queues of a project, from the graphs of its workflows."""
    from wfgen.names import queue_name

    names: set[str] = set()
    unknown: set[str] = set()
    for workflow, version in registry.workflows:
        graph = registry.graph(workflow, version)
        if graph is None or not graph.is_complete:
            unknown.add(workflow)
        for step in graph.steps if graph is not None else ():
            # What looks like a plain function in the source may be a worker's.
            if step.form in ("rpc", "inline"):
                if step.name is None:
                    unknown.add(workflow)
                else:
                    names.add(queue_name(workflow, step.name))
    return Queues(frozenset(names), frozenset(unknown))


def serving_of(
    registry: Registry,
    workflows: Sequence[str] | None,
    workers: Sequence[str] | None,
    queues: Sequence[str] | None,
    concurrency: int | None,
) -> Serving:
    """What `--workflows`, `--workers`, `--queues` and `--concurrency` say; each may hold several names with commas.

    Without any of the three everything is taken; with `--workflows` alone no jobs, with the others alone no runs.

    Raises:
        UnknownWorkflowError, UnknownWorkerError: there is none of a name.
        ArgumentError: a queue can never be one of this project's, or there are no names.
    """
    from wfgen.errors import UnknownWorkerError, UnknownWorkflowError
    from wfgen.serving import Serving

    names, ids, patterns = (_split(given, option) for given, option in (
        (workflows, "--workflows"), (workers, "--workers"), (queues, "--queues")
    ))  # fmt: skip
    known = {name for name, _ in registry.workflows}
    for name in names or ():
        if name not in known:
            raise UnknownWorkflowError(f"--workflows: there is no workflow {name!r}.", hint=_advice(name, known))
    for name in ids or ():
        if name not in registry.workers:
            raise UnknownWorkerError(f"--workers: there is no worker {name!r}.", hint=_advice(name, registry.workers))
    if patterns is not None:
        there = queues_of(registry)
        for name in patterns:
            if not there.has(name):
                raise ArgumentError(f"--queues: no step has a queue {name!r}.", hint=_advice(name, there.names))
    if names is None and (ids is not None or patterns is not None):
        names = ()
    elif names is not None and ids is None and patterns is None:
        ids, patterns = (), ()
    return Serving(names, ids, patterns).limited(concurrency)


def without_jobs(manifest: Manifest, serving: Serving) -> Iterator[str]:
    """Why no job ever comes for some of the names that are served, as the sources are.

    Jobs of an earlier deployment may still be there, so it is no reason to refuse them.
    """
    from wfgen.manifest import Step, walk
    from wfgen.names import queue_name

    workers = {worker.id: worker for worker in manifest.workers}
    says_so = '(dispatch="queue", execution_mode="remote")'
    for name in serving.workers or ():
        if name in workers and not any(_is_queued(workers[name], workflow) for workflow in manifest.workflows):
            yield f"no step of worker {name!r} is put on a queue: neither it nor a workflow says so {says_so}."
    steps = [
        (queue_name(workflow.name, "" if step.dynamic else step.name), step, workflow)
        for workflow in manifest.workflows
        for step in walk(workflow.body)
        if isinstance(step, Step) and step.form in ("rpc", "inline")
    ]
    for pattern in serving.queues or ():
        begins = pattern.removesuffix("*")
        found = [
            one
            for one in steps
            if (one[0].startswith(begins) if pattern.endswith("*") else one[0] == begins)
            or (one[1].dynamic and begins.startswith(one[0]))
        ]
        if found and not any(_may_be_queued(step, workflow, workers) for _, step, workflow in found):
            yield f"nothing is put on queue {pattern!r}: neither worker nor workflow of its steps says so {says_so}."


def _may_be_queued(step: Step, workflow: WorkflowEntry, workers: Mapping[str, WorkerEntry]) -> bool:
    if step.form == "inline":  # a worker's function, written as one
        name = (step.target or "").rpartition(".")[2]
        return any(worker.function == name and _is_queued(worker, workflow) for worker in workers.values())
    worker = workers.get(step.target or "")
    return worker is None or _is_queued(worker, workflow)


def _is_queued(worker: WorkerEntry, workflow: WorkflowEntry) -> bool:
    """Whether steps of a worker are put on a queue; where the source does not say it plainly, they may be."""
    return (worker.dispatch or workflow.execution_mode) != "inline"


def _split(given: Iterable[str] | None, option: str) -> tuple[str, ...] | None:
    if not given:
        return None
    names = tuple(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))
    if not names:
        raise ArgumentError(f"{option} names nothing.", hint=f"Give names with commas: {option} a,b")
    return names


def _advice(name: str, known: Collection[str]) -> str:
    from wfgen_inspector.suggestions import did_you_mean, nearest

    close = did_you_mean(nearest(name, known))
    listed = f"There is {', '.join(sorted(known)[:10])}." if known else "There is none."
    return f"{close or listed} A new one is known after `wfgen prebuild`."
