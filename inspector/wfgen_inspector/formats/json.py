"""Findings as JSON with stable keys; keys may be added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wfgen_inspector.diagnostics import Diagnostic, Related

SCHEMA_VERSION = 1


def render(diagnostics: Sequence[Diagnostic], others: Mapping[str, Any] | None = None) -> str:
    """Render findings as one document; `others` are further keys of it."""
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "diagnostics": [as_data(d) for d in diagnostics]}
    return document({**content, **(others or {})})


def render_lines(diagnostics: Sequence[Diagnostic]) -> str:
    """Render findings as JSON, one a line."""
    return "".join(f"{json.dumps(_encodable(as_data(finding)))}\n" for finding in diagnostics)


def document(value: Any) -> str:
    """JSON in ASCII, so that any file name survives any pipe."""
    return json.dumps(_encodable(value), indent=2) + "\n"


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
        "related": [_related(related) for related in finding.related],
        "fix": None if finding.fix is None else asdict(finding.fix),
        "url": finding.url,
    }


def _related(related: Related) -> dict[str, Any]:
    data = asdict(related)
    return data if related.is_past else {key: value for key, value in data.items() if key != "is_past"}


def _encodable(value: Any) -> Any:
    """The same with backslash escapes in place of lone surrogates, which most readers of JSON refuse."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _encodable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_encodable(inner) for inner in value]
        case _:
            return value
