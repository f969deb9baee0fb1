"""Where a test engine takes workflows and workers from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from wfgen.definitions import NAMESPACE, Definitions, WorkerDefinition, WorkflowDefinition
from wfgen.errors import DefinitionError
from wfgen.registry import Registry
from wfgen.settings import Settings

Source = Registry | ModuleType | str | Mapping[str, Any] | WorkflowDefinition | WorkerDefinition | Callable[..., Any]
"""A generated package or its registry; a module with definitions, by itself or by name, or its `globals()`; a function
that was defined as a workflow or worker."""


def registry_of(*sources: Source) -> Registry:
    """One registry of all that the sources define.

    Raises:
        DefinitionError: a source defines nothing, or two define the same.
    """
    if not sources:
        raise DefinitionError(
            "no definitions are given.",
            hint="Give the generated package, a module with definitions, or functions that were defined.",
        )
    if len(sources) == 1 and (generated := _generated(sources[0])) is not None:
        return generated
    registry = Registry("tests")
    seen: dict[tuple[str, str, str], str] = {}
    for source in sources:
        generated = _generated(source)
        if generated is not None:
            found: list[WorkflowDefinition | WorkerDefinition] = [
                *(generated.workflow(name, version) for name, version in generated.workflows),
                *(generated.worker(worker) for worker in generated.workers),
            ]
        else:
            found = _definitions(source)
        for definition in found:
            key = _key(definition)
            earlier = seen.setdefault(key, definition.source)
            if earlier != definition.source:
                raise DefinitionError(f"{key[0]} {key[1]!r} is defined twice: {earlier} and {definition.source}.")
        registry.register(*found)
    return registry


def settings_around(definitions: Sequence[Source]) -> Settings:
    """The settings of the project that a generated package belongs to; the defaults without one."""
    for source in definitions:
        file = getattr(source, "__file__", None) if isinstance(source, ModuleType) else None
        if file is not None and hasattr(source, "registry"):
            return Settings.load(Path(file).parent)
    return Settings(project=Path.cwd())


def _generated(source: Source) -> Registry | None:
    """The registry of a generated package, given as itself, as a module or by name."""
    if isinstance(source, Registry):
        return source
    if isinstance(source, str):
        source = importlib.import_module(source)
    if isinstance(source, ModuleType):
        found = getattr(source, "registry", None)
        return found if isinstance(found, Registry) else None
    return None


def _definitions(source: Source) -> list[WorkflowDefinition | WorkerDefinition]:
    if isinstance(source, WorkflowDefinition | WorkerDefinition):
        return [source]
    if isinstance(source, str):
        source = sys.modules[source]
    if isinstance(source, ModuleType | Mapping):
        space = source if isinstance(source, Mapping) else vars(source)
        made: Definitions = space.get(NAMESPACE, {})
        if made:
            return list(made.values())
        name = space.get("__name__", "a mapping")
        raise DefinitionError(
            f"{name} defines no workflow and no worker.",
            hint="Give the generated package, or a module that calls define_workflow or define_worker.",
        )
    made = getattr(source, "__globals__", {}).get(NAMESPACE, {})
    found = [definition for definition in made.values() if definition.function is source]
    if not found:
        raise DefinitionError(
            f"{source!r:.80} was not defined as a workflow or worker.",
            hint="Decorate it with @define_workflow or @define_worker, at module level.",
        )
    return found


def _key(definition: WorkflowDefinition | WorkerDefinition) -> tuple[str, str, str]:
    if isinstance(definition, WorkflowDefinition):
        return ("workflow", definition.name, definition.version)
    return ("worker", definition.id, "")
