"""A Code Quality report, which GitLab shows on the changed lines of a merge request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic, Severity
from wfgen_inspector.formats.fingerprints import fingerprints
from wfgen_inspector.formats.json import document
from wfgen_inspector.formats.places import repository_prefix
from wfgen_inspector.formats.source import Lines
from wfgen_inspector.formats.text import told

_SEVERITIES: dict[Severity, str] = {"error": "major", "warning": "minor", "info": "info"}


def render(diagnostics: Sequence[Diagnostic], project: Path) -> str:
    """Render findings as a JSON list; paths are relative to the checked-out repository."""
    prefix = repository_prefix(project)
    return document(
        [
            {
                "check_name": finding.code,
                "description": f"{finding.code} {told(finding)}",
                "fingerprint": fingerprint,
                "severity": _SEVERITIES[finding.severity],
                "location": {
                    "path": f"{prefix}{finding.file}",
                    "lines": {"begin": finding.line, "end": max(finding.line, finding.end_line)},
                },
            }
            for finding, fingerprint in zip(diagnostics, fingerprints(diagnostics, Lines(project)), strict=True)
        ]
    )
