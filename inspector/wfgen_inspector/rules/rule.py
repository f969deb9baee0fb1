"""What a rule is: its documentation, its samples and its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Applicability, Diagnostic, Fix, Related, Severity
from wfgen_inspector.facts import Project

MARK = "# <- here"
"""Ends the line of an invalid sample on which the finding is expected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; the rule adds its code and severity."""

    file: str
    span: Span
    message: str
    hint: str | None = None
    related: tuple[Related, ...] = ()
    fix: Fix | None = None


@dataclass(frozen=True)
class Sample:
    """A small project that a rule accepts or refuses: its tests and its documentation."""

    files: Mapping[str, str | bytes]
    """Path -> source. The line of the finding ends with `# <- here`."""
    line: int | None = None
    """The finding's line where a mark cannot stand."""
    settings: Mapping[str, Any] = field(default_factory=dict)


def sample(source: str | bytes, *, line: int | None = None, path: str = "app.workflow.py") -> Sample:
    """A sample of one file."""
    return Sample({path: source}, line=line)


@dataclass(frozen=True)
class Rule:
    """One rule: what `explain` prints, what the documentation shows, and what finds it."""

    code: str
    name: str
    """Words that say what is found, such as `dynamic-step-name`."""
    severity: Severity
    summary: str
    """One sentence."""
    what: str
    """What it does."""
    why: str
    """Why what it finds is bad."""
    remedy: str
    """How to fix it."""
    check: Callable[[Project], Iterable[Finding]] | None = None
    """None where another part of wfgen finds it."""
    invalid: tuple[Sample, ...] = ()
    valid: tuple[Sample, ...] = ()
    fixes: Applicability | Literal["both"] | None = None
    """Whether it comes with a fix, and of which kind; "both" where that depends on the place."""
    required: bool = False
    """Reported whatever comments and settings ignore, because what is generated would be wrong."""
    chained: bool = False
    """Whether the related places are the calls that lead from the finding to its cause, in this order."""
    on_statement: bool = True
    """Whether it finds something in a source file, where a comment can suppress it."""
    separate: bool = False
    """Whether it is found after an inspection, by a tool of its own: only then is it known which comments it needs."""

    @property
    def applicabilities(self) -> tuple[Applicability, ...]:
        """The kinds of fixes that it comes with."""
        return () if self.fixes is None else ("safe", "unsafe") if self.fixes == "both" else (self.fixes,)

    def diagnostic(self, finding: Finding) -> Diagnostic:
        """A finding of this rule."""
        span = finding.span
        return Diagnostic(
            file=finding.file,
            line=span.line,
            column=span.column,
            end_line=span.end_line,
            end_column=span.end_column,
            code=self.code,
            severity=self.severity,
            message=finding.message,
            hint=finding.hint,
            related=finding.related,
            fix=finding.fix,
        )

    def run(self, project: Project) -> Iterator[Diagnostic]:
        """All findings of this rule in a project, in no order."""
        if self.check is not None:
            for finding in self.check(project):
                yield self.diagnostic(finding)
