"""From changes to findings: where it stands today, what stood there, and the ways out."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen.manifest import Span
from wfgen_inspector.compatibility.classification import Change
from wfgen_inspector.compatibility.mending import Today, bumped, guarded, next_version
from wfgen_inspector.compatibility.shapes import Operation
from wfgen_inspector.compatibility.snapshot import LOCK
from wfgen_inspector.compatibility.verdicts import Reason, Verdict
from wfgen_inspector.diagnostics import Fix, Related
from wfgen_inspector.rules.rule import Finding

CODES: dict[Verdict, str] = {
    "needs-version": "WF501",
    "breaks-runs": "WF502",
    "breaks-clients": "WF503",
    "safe-with-warning": "WF504",
}
"""Code of the findings for each verdict that has some."""
UNLOCKED = "WF505"

_HINTS: dict[Verdict, str] = {
    "breaks-runs": "Put back what has changed for as long as runs of this version are in flight (`wfgen check --live` "
    "lists them), or load old and new alike: a default, a wider type.",
    "breaks-clients": "Tell callers, or keep what they use and add the new beside it, as a new version.",
    "safe-with-warning": "Runs that have recorded the step keep its result, and note the difference; make it a new "
    "step if they must not.",
}
_GONE = (
    "Keep the old function, with its name and version, until `wfgen check --live` shows no runs of it; then "
    "`wfgen lock --prune` forgets it."
)


def findings(today: Today, changes: tuple[Change, ...], code: str) -> Iterator[Finding]:
    """The findings of one code."""
    for change in changes:
        reasons = [reason for reason in change.reasons if CODES.get(reason.verdict) == code]
        for reason in reasons:
            yield _finding(today, change, reason, is_only=len(reasons) == 1)


def unlocked(changes: tuple[Change, ...]) -> Iterator[Finding]:
    """Versions that the lock file does not know."""
    for change in changes:
        if change.old is None:
            yield Finding(
                change.entry.file,
                _header(change.entry.span),
                f"workflow {change.entry.name!r} version {change.entry.version!r} is not in {LOCK}, so changes to it "
                "are not noticed.",
                "Run `wfgen lock` when it is released, and commit the file.",
            )


def _finding(today: Today, change: Change, reason: Reason, *, is_only: bool) -> Finding:
    entry, old = change.entry, change.old
    assert old is not None
    if change.new is None or reason.new is None:
        file, span = entry.file, _header(entry.span)
    else:
        file, span = reason.new.file or entry.file, reason.new.span
        span = span if isinstance(reason.new, Operation) else _header(span)
    place = reason.old or old
    what = f"`{place}` stood here" if isinstance(place, Operation) else "as it was released"
    related = Related(place.file or old.file, place.line, 1, what, is_past=True)
    who = f"workflow {entry.name!r} version {entry.version!r}"
    return Finding(
        file,
        span,
        f"{who}: {reason.message}.",
        _hint(change, reason),
        (related,),
        _fix(today, change, reason, is_only=is_only),
    )


def _hint(change: Change, reason: Reason) -> str:
    if change.new is None:
        return _GONE
    if reason.verdict != "needs-version":
        return _HINTS[reason.verdict]
    version = next_version(change.entry.version)
    return (
        f'Give the changed function version="{version}" and keep the old one as version="{change.entry.version}" for '
        'runs in flight; or take the new path in new runs only: `if workflow.patched("what changes"):`.'
    )


def _fix(today: Today, change: Change, reason: Reason, *, is_only: bool) -> Fix | None:
    """A guard around a statement that is new, if that is all; else a new version."""
    if reason.verdict != "needs-version" or change.new is None:
        return None
    if is_only and reason.plain and isinstance(reason.new, Operation):
        fix = guarded(today, reason.new.file or change.new.file, reason.new)
        if fix is not None:
            return fix
    return bumped(today, change.new)


def _header(span: Span) -> Span:
    """The start of something that may go over many lines."""
    if span.end_line == span.line:
        return span
    return span.model_copy(update={"end_line": span.line, "end_column": span.column + 1})
