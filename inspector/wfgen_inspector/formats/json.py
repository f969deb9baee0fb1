"""Findings as one JSON document with stable keys; keys may be added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from wfgen_inspector.diagnostics import Diagnostic

SCHEMA_VERSION = 1


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """Render findings as JSON in ASCII, so that any file name survives any pipe."""
    document = {"schema_version": SCHEMA_VERSION, "diagnostics": [as_data(d) for d in diagnostics]}
    return json.dumps(document, indent=2) + "\n"


def as_data(finding: Diagnostic) -> dict[str, Any]:
    """One finding as plain data."""
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "related": [asdict(related) for related in finding.related],
        "fix": None if finding.fix is None else asdict(finding.fix),
        "url": finding.url,
    }
