"""Definitions checked without running any of their code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wfgen.codec import adapter
from wfgen.definitions import WorkerDefinition, WorkflowDefinition
from wfgen.errors import DefinitionError, WfgenError
from wfgen.operations import CHILD_FORMS
from wfgen.references import WorkerRef
from wfgen.registry import Registry
from wfgen.testing.definitions import Source, registry_of


def validate_definitions(*sources: Source) -> Registry:
    """Load every workflow and worker and check what can be checked without running any.

    That is: that they load, that names are unique, that signatures can serve and their types can be recorded, and that
    the workers and workflows that tasks and, in a generated package, steps name are there.

    Returns their registry.

    Raises:
        DefinitionError: something does not fit; the message lists all that was found.
    """
    registry = registry_of(*sources)
    problems = _Problems()
    for name, version in registry.workflows:
        if problems.has_none(partial(registry.workflow, name, version)):
            workflow = registry.workflow(name, version)
            problems.check_types(workflow, f"workflow {name!r} version {version!r}")
            _check_names(workflow, registry, problems)
    for worker in registry.workers:
        if problems.has_none(partial(registry.worker, worker)):
            problems.check_types(registry.worker(worker), f"worker {worker!r}")
    problems.tell()
    return registry


def _check_names(workflow: WorkflowDefinition, registry: Registry, problems: _Problems) -> None:
    """What a workflow names is there: workers before and after it, and the targets of its steps."""
    for task in (*workflow.before, *workflow.after):
        target = str(task.target.id) if isinstance(task.target, WorkerRef) else task.target
        if isinstance(target, str):
            problems.has_none(partial(registry.worker, target))
    graph = registry.graph(workflow.name, workflow.version)
    workflows = {name for name, _ in registry.workflows}
    for step in () if graph is None else graph.steps:
        if step.form == "rpc" and step.target is not None and step.target not in registry.workers:
            problems.add(f"step {step.name!r} ({step.place}): there is no worker {step.target!r}.")
        if step.form in CHILD_FORMS and step.target is not None and step.target not in workflows:
            problems.add(f"step {step.name!r} ({step.place}): there is no workflow {step.target!r}.")


class _Problems:
    """What was found."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, text: str) -> None:
        self._found.append(text)

    def has_none(self, look: Callable[[], object]) -> bool:
        """Whether a look at something raises nothing; what it raises is kept."""
        try:
            look()
        except WfgenError as error:
            self.add(str(error))
        except Exception as error:  # the user's module does not load
            self.add(f"{type(error).__name__}: {error}")
        else:
            return True
        return False

    def check_types(self, definition: WorkflowDefinition | WorkerDefinition, what: str) -> None:
        """Signature, input and result of a definition can serve."""
        if not self.has_none(lambda: definition.signature):
            return
        for role, annotation in (("input", definition.signature.input), ("result", definition.signature.output)):
            self.has_none(partial(_encodable, annotation, f"the {role} of {what} ({definition.source})"))

    def tell(self) -> None:
        """Raise one error of all that was found, if there is something."""
        if self._found:
            listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(self._found, 1))
            raise DefinitionError(f"{len(self._found)} definitions cannot serve:\n{listed}")


def _encodable(annotation: Any, what: str) -> None:
    try:
        adapter(annotation)
    except WfgenError as error:
        raise DefinitionError(f"{what}: {error.message}") from error
