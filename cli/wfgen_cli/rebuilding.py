"""Keeping the generated package up to date while sources change, in one process.

Only sound files move on: what was generated from a file with errors stays as it was until the file is mended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wfgen.errors import WfgenError
from wfgen.manifest import Manifest, SourceFile
from wfgen_cli.failures import told_of
from wfgen_cli.project import load_settings
from wfgen_codegen import carry_over, load_manifest, plan, render
from wfgen_codegen.errors import StoredManifestError
from wfgen_codegen.faces import face
from wfgen_inspector import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wfgen_inspector import Diagnostic, Inspection

FindingKey = tuple[str, str, str]
"""File, code and message: a finding that only moved to another line is the same finding."""


@dataclass(frozen=True)
class Outcome:
    """What one look at the sources led to."""

    changed: dict[str, str] = field(default_factory=dict)
    """Source file, or import name of a module that sources use -> `added`, `changed` or `removed`, since the look
    before."""
    appeared: tuple[Diagnostic, ...] = ()
    """Findings that the look before did not have."""
    mended: tuple[Diagnostic, ...] = ()
    """Findings that are gone."""
    failure: WfgenError | None = None
    """Why nothing was written, if the settings or the output folder are at fault and were not before."""
    recovered: bool = False
    """Whether such a failure is over."""
    errors: int = 0
    """Findings that are errors, old ones included."""
    written: int = 0
    removed: int = 0
    seconds: float = 0.0


class Rebuilder:
    """Inspects a project again and again, and writes what has changed.

    Args:
        folder: a folder of the project; None for the current one.

    Raises:
        ConfigurationError: the settings do not fit.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self.settings = load_settings(folder)
        self.output = ""
        """Absolute folder of the generated package."""
        self.inspection: Inspection | None = None
        """What the last look found; None if it failed."""
        self._manifest: Manifest | None = None
        self._hashes: dict[str, str] = {}
        self._modules: Mapping[str, str | None] = {}
        self._findings: dict[FindingKey, Diagnostic] = {}
        self._failure: str | None = None

    def rebuild(self, *, everything: bool = False) -> Outcome:
        """Look at the sources, and write what has changed.

        Args:
            everything: look at all outputs, not only at those of changed sources.
        """
        began = time.perf_counter()
        self.inspection = None
        try:
            self.settings = load_settings(self._folder)
            inspection = inspect(self.settings)
            outcome = self._compare(inspection)
            written, removed = self._write(inspection, everything or self._failure is not None)
        except Exception as error:  # whatever it is, the next save may mend it
            failure = told_of(error)
            outcome = Outcome(failure=None if str(failure) == self._failure else failure)
            self._failure = str(failure)
        else:
            outcome = replace(outcome, written=written, removed=removed, recovered=self._failure is not None)
            self._failure = None
            self.inspection = inspection
        return replace(outcome, seconds=time.perf_counter() - began)

    def _compare(self, inspection: Inspection) -> Outcome:
        """What is different from the look before."""
        hashes = {source.file: source.source_hash for source in inspection.manifest.files}
        # A file that cannot be read has no hash of its own here: what is told of it are its findings.
        hashes |= {file: self._hashes.get(file, "") for file in inspection.unreadable}
        changed = dict.fromkeys(self._hashes.keys() - hashes.keys(), "removed")
        for file, digest in hashes.items():
            if self._hashes.get(file) != digest:
                changed[file] = "changed" if file in self._hashes else "added"
        for name, now in inspection.modules.items():
            before = self._modules.get(name, now)
            if before != now:
                changed[name] = "added" if before is None else "removed" if now is None else "changed"
        findings = {(d.file, d.code, d.message): d for d in inspection.diagnostics}
        outcome = Outcome(
            changed=dict(sorted(changed.items())),
            appeared=tuple(found for key, found in findings.items() if key not in self._findings),
            mended=tuple(found for key, found in self._findings.items() if key not in findings),
            errors=sum(found.severity == "error" for found in findings.values()),
        )
        self._hashes, self._modules, self._findings = hashes, inspection.modules, findings
        return outcome

    def _write(self, inspection: Inspection, everything: bool) -> tuple[int, int]:
        """Bring the outputs of all sound files up to date. Returns how many files were written and removed."""
        output = self.settings.project / inspection.manifest.output
        self.output = str(output)
        unsound = {d.file for d in inspection.diagnostics if d.severity == "error"} | inspection.unreadable
        manifest = inspection.manifest
        if unsound:
            sound = tuple(source for source in manifest.files if source.file not in unsound)
            manifest = carry_over(manifest.model_copy(update={"files": sound}), self._previous(output), unsound)
        changes = None if everything or self._manifest is None else changed_sources(self._manifest, manifest)
        if changes is None:
            planned = plan(render(manifest, self.settings), output)
        elif changes:
            shared = any(before is None or face(before) != face(after) for before, after in changes.values())
            planned = plan(render(manifest, self.settings, only=changes, shared=shared), output, keep=("",))
        else:
            return 0, 0
        planned.apply()
        self._manifest = manifest
        actions = [c.action for c in planned.changes if not (c.action == "delete" and c.edited)]
        return actions.count("create") + actions.count("update"), actions.count("delete")

    def _previous(self, output: Path) -> Manifest:
        """What is generated now; at first, what an earlier process left."""
        if self._manifest is not None:
            return self._manifest
        try:
            return load_manifest(output)
        except StoredManifestError:
            return Manifest(package="", output="")


def changed_sources(before: Manifest, after: Manifest) -> dict[str, tuple[SourceFile | None, SourceFile]] | None:
    """Source files of which something else is known than before, with both; None when something that has outputs of
    its own is gone."""
    if (before.package, before.output) != (after.package, after.output) or _defined(before) - _defined(after):
        return None
    known = {source.file: source for source in before.files}
    pairs = ((known.get(now.file), now) for now in after.files)
    return {now.file: (then, now) for then, now in pairs if then is not now and then != now}


def _defined(manifest: Manifest) -> set[tuple[str, str, str]]:
    """What has outputs of its own: modules, and versions of workflows."""
    modules = {("", "", source.module) for source in manifest.files}
    return modules | {(source.module, w.name, w.version) for source in manifest.files for w in source.workflows}
