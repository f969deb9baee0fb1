"""What the inspector's tests share: projects made of texts."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wfgen.settings import Settings
from wfgen_inspector.facts import Project
from wfgen_inspector.inputs import gather
from wfgen_inspector.inspection import facts_of
from wfgen_inspector.linking import link

Files = Mapping[str, str | bytes]
WALK = frozenset({"WF301", "WF306", "WF402", "WF403"})
"""Codes beside WF0xx and WF1xx that reading definitions and walking bodies gives."""
HEADER = """\
import asyncio
import functools
from wfgen import Job, Retry, define_worker, define_workflow
from flows.wfgen_gen import Workflow, workers, workflows
from flows.models import Order, User
"""


def write(folder: Path, files: Files) -> None:
    """Write files, texts without their common indentation."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Settings]:
    """Make a project of files and settings."""

    def make_project(files: Files, **settings: Any) -> Settings:
        write(tmp_path, files)
        return Settings(project=tmp_path, **settings)

    return make_project


@pytest.fixture
def project(make: Callable[..., Settings]) -> Callable[..., Project]:
    """Read and link a project, without cache and rules."""

    def read(files: Files, **settings: Any) -> Project:
        given = make(files, **settings)
        inputs = gather(given)
        return link(given, inputs.layout, facts_of(inputs))

    return read


@pytest.fixture
def workflow(project: Callable[..., Project]) -> Callable[..., Read]:
    """Read one workflow: `body` is the function's body; `before` stands above it in the file."""

    def read(body: str, *, before: str = "", parameters: str = "workflow: Workflow, order: Order") -> Read:
        source = (
            f"{HEADER}{textwrap.dedent(before)}\n@define_workflow\nasync def flow({parameters}) -> None:\n"
            f"{textwrap.indent(textwrap.dedent(body).strip(chr(10)), '    ')}\n"
        )
        return Read(project({"flows/flow.workflow.py": source}), source)

    return read


@pytest.fixture(name="shape")
def shape_of() -> Callable[[Any], list[Any]]:
    """Nodes as nested lists of short texts."""
    return shape


class Read:
    """One workflow as it was read."""

    def __init__(self, project: Project, source: str) -> None:
        facts = project.files[0]
        assert facts.readable, facts.problems
        self.source = source
        self.facts = facts
        self.entry = facts.workflows[-1].entry
        self.body = self.entry.body

    @property
    def shape(self) -> list[Any]:
        """The body as nested lists of short texts."""
        return shape(self.body)

    @property
    def codes(self) -> list[str]:
        """Codes of what the walk itself reports, in order of place; what is found in its outcome is left out."""
        ordered = sorted(self.facts.problems, key=lambda p: (p.span.line, p.span.column))
        return [p.code for p in ordered if p.code[:3] in ("WF0", "WF1") or p.code in WALK]

    def fixed(self) -> str:
        """The source with the edits of all problems applied."""
        from wfgen_inspector.fixes import apply_edits

        return apply_edits(self.source, [edit for problem in self.facts.problems for edit in problem.edits])


def shape(nodes: Any) -> list[Any]:
    """Nodes as nested lists of short texts: `do a` for a step, lists for what holds others."""
    return [_shape(node) for node in nodes]


def _shape(node: Any) -> Any:
    match node.kind:
        case "step":
            target = f" -> {node.target}" if node.target and node.form != "inline" else ""
            return f"{node.form} {node.name}{target}" + ("" if node.awaited else " !")
        case "use":
            return f"use {node.name}"
        case "opaque":
            return f"opaque: {node.reason}"
        case "sequence":
            return [node.label, *shape(node.body)]
        case "branch":
            return [node.form, *([arm.label, *shape(arm.body)] for arm in node.arms)]
        case "loop":
            return [node.form, *shape(node.body), *([["else", *shape(node.orelse)]] if node.orelse else [])]
        case "parallel":
            return [node.form, *([branch.name, *shape(branch.body)] for branch in node.branches)]
        case "try":
            parts = [[handler.label, *shape(handler.body)] for handler in node.handlers]
            extra = [[key, *shape(getattr(node, key))] for key in ("orelse", "final") if getattr(node, key)]
            return ["try", *shape(node.body), *parts, *extra]
        case "return" | "raise":
            return [node.kind, *shape(node.body)] if node.body else node.kind
        case _:
            return [node.kind, *shape(node.body)]
