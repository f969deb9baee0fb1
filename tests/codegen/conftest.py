"""Manifests built by hand."""

from __future__ import annotations

from typing import Any

import pytest

from wfgen.manifest import Declaration, Manifest, Node, SourceFile, Span, Step, WorkerEntry, WorkflowEntry
from wfgen.settings import Settings

SPAN = Span(line=1, column=1, end_line=1, end_column=2)


class Make:
    """Short ways to build what the inspector would."""

    span = SPAN
    settings = Settings()

    def step(self, form: Any, name: str, **details: Any) -> Step:
        return Step(span=SPAN, form=form, name=name, **details)

    def workflow(self, name: str = "onboarding", version: str = "1", *body: Node, **details: Any) -> WorkflowEntry:
        given = {"file": "flows/onboarding.workflow.py", "function": "run", **details}
        return WorkflowEntry(
            name=name, version=version, span=SPAN, body=body, interface_hash="i", steps_hash="s", **given
        )

    def worker(self, id: str = "users.create", **details: Any) -> WorkerEntry:
        given = {"file": "flows/users.worker.py", "function": "run", **details}
        return WorkerEntry(id=id, span=SPAN, interface_hash="i", **given)

    def source(self, *entries: WorkflowEntry | WorkerEntry | Declaration, **details: Any) -> SourceFile:
        given = {"file": "flows/onboarding.workflow.py", "module": "files.onboarding", **details}
        return SourceFile(
            source_hash="h",
            workflows=tuple(e for e in entries if isinstance(e, WorkflowEntry)),
            workers=tuple(e for e in entries if isinstance(e, WorkerEntry)),
            declarations=tuple(e for e in entries if isinstance(e, Declaration)),
            **given,
        )

    def manifest(self, *sources: SourceFile) -> Manifest:
        return Manifest(package="flows.wfgen_gen", output="flows/wfgen_gen", files=sources)

    def project(self, *entries: WorkflowEntry | WorkerEntry | Declaration) -> Manifest:
        """All entries in one source file."""
        return self.manifest(self.source(*entries))


@pytest.fixture
def make() -> Make:
    return Make()
