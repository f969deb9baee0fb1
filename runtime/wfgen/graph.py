"""The static graph of a workflow, as far as it is needed at run time: its steps, read from the generated manifest.

It is read without pydantic, since a process that works runs would load that for nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wfgen.operations import STEP_FORMS

SCHEMA_VERSION = 1
DYNAMIC = "<dynamic>"
"""Both as in `wfgen.manifest`."""

NO_OPERATIONS = frozenset({"compensate", "continue_as_new"})
"""Forms that are recorded otherwise than as operations of the code."""


@dataclass(frozen=True, slots=True)
class GraphStep:
    """A step that the source of a workflow has."""

    form: str
    name: str | None
    """None if it is known at run time only."""
    target: str | None
    """The worker's id or the workflow's name; None if there is none, or it is known at run time only."""
    place: str
    """`file:line`."""

    def fits(self, form: str, name: str, target: str | None) -> bool:
        """Whether an operation may come from it. What the source leaves open fits whatever comes."""
        if self.name is not None and self.name != name:
            return False
        if form in STEP_FORMS:
            # What looks like a plain function in the source may be a worker's.
            return self.form == "inline" or (
                self.form == "rpc" and (self.target is None or (form == "rpc" and self.target == target))
            )
        return self.form == form and (self.target is None or self.target == target)


@dataclass(slots=True)
class Graph:
    """The steps of one version of a workflow, in the order of the source."""

    steps: tuple[GraphStep, ...]
    is_complete: bool = True
    """Whether all of the code could be followed: else it may have steps that are not here."""
    source_hash: str | None = None
    """Of the source file that it was read from."""
    _known: set[tuple[str, str, str | None]] = field(default_factory=set)

    def may_have(self, form: str, name: str, target: str | None) -> bool:
        """Whether an operation can come from the source; in doubt it can."""
        if (form, name, target) in self._known:
            return True
        fits = not self.is_complete or any(step.fits(form, name, target) for step in self.steps)
        if fits:
            self._known.add((form, name, target))
        return fits

    def is_older_than(self, source: Path) -> bool:
        """Whether a source file has changed since; False if that cannot be told."""
        if self.source_hash is None:
            return False
        try:
            content = source.read_bytes()
        except OSError:
            return False
        return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest() != self.source_hash

    @classmethod
    def of(cls, entry: Mapping[str, Any], source_hash: str | None = None) -> Graph:
        """The graph of a workflow's entry in a manifest."""
        nodes = list(nodes_of(entry.get("body") or []))
        steps = tuple(
            GraphStep(
                form=node["form"],
                name=None if node["name"] == DYNAMIC else node["name"],
                target=_target(node),
                place=f"{node.get('file') or entry['file']}:{node['span']['line']}",
            )
            for node in nodes
            if node["kind"] == "step" and node["form"] not in NO_OPERATIONS
        )
        return cls(steps, all(node["kind"] != "opaque" for node in nodes), source_hash)


def load_graph(package: str, module: str, name: str, version: str) -> Graph | None:
    """Read the graph of a workflow from the manifest in a generated package.

    Args:
        package: import name of the generated package.
        module: dotted name of the workflow's module in it.
        name: of the workflow.
        version: of the workflow.

    Returns:
        None if there is no manifest, or none that this wfgen can read: the graph is a help, and no run needs it.
    """
    found = read_source(package, module)
    if found is None:
        return None
    for entry in found.get("workflows") or []:
        if (entry.get("name"), entry.get("version")) == (name, version):
            return Graph.of(entry, found.get("source_hash"))
    return None


def read_source(package: str, module: str) -> dict[str, Any] | None:
    """What the manifest in a generated package says of one source file.

    Args:
        package: import name of the generated package.
        module: dotted name of the source file's module in it.

    Returns:
        None if there is no manifest, or none that this wfgen can read.
    """
    try:
        spec = importlib.util.find_spec(package)
        folders = spec.submodule_search_locations if spec is not None else None
        if not folders:
            return None
        found = json.loads(Path(folders[0], "manifest", f"{module.replace('.', '/')}.json").read_bytes())
    except (OSError, ValueError, ModuleNotFoundError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
        return None
    return found


def _target(node: Mapping[str, Any]) -> str | None:
    target = node.get("target")
    return None if node["form"] == "inline" or target == DYNAMIC else target


def nodes_of(value: Any) -> Iterator[dict[str, Any]]:
    """All nodes with a kind below a list or node, parents before children, in the order of the source."""
    if isinstance(value, list):
        for item in value:
            yield from nodes_of(item)
    elif isinstance(value, dict):
        if value.get("kind") in ("step", "opaque"):
            yield value
            return
        for item in value.values():
            if isinstance(item, list | dict):
                yield from nodes_of(item)
