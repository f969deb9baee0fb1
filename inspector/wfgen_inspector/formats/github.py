"""Workflow commands that GitHub shows as annotations on the changed lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic, Severity
from wfgen_inspector.formats.places import repository_prefix
from wfgen_inspector.formats.text import told

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render(diagnostics: Sequence[Diagnostic], project: Path) -> str:
    """Render findings as `::error file=…,line=…::message`, one a line.

    Paths are relative to the checked-out repository if the project lies inside it.
    """
    prefix = repository_prefix(project)
    return "".join(_annotation(d, prefix) for d in diagnostics)


def _annotation(finding: Diagnostic, prefix: str) -> str:
    properties: dict[str, str | int] = {"file": f"{prefix}{finding.file}", "line": finding.line}
    if finding.end_line == finding.line:
        # Columns are only understood within one line.
        properties |= {"col": finding.column, "endLine": finding.end_line, "endColumn": finding.end_column}
    else:
        properties |= {"endLine": finding.end_line}
    properties["title"] = f"wfgen {finding.code}"
    details = ",".join(f"{key}={_escape_property(str(value))}" for key, value in properties.items())
    places = "".join(f"\n{prefix}{r.file}:{r.line}:{r.column}: {r.message}" for r in finding.related)
    message = f"{finding.code} {told(finding)}{places}"
    return f"::{_COMMANDS[finding.severity]} {details}::{_escape(message)}\n"


def _escape(text: str) -> str:
    encodable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return encodable.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
