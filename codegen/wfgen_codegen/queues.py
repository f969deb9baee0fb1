"""From a source file to the view of its queues: who works its workflows, and who takes the jobs of their steps."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from wfgen.manifest import DYNAMIC, SourceFile, Step, WorkflowEntry, walk
from wfgen_codegen import views
from wfgen_codegen.naming import checked_identifiers
from wfgen_codegen.quoting import Code

ORCHESTRATOR = "orchestrator"
"""Attribute of what works the runs of a workflow."""


def queues(source: SourceFile) -> tuple[str, views.Queues]:
    """Path and view of the module for the queues of a source file's workflows.

    A step's queue depends on workflow and step alone, so a step that runs in the run's process as things are has one
    as well: whether a job is ever put on it is for its worker and its workflow to say.
    """
    path = source.module.replace("files", "queues", 1).replace(".", "/")
    by_name: dict[str, list[WorkflowEntry]] = {}
    for entry in source.workflows:
        by_name.setdefault(entry.name, []).append(entry)
    alone = len(by_name) == 1
    classes = _distinct({name: "_".join(checked_identifiers(name, "workflow")) for name in by_name})
    found = tuple(_of_workflow(None if alone else classes[name], name, by_name[name]) for name in sorted(by_name))
    return f"{path}.py", views.Queues(Code("." * (path.count("/") + 1)), found)


def _of_workflow(class_name: str | None, name: str, entries: Iterable[WorkflowEntry]) -> views.WorkflowQueues:
    targets: dict[str, set[str]] = {}
    unknown: dict[str, None] = {}
    for entry in entries:
        for node in walk(entry.body):
            if isinstance(node, Step) and node.form == "rpc":
                if node.name == DYNAMIC:
                    unknown[f"{node.file or entry.file}:{node.span.line}"] = None
                else:
                    targets.setdefault(node.name, set()).add(node.target or DYNAMIC)
    attributes = _distinct({step: attribute(step) for step in targets})
    found = tuple(
        views.Queue(Code(attributes[step]), step, () if DYNAMIC in workers else tuple(sorted(workers)))
        for step, workers in sorted(targets.items())
    )
    if class_name is None:
        return views.WorkflowQueues(None, Code(""), name, found, tuple(unknown))
    return views.WorkflowQueues(Code(class_name), Code("    "), name, found, tuple(unknown))


@lru_cache(maxsize=4096)
def attribute(step: str) -> str:
    """A step's name as an attribute: what cannot be part of one becomes `_`. Two names can give one attribute."""
    if step.isascii() and step.isidentifier():
        text = step
    else:
        kept = (c if f"_{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", step))
        text = "".join(kept)
    if not text or text[0].isdigit() or text[0] == "_":
        text = f"step_{text.lstrip('_')}"
    return f"{text}_" if keyword.iskeyword(text) or text == ORCHESTRATOR else text


def _distinct(wanted: dict[str, str]) -> dict[str, str]:
    """Name -> identifier, each once: of names that want the same one, the name that is spelled so has it."""
    taken = set(wanted.values())
    given: set[str] = set()
    result: dict[str, str] = {}
    for name, text in sorted(wanted.items(), key=lambda pair: (pair[0] != pair[1], pair[0])):
        chosen, number = text, 2
        while chosen in given or (chosen != text and chosen in taken):
            chosen, number = f"{text}_{number}", number + 1
        given.add(chosen)
        result[name] = chosen
    return result
