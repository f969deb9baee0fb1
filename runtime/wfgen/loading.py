"""Loading what a process is to work before it begins: what does not load is known then, and left to others."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from wfgen.definitions import WorkflowDefinition
from wfgen.errors import DefinitionError, UnknownWorkflowError, WfgenError
from wfgen.registry import Registry
from wfgen.serving import Serving

log = logging.getLogger("wfgen.engine")

SHOWN = 5
"""Names that one message has."""

_HINT = "Mend the file; `wfgen check` finds what can be seen without running it."


@dataclass(frozen=True)
class Unloadable:
    """What a process was to work, and cannot load."""

    workflows: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Name and version of workflows whose file, or that of one of their workers, does not load, and why not."""
    workers: Mapping[str, str] = field(default_factory=dict)
    """Ids of workers whose file does not load, and why not."""

    def errors(self) -> Iterator[DefinitionError]:
        """One for each reason, which names all that it concerns."""
        named: dict[str, list[str]] = {}
        for (name, version), reason in self.workflows.items():
            names = named.setdefault(reason, [])
            plain = f"workflow {name!r}"
            names.append(f"{plain} version {version!r}" if plain in names else plain)
        for worker, reason in self.workers.items():
            named.setdefault(reason, []).append(f"worker {worker!r}")
        for reason, names in named.items():
            more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
            yield DefinitionError(f"{_listed([*names[:SHOWN], *more])} cannot be loaded: {reason}", hint=_HINT)

    def refusal(self, name: str, version: str) -> DefinitionError | None:
        """The error for who asks this process to work a run that it cannot work."""
        reason = self.workflows.get((name, version))
        if reason is None:
            return None
        return DefinitionError(
            f"workflow {name!r} version {version!r} cannot be loaded: {reason}",
            hint="Mend the file and start this process anew; `connect(work=False)` leaves runs to other processes.",
        )


def load_served(registry: Registry, serving: Serving) -> Unloadable:
    """Load all that a process takes, and tell in the log what does not load.

    Whoever works runs also needs the workers that their steps name, for the types of input and result.

    Raises:
        DefinitionError: nothing of it loads.
    """
    failed: dict[str, str] = {}
    """Reasons by module: a file is not executed twice to fail twice."""

    def reason(module: str | None, load: Callable[[], object]) -> str | None:
        if module is not None and module in failed:
            return failed[module]
        try:
            load()
        except Exception as error:
            told = reason_of(error)
            if module is not None and not isinstance(error, WfgenError):
                failed[module] = told
            return told
        return None

    def reason_of_worker(worker: str) -> str | None:
        return reason(registry.module_of_worker(worker), lambda: registry.worker(worker).signature)

    workflows: dict[tuple[str, str], str] = {}
    pairs = serving.pairs(registry)
    for pair in pairs:
        found = reason(registry.module_of(*pair), lambda pair=pair: registry.workflow(*pair).signature)  # type: ignore[misc]
        for worker in () if found is not None else registry.workers_of(*pair):
            found = found or reason_of_worker(worker)
        if found is not None:
            workflows[pair] = found
    ids = serving.worker_ids(registry) if serving.takes_jobs else []
    workers = {worker: found for worker in ids if (found := reason_of_worker(worker)) is not None}
    unloadable = Unloadable(workflows, workers)
    errors = list(unloadable.errors())
    if errors and len(workflows) == len(pairs) and len(workers) == len(ids):
        raise errors[0]
    for error in errors:
        log.error("%s", error.message, extra={"code": error.code, "hint": error.hint})
    return unloadable


def load_workflow(
    registry: Registry, name: str, version: str | None = None, *, workers: bool = False
) -> WorkflowDefinition:
    """Execute the source of a workflow.

    Args:
        registry: of the project.
        name: of the workflow.
        version: default the latest.
        workers: whether those of the workers that it names are executed too, as by whoever works its runs.

    Raises:
        UnknownWorkflowError: there is none of that name or version.
        DefinitionError: a file cannot be executed; the message says where.
    """
    try:
        found = registry.workflow(name, version)
        if workers:
            registry.load_workers(found.name, found.version)
    except UnknownWorkflowError:
        raise
    except Exception as error:
        raise unloadable(f"workflow {name!r}", error) from error
    return found


def unloadable(what: str, error: Exception) -> WfgenError:
    """What to raise where the user's own code failed while it was being loaded."""
    if isinstance(error, WfgenError):
        return error
    return DefinitionError(f"{what} cannot be loaded: {reason_of(error)}", hint=_HINT)


def reason_of(error: Exception) -> str:
    """Why a source does not load, with the place in the user's code."""
    if isinstance(error, WfgenError):
        return error.message
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "<frozen" not in frame.filename]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"{type(error).__name__} at {place}: {error}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
