"""The registry: which workflows and workers there are, each loaded when it is first needed."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wfgen.definitions import NAMESPACE, WorkerDefinition, WorkflowDefinition
from wfgen.errors import ConfigurationError, DefinitionError, UnknownWorkerError, UnknownWorkflowError
from wfgen.graph import Graph, load_graph
from wfgen.names import version_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wfgen.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkflowSource:
    """Where one version of a workflow is defined."""

    name: str
    version: str
    module: str
    """Dotted name of the generated module, relative to the registry's package."""
    file: str
    """The user's file, relative to the project."""


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """Where a worker is defined."""

    id: str
    module: str
    """Dotted name of the generated module, relative to the registry's package."""
    file: str
    """The user's file, relative to the project."""


class Registry:
    """All workflows and workers of a project, by name and version and by id.

    Args:
        package: import name of the generated package.
        workflows: their sources; definitions are loaded on demand.
        workers: their sources.
    """

    def __init__(
        self, package: str, *, workflows: Sequence[WorkflowSource] = (), workers: Sequence[WorkerSource] = ()
    ) -> None:
        self.package = package
        self._workflows: dict[str, dict[str, WorkflowSource | WorkflowDefinition]] = {}
        self._workers: dict[str, WorkerSource | WorkerDefinition] = {}
        self._ids: dict[int, str] | None = None
        self._modules = {(workflow.name, workflow.version): workflow.module for workflow in workflows}
        self._worker_modules = {worker.id: worker.module for worker in workers}
        self._graphs: dict[tuple[str, str], Graph | None] = {}
        for workflow in workflows:
            self._workflows.setdefault(workflow.name, {})[workflow.version] = workflow
        for worker in workers:
            self._workers[worker.id] = worker

    def register(self, *definitions: WorkflowDefinition | WorkerDefinition) -> None:
        """Add definitions by hand, as tests and scripts without generated code do."""
        for definition in definitions:
            if isinstance(definition, WorkflowDefinition):
                self._workflows.setdefault(definition.name, {})[definition.version] = definition
                self._modules.pop((definition.name, definition.version), None)
            else:
                self._workers[definition.id] = definition
                self._worker_modules.pop(definition.id, None)
                self._ids = None

    def collect(self, module: Any) -> None:
        """Add all definitions that a module (or a namespace) has made."""
        namespace = module if isinstance(module, dict) else vars(module)
        self.register(*namespace.get(NAMESPACE, {}).values())

    @property
    def workflows(self) -> tuple[tuple[str, str], ...]:
        """Name and version of each workflow, sorted."""
        return tuple(
            (name, version)
            for name, versions in sorted(self._workflows.items())
            for version in sorted(versions, key=version_key)
        )

    @property
    def workers(self) -> tuple[str, ...]:
        """Ids of the workers, sorted."""
        return tuple(sorted(self._workers))

    def workflow(self, name: str, version: str | None = None) -> WorkflowDefinition:
        """Load a workflow; without a version the latest.

        Raises:
            UnknownWorkflowError: there is none of that name or version.
            DefinitionError: its file does not define it any more.
        """
        versions = self._workflows.get(name)
        if versions is None:
            raise UnknownWorkflowError(f"there is no workflow {name!r}.", hint=_nearest(name, self._workflows))
        chosen = version if version is not None else max(versions, key=version_key)
        found = versions.get(chosen)
        if found is None:
            raise UnknownWorkflowError(
                f"there is no version {chosen!r} of workflow {name!r}.",
                hint=f"There is {', '.join(sorted(versions, key=version_key))}.",
            )
        if isinstance(found, WorkflowSource):
            loaded = self._load(found.module, ("workflow", name, chosen), found.file)
            assert isinstance(loaded, WorkflowDefinition)
            versions[chosen] = found = loaded
        return found

    def graph(self, name: str, version: str) -> Graph | None:
        """The static graph of a workflow, read when it is first asked for; None for definitions added by hand."""
        pair = (name, version)
        if pair not in self._graphs:
            module = self._modules.get(pair)
            self._graphs[pair] = None if module is None else load_graph(self.package, module, name, version)
        return self._graphs[pair]

    def module_of(self, name: str, version: str) -> str | None:
        """The generated module of a workflow, relative to the package; None for definitions added by hand."""
        return self._modules.get((name, version))

    def module_of_worker(self, worker_id: str) -> str | None:
        """The generated module of a worker, relative to the package; None for definitions added by hand."""
        return self._worker_modules.get(worker_id)

    def worker(self, worker_id: str) -> WorkerDefinition:
        """Load a worker.

        Raises:
            UnknownWorkerError: there is none of that id.
            DefinitionError: its file does not define it any more.
        """
        found = self._workers.get(worker_id)
        if found is None:
            hint = f"{_nearest(worker_id, self._workers)} A new one is known after `wfgen prebuild`."
            raise UnknownWorkerError(f"there is no worker {worker_id!r}.", hint=hint)
        if isinstance(found, WorkerSource):
            loaded = self._load(found.module, ("worker", worker_id, ""), found.file)
            assert isinstance(loaded, WorkerDefinition)
            self._workers[worker_id] = found = loaded
        return found

    def workers_of(self, name: str, version: str) -> list[str]:
        """Ids of the workers that the graph of a workflow names; without those that are not there at all."""
        graph = self.graph(name, version)
        named = [step.target for step in graph.steps if step.form == "rpc"] if graph is not None else []
        return [worker for worker in dict.fromkeys(named) if worker is not None and worker in self._workers]

    def load_workers(self, name: str, version: str) -> None:
        """Load the workers that the graph of a workflow names, so that a file that does not load is seen before a run.

        Those that are not there at all are left to the step that asks for them.

        Raises:
            DefinitionError: a file does not define its worker any more.
            Exception: whatever a file raises.
        """
        for worker in self.workers_of(name, version):
            self.worker(worker)

    def worker_of(self, function: Any) -> str | None:
        """The id under which a module-level function is registered as a worker, if it is. Loads all workers once."""
        if "<" in getattr(function, "__qualname__", "<"):  # a lambda or a nested function is none
            return None
        if self._ids is None:
            self._ids = {id(self.worker(worker).function): worker for worker in self.workers}
        return self._ids.get(id(function))

    def _load(self, module: str, key: tuple[str, str, str], file: str) -> WorkflowDefinition | WorkerDefinition:
        namespace = vars(importlib.import_module(f"{self.package}.{module}"))
        definition = namespace.get(NAMESPACE, {}).get(key)
        if not isinstance(definition, WorkflowDefinition | WorkerDefinition):
            raise DefinitionError(
                f"{file} does not define the {key[0]} {key[1]!r} any more.", hint="Run `wfgen prebuild`."
            )
        return definition


def load_registry(settings: Settings, package: str) -> Registry:
    """Import the registry of a project's generated package, with the import root on `sys.path`.

    Raises:
        ConfigurationError: there is no generated package yet.
    """
    root = str(settings.import_root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        registry = importlib.import_module(f"{package}.registry").registry
    except ModuleNotFoundError as error:
        if error.name is None or not f"{package}.registry".startswith(error.name):
            raise
        raise ConfigurationError(
            f"there is no generated package {package} below {root}.", hint="Run `wfgen prebuild`."
        ) from None
    assert isinstance(registry, Registry)
    return registry


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    names = sorted(known)
    return f"There is {', '.join(names[:10])}." if names else "There is none at all: run `wfgen prebuild`."
