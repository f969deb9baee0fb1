"""Which part of the work a process is told to take: names on the command line, checked before anything starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
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
