"""What a source file shows to the outputs that all sources share: the registry, the references, the handle."""

from __future__ import annotations

from wfgen.manifest import SourceFile, Span

_NOWHERE = Span(line=0, column=0, end_line=0, end_column=0)


def face(source: SourceFile) -> SourceFile:
    """Everything that is known of a source file but the inside of its workflows.

    While this stays as it is, a change of the file changes its own outputs and no others.
    """
    inside = {"body": (), "span": _NOWHERE, "before": None, "after": None, "code_key": "", "steps_hash": ""}
    workflows = tuple(entry.model_copy(update=inside) for entry in source.workflows)
    workers = tuple(entry.model_copy(update={"span": _NOWHERE}) for entry in source.workers)
    return source.model_copy(update={"source_hash": "", "workflows": workflows, "workers": workers})
