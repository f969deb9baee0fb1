"""Workflow commands that GitHub shows as annotations on the changed lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wfgen_inspector.diagnostics import Diagnostic, Severity

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render(diagnostics: Sequence[Diagnostic], project: Path) -> str:
    """Render findings as `::error file=…,line=…::message`, one a line.

    Paths are relative to the checked-out repository (`GITHUB_WORKSPACE`) if the project lies inside it.
    """
    prefix = _prefix(project)
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
    message = f"{finding.message} {finding.hint}" if finding.hint else finding.message
    return f"::{_COMMANDS[finding.severity]} {details}::{_escape(f'{finding.code} {message}')}\n"


def _prefix(project: Path) -> str:
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace:
        return ""
    try:
        folder = project.resolve().relative_to(Path(workspace).resolve()).as_posix()
    except ValueError:
        return ""
    return "" if folder == "." else f"{folder}/"


def _escape(text: str) -> str:
    encodable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return encodable.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
