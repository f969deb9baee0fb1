"""`inspect`: from a project's settings to its manifest and diagnostics."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wfgen.manifest import Manifest
from wfgen.settings import Settings
from wfgen_inspector.cache import Cache, Key
from wfgen_inspector.checking import check
from wfgen_inspector.diagnostics import Diagnostic, has_errors
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.inputs import Inputs, gather
from wfgen_inspector.linking import link
from wfgen_inspector.program import Program
from wfgen_inspector.reading import read_facts, unreadable
from wfgen_inspector.sources import UnreadableError


@dataclass(frozen=True)
class Inspection:
    """What was found in a project."""

    manifest: Manifest
    diagnostics: tuple[Diagnostic, ...]
    """Sorted by file, line, column and code; suppressions, `select` and `ignore` applied."""
    unreadable: frozenset[str]
    """Source files that could not be read or parsed just now: what was generated from them is kept."""
    sources: tuple[str, ...]
    """Every source file that was found, sorted."""
    fingerprint: str | None
    """Hash of all that the result depends on; None when a file or folder could not be read."""

    @property
    def errors(self) -> bool:
        """Whether any diagnostic is an error."""
        return has_errors(self.diagnostics)


def inspect(settings: Settings, *, cache: bool = True) -> Inspection:
    """Read all workflow and worker files of a project, without importing any of them.

    What stands in a source file never raises: it becomes a diagnostic.

    Args:
        settings: of the project.
        cache: whether facts of unchanged files are taken from, and kept in, `.wfgen/cache`.

    Raises:
        ConfigurationError: `select` or `ignore` names a code that does not exist.
    """
    inputs = gather(settings)
    with _collector_paused():
        project = link(settings, inputs.layout, facts_of(inputs, cache=cache))
        diagnostics = check(project)
    return Inspection(
        manifest=project.manifest,
        diagnostics=diagnostics,
        unreadable=frozenset(facts.path for facts in project.files if not facts.readable),
        sources=tuple(place.path for place, _ in inputs.sources),
        fingerprint=inputs.fingerprint,
    )


def facts_of(inputs: Inputs, *, cache: bool = True) -> list[FileFacts]:
    """Facts of every source file, from the cache where its content is unchanged; a folder that cannot be listed counts
    as a file that cannot be read.
    """
    settings, layout = inputs.settings, inputs.layout
    program = Program(settings.project, layout.root, layout.package, layout.sources)
    store = Cache(settings.project, layout.package) if cache else None
    known = {} if store is None else store.load()
    kept: dict[Key, FileFacts] = {}
    facts = [
        unreadable(SourcePath(path, "workflow", path, ""), "", UnreadableError(f"it cannot be read: {reason}."))
        for path, reason in inputs.layout.unreadable
    ]
    for place, source in inputs.sources:
        if isinstance(source, UnreadableError):
            facts.append(unreadable(place, "", source))
            continue
        key = (place.path, source.hash)
        fact = known.get(key)
        if fact is None or fact.module != place.module or not program.is_current(fact.dependencies):
            fact = read_facts(place, source, program)
        kept[key] = fact
        facts.append(fact)
    if store is not None:
        store.store(kept)
    return facts


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without garbage collection: trees and facts make no cycles, and looking for some costs a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
