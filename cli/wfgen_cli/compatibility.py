"""What `wfgen check` says of compatibility: with a release, and with the runs that are in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wfgen_cli import terminal
from wfgen_cli.baselines import Baseline, baseline
from wfgen_inspector.compatibility.classification import Change, classify
from wfgen_inspector.compatibility.findings import CODES, UNLOCKED, findings, unlocked
from wfgen_inspector.compatibility.mending import Today
from wfgen_inspector.compatibility.snapshot import snapshot
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.rules import RULES
from wfgen_inspector.selection import Selection
from wfgen_inspector.sources import read
from wfgen_inspector.suppressions import UNUSED, suppress

if TYPE_CHECKING:
    from wfgen.settings import Settings
    from wfgen_cli.flights import Flights
    from wfgen_inspector import Inspection
    from wfgen_inspector.sources import Edited

COMPARED = (*CODES.values(), UNLOCKED)
LIVE = ("WF506", "WF507")
SHOWN = 10
"""Versions that one note names."""


@dataclass(frozen=True)
class Compatibility:
    """What was compared."""

    diagnostics: tuple[Diagnostic, ...]
    baseline: Baseline | None
    changes: tuple[Change, ...]
    """Every version of every workflow, if there was something to compare with."""
    flights: Flights | None = None
    """Runs in flight, if they were asked for."""

    def data(self) -> dict[str, Any]:
        """The same for programs."""
        found: dict[str, Any] = {
            "compatibility": [
                {
                    "workflow": change.entry.name,
                    "version": change.entry.version,
                    "verdict": change.verdict,
                    "reasons": [{"verdict": r.verdict, "message": r.message} for r in change.reasons],
                }
                for change in self.changes
            ]
        }
        return found if self.flights is None else {**found, "live": self.flights.data()}

    def note(self) -> None:
        """Tell on stderr what became of each workflow that has changed, and which runs are in flight."""
        changed = [change for change in self.changes if change.verdict != "unchanged"]
        if self.baseline is not None and self.baseline.forgotten:
            listed = ", ".join(self.baseline.forgotten[:SHOWN]) + (", …" * (len(self.baseline.forgotten) > SHOWN))
            terminal.note(terminal.printable(f"Not compared, since nothing needs them any more: {listed}."))
        if self.baseline is not None and changed:
            rows = [(c.entry.name, c.entry.version, c.verdict) for c in changed]
            width = [max(len(row[i]) for row in rows) for i in (0, 1)]
            terminal.note(f"Compared with {terminal.printable(self.baseline.name)}:")
            for name, version, verdict in rows:
                terminal.note(terminal.printable(f"  {name:<{width[0]}}  {version:<{width[1]}}  {verdict}"))
        if self.flights is not None:
            self.flights.note()


def compared(
    settings: Settings, inspection: Inspection, *, against: str | None, live: bool, edited: Edited | None = None
) -> Compatibility:
    """Compare the sources with a release, and with the runs in flight.

    Args:
        settings: of the project.
        inspection: of its sources.
        against: `store`, a git revision, a lock file or a manifest; None for the project's lock file, if there is one.
        live: whether the store is asked for runs in flight.
        edited: what counts in place of what is on disk.

    Raises:
        LockError: the lock file or manifest cannot be read.
        RevisionError: git does not know the revision.
        DeploymentError: the store does not tell what was deployed.
        StoreError: the store cannot be read.
    """
    given = baseline(settings, against, inspection.manifest)
    now = snapshot(inspection.manifest)
    today = Today(inspection.manifest, lambda file: read(settings.project / file, edited))
    found: list[Diagnostic] = []
    changes: tuple[Change, ...] = ()
    codes: tuple[str, ...] = ()
    if given is not None:
        lost = {entry.file for entry in given.snapshot.workflows.values()} & inspection.unreadable
        changes = tuple(c for c in classify(given.snapshot, now) if c.new is not None or c.entry.file not in lost)
        for code in CODES.values():
            found += (RULES[code].diagnostic(finding) for finding in findings(today, changes, code))
        if given.is_lock:
            found += (RULES[UNLOCKED].diagnostic(finding) for finding in unlocked(changes))
        codes = COMPARED
    flights = None
    if live:
        from wfgen_cli.flights import look_at

        flights = look_at(settings, now, inspection.manifest.package, is_complete=not inspection.unreadable)
        found += flights.diagnostics()
        codes = (*codes, *LIVE)
    return Compatibility(_judged(settings, inspection, found, codes), given, changes, flights)


def _judged(
    settings: Settings, inspection: Inspection, found: Sequence[Diagnostic], codes: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """Findings that neither comments nor settings leave out, and comments that none of them needs."""
    rules = {code: RULES[code] for code in (*codes, UNUSED)}
    selection = Selection.of(settings, RULES)
    return tuple(filter(selection.keeps, suppress(found, inspection.suppressions, rules, separate=True)))
