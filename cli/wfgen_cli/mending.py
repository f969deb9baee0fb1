"""Fixes of findings: in memory until nothing more can be mended, then to disk, or shown as a patch.

Each round applies what does not overlap and inspects the outcome before the next one. So nothing is written that has
not been inspected, and a patch shows exactly what would be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from wfgen_cli.failures import FixError
from wfgen_inspector.fixes import Fixed, apply_fixes, without_effect
from wfgen_inspector.parsing import BadSyntaxError, parse
from wfgen_inspector.sources import Source, UnreadableError, read

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_inspector.diagnostics import Diagnostic
    from wfgen_inspector.sources import Edited

MAX_ROUNDS = 10
"""Fixes that bring about each other are given up after so many."""

Look = Callable[["Edited"], Sequence["Diagnostic"]]
"""The project's findings, with some files as they would be."""
_Kind = tuple[str, str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class MendedFile:
    """A file before and after its fixes."""

    name: str
    """POSIX, relative to the project."""
    path: Path
    """Where its content lies, links followed."""
    before: Source
    after: Source


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are changed all of them or not at all, because a fix has edits in each."""

    files: tuple[MendedFile, ...]
    findings: tuple[Diagnostic, ...]
    """Those that were mended."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What fixes come to."""

    batches: tuple[Batch, ...]
    """Sorted by the name of their first file."""
    unsafe: int
    """Findings left whose fix is unsafe, where only safe ones were asked for."""
    errors: tuple[FixError, ...]
    """Files that could not be touched."""
    refused: tuple[str, ...]
    """Why other fixes were left out, one sentence each."""

    @property
    def files(self) -> tuple[MendedFile, ...]:
        return tuple(sorted((file for batch in self.batches for file in batch.files), key=lambda file: file.name))

    @property
    def count(self) -> int:
        """How many findings are mended."""
        return sum(len(batch.findings) for batch in self.batches)


def mend(settings: Settings, look: Look, *, unsafe: bool = False) -> Mended:
    """Find out what the fixes of all findings make of the project. Nothing is written.

    Args:
        settings: of the project.
        look: inspects it.
        unsafe: whether to apply fixes that somebody has to look at, too.
    """
    return _Mending(settings, look, unsafe=unsafe).run()


class _Mending:
    def __init__(self, settings: Settings, look: Look, *, unsafe: bool) -> None:
        self._settings = settings
        self._project = settings.project
        self._look = look
        self._unsafe = unsafe
        self._files: dict[str, MendedFile] = {}
        """Files with something to mend, as they were when they were first read."""
        self._closed: dict[str, FixError] = {}
        """Files that are not to be touched."""
        self._refused: dict[_Kind, str] = {}
        self._applied: list[Diagnostic] = []

    def run(self) -> Mended:
        found = self._look({})
        for _ in range(MAX_ROUNDS):
            while self._opened(found):  # what was inspected and what is edited have to be the same
                found = self._look(self._edited())
            after = self._round(found)
            if after is None:
                return self._mended(found)
            found = after
        for finding in filter(self._is_wanted, found):
            self._refuse(finding, f"there was still something to mend after {MAX_ROUNDS} rounds")
        return self._mended(found)

    def _round(self, found: Sequence[Diagnostic]) -> Sequence[Diagnostic] | None:
        """Apply what can be applied at once; gives the findings afterwards, None if nothing is left to do."""
        while True:
            wanted = [finding for finding in found if self._is_wanted(finding)]
            texts = {name: file.after.written() for name, file in self._files.items()}
            fixed = apply_fixes(texts, wanted, unsafe=self._unsafe)
            if not fixed.texts:
                for finding in wanted:
                    self._refuse(finding, "it does not fit the file")
                return None
            changed = self._changed(fixed)
            if changed is None:
                continue
            after = self._look(self._edited(changed.values()))
            useless = without_effect(texts, fixed, after)
            for finding in useless:
                self._refuse(finding, "the finding would still be there")
            if not useless:
                self._files |= changed
                self._applied += fixed.applied
                return after

    def _changed(self, fixed: Fixed) -> dict[str, MendedFile] | None:
        """The files after a round; None if one of them were no Python any more, whose fixes are refused then."""
        changed: dict[str, MendedFile] = {}
        for name, text in fixed.texts.items():
            try:
                after = self._files[name].after.with_text(text)
                parse(after.text())
            except (UnreadableError, BadSyntaxError) as error:
                for finding in fixed.applied:
                    if finding.fix is not None and any(edit.file == name for edit in finding.fix.edits):
                        self._refuse(finding, f"{name} could not be read any more: {error}".rstrip("."))
                return None
            changed[name] = replace(self._files[name], after=after)
        return changed

    def _edited(self, changed: Iterable[MendedFile] = ()) -> Edited:
        files = {file.path: file for file in (*self._files.values(), *changed)}
        return {str(path): file.after.data for path, file in files.items()}

    # Which fixes

    def _is_wanted(self, finding: Diagnostic) -> bool:
        fix = finding.fix
        return (
            fix is not None
            and (self._unsafe or fix.applicability == "safe")
            and all(edit.file in self._files for edit in fix.edits)
            and _kind(finding) not in self._refused
        )

    def _refuse(self, finding: Diagnostic, reason: str) -> None:
        place = f"{finding.file}:{finding.line}:{finding.column}"
        self._refused.setdefault(_kind(finding), f"the fix of {finding.code} in {place} was left out: {reason}.")

    # Files

    def _opened(self, found: Iterable[Diagnostic]) -> bool:
        """Read the files that fixes are for; whether there were any that had not been read before."""
        known = self._files.keys() | self._closed.keys()
        fixes = [finding.fix for finding in found if finding.fix is not None]
        names = {
            edit.file for fix in fixes if self._unsafe or fix.applicability == "safe" for edit in fix.edits
        } - known
        for name in sorted(names):
            try:
                self._files[name] = self._open(name)
            except FixError as error:
                self._closed[name] = error
        return not self._files.keys() <= known

    def _open(self, name: str) -> MendedFile:
        path = Path(os.path.realpath(self._project / name))
        same = next((file.name for file in self._files.values() if file.path == path), None)
        if same is not None:
            raise FixError(f"{name} is another name of {same}, where the fixes are made.", is_failure=False)
        if not path.is_relative_to(os.path.realpath(self._project)):
            raise FixError(f"{name} lies outside the project: its fixes were left out.", is_failure=False)
        try:
            source = read(path)
            source.with_text(source.written())
        except UnreadableError as error:
            raise FixError(f"{name} was not changed: {error}", hint=error.hint) from None
        if self._is_generated(path, source):
            raise FixError(f"{name} is generated: its fixes were left out.", is_failure=False)
        if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            what = "its folder" if os.access(path, os.W_OK) else "it"
            raise FixError(
                f"{name} was not changed: {what} may not be written.", hint="Change its permissions and try again."
            )
        return MendedFile(name, path, source, source)

    @cached_property
    def _output(self) -> Path:
        """The folder of the generated package."""
        from wfgen_inspector.discovery import discover

        return self._project / discover(self._settings).output

    def _is_generated(self, path: Path, source: Source) -> bool:
        from wfgen_codegen import ownership

        folder = os.path.realpath(self._output)
        return path.is_relative_to(folder) or ownership.state(path.name, source.data) != "foreign"

    # The outcome

    def _mended(self, found: Iterable[Diagnostic]) -> Mended:
        unsafe = sum(d.fix is not None and d.fix.applicability == "unsafe" and not self._unsafe for d in found)
        closed = self._closed.values()
        return Mended(
            tuple(self._batches()),
            unsafe,
            tuple(error for error in closed if error.is_failure),
            (*(error.message for error in closed if not error.is_failure), *self._refused.values()),
        )

    def _batches(self) -> list[Batch]:
        batches: list[tuple[set[str], list[Diagnostic]]] = []
        for finding in self._applied:
            names = {edit.file for edit in finding.fix.edits} if finding.fix is not None else set()
            joined = [batch for batch in batches if batch[0] & names]
            batches = [batch for batch in batches if not batch[0] & names]
            batches.append(
                (names.union(*(batch[0] for batch in joined)), [*(d for batch in joined for d in batch[1]), finding])
            )
        made = [
            Batch(tuple(self._files[name] for name in sorted(names) if self._is_changed(name)), tuple(findings))
            for names, findings in batches
        ]
        return sorted((batch for batch in made if batch.files), key=lambda batch: batch.files[0].name)

    def _is_changed(self, name: str) -> bool:
        return self._files[name].after.data != self._files[name].before.data


def _kind(finding: Diagnostic) -> _Kind:
    """What a fix is told by when lines have moved."""
    edits = () if finding.fix is None else tuple((edit.file, edit.text) for edit in finding.fix.edits)
    return finding.file, finding.code, "" if finding.fix is None else finding.fix.message, edits
