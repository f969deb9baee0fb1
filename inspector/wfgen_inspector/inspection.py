"""`inspect`: from a project's settings to its manifest and diagnostics."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from wfgen.manifest import Manifest
from wfgen.settings import Settings
from wfgen_inspector.cache import Cache, Key, decoded, encoded
from wfgen_inspector.checking import check
from wfgen_inspector.diagnostics import Diagnostic, has_errors
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.facts import FileFacts
from wfgen_inspector.inputs import Inputs, gather
from wfgen_inspector.linking import link
from wfgen_inspector.program import Program
from wfgen_inspector.reading import lost, read_facts, unreadable
from wfgen_inspector.sources import Edited, Source, UnreadableError
from wfgen_inspector.suppressions import Suppressions, suppressions_of

_Unread = tuple[SourcePath, Source]

PAYS = 150_000
"""Bytes of source from which on reading them in several processes saves more time than starting these costs."""


_TIDY = 50
"""Files after which what was needed to read them is collected: trees are full of cycles."""


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
    modules: Mapping[str, str | None] = field(default_factory=dict)
    """Other modules of the project on which the result depends: import name -> hash of the content, or None if there
    is no such module."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Source file -> hash of all that is known of it; files of which that cannot be written down are missing."""
    suppressions: Suppressions = field(default_factory=dict)
    """Comments of all files, for findings that are made separately."""

    @property
    def errors(self) -> bool:
        """Whether any diagnostic is an error."""
        return has_errors(self.diagnostics)


def inspect(settings: Settings, *, cache: bool = True, edited: Edited | None = None) -> Inspection:
    """Read all workflow and worker files of a project, without importing any of them.

    What stands in a source file never raises: it becomes a diagnostic.

    Args:
        settings: of the project.
        cache: whether facts of unchanged files are taken from, and kept in, `.wfgen/cache`.
        edited: what counts in place of what is on disk; nothing is kept in the cache then.

    Raises:
        ConfigurationError: `select` or `ignore` names a code that does not exist.
    """
    inputs = gather(settings, edited)
    with collector_paused():
        store = Cache(settings, inputs.layout.package) if cache else None
        project = link(settings, inputs.layout, facts_of(inputs, store))
        diagnostics = check(project)
    return Inspection(
        manifest=project.manifest,
        diagnostics=diagnostics,
        unreadable=frozenset(facts.path for facts in project.files if not facts.readable),
        sources=tuple(place.path for place, _ in inputs.sources),
        modules={
            name: digest
            for facts in project.files
            for name, digest in facts.dependencies
            if not name.startswith(f"{inputs.layout.package}.")
        },
        digests={} if store is None else store.digests(),
        suppressions=suppressions_of(project.files),
    )


def facts_of(inputs: Inputs, store: Cache | None = None) -> list[FileFacts]:
    """Facts of every source file, from the cache where its content is unchanged; a folder that cannot be listed counts
    as a file that cannot be read.
    """
    settings, layout = inputs.settings, inputs.layout
    program = Program(
        settings.project, layout.root, layout.package, layout.sources, inputs.edited, settings.determinism
    )
    known = {} if store is None else store.load()
    facts = [
        unreadable(SourcePath(path, "workflow", path, ""), "", UnreadableError(f"it cannot be read: {reason}."))
        for path, reason in layout.unreadable
    ]
    kept: dict[Key, FileFacts] = {}
    unread: list[_Unread] = []
    is_dangerous = False
    for place, source in inputs.sources:
        if isinstance(source, UnreadableError):
            facts.append(unreadable(place, "", source))
            continue
        key = (place.path, source.hash)
        fact = known.get(key)
        if fact is None or fact.module != place.module or fact.lost or not program.is_current(fact.dependencies):
            is_dangerous = is_dangerous or (fact is not None and fact.lost)
            unread.append((place, source))
        else:
            kept[key] = fact
    lines: dict[Key, bytes] = {}
    for (place, source), fact, line in _read(unread, program, settings.jobs, is_dangerous=is_dangerous):
        key = (place.path, source.hash)
        kept[key] = fact
        if line is not None:
            lines[key] = line
    if store is not None and not inputs.edited:
        store.store(kept, lines)
    return [*facts, *kept.values()]


def _read(
    files: Sequence[_Unread], program: Program, jobs: int | None, *, is_dangerous: bool
) -> Iterator[tuple[_Unread, FileFacts, bytes | None]]:
    """Read files, in several processes if that pays: each file's facts, and their line for the cache if it is made.

    Args:
        files: to be read.
        program: the project's modules.
        jobs: how many processes at most; None for one a processor.
        is_dangerous: whether one of the files is known to end the process that reads it.
    """
    from wfgen_inspector import processes

    jobs = min(jobs or processes.cores(), len(files))
    pays = jobs > 1 and sum(len(source.data) for _, source in files) >= PAYS
    if not (pays or is_dangerous) or not processes.available():
        for number, (place, source) in enumerate(files, 1):
            yield (place, source), read_facts(place, source, program), None
            if number % _TIDY == 0:
                gc.collect(0)
        return

    def read_one(number: int) -> bytes:
        place, source = files[number]
        return encoded((place.path, source.hash), read_facts(place, source, program)) or b""

    for number, result in processes.divided(range(len(files)), read_one, jobs):
        place, source = files[number]
        if isinstance(result, processes.Lost):
            fact, line = lost(place, source.hash, result.reason), None
        else:
            found = decoded(result) if result else None
            # What is nested too deeply to be written down was read without harm, so it can be read here.
            fact, line = (read_facts(place, source, program), None) if found is None else (found[1], result)
        yield (place, source), fact, line


@contextmanager
def collector_paused(*, at_end: bool = False) -> Iterator[None]:
    """Without garbage collection: facts make no cycles, and looking for some costs a quarter of the time.

    Args:
        at_end: whether the process is about to end, so that nothing made until then is worth looking at later.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if at_end:
            gc.freeze()
        if was_enabled:
            gc.enable()
