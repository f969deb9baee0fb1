"""SARIF 2.1.0, which code scanning services and editors read.

Paths are URIs relative to the root of the checked-out repository, columns count Unicode code points. Findings that a
comment or a setting leaves out are left out here as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related, Severity
from wfgen_inspector.explanation import examples
from wfgen_inspector.formats.fingerprints import fingerprints
from wfgen_inspector.formats.json import document
from wfgen_inspector.formats.places import file_uri, relative_uri, repository_prefix
from wfgen_inspector.formats.source import Lines
from wfgen_inspector.formats.text import told
from wfgen_inspector.rules import RULES, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
BASE = "%SRCROOT%"
"""What stands for the folder that the URIs start from."""
FINGERPRINT = "wfgenFinding/v1"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_SEVERITIES: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "recommendation"}
"""As GitHub sorts findings."""


def render(diagnostics: Sequence[Diagnostic], project: Path) -> str:
    """Render findings as a log of one run."""
    places = _Places(project)
    indexes = {code: index for index, code in enumerate(RULES)}
    marks = fingerprints(diagnostics, Lines(project))
    driver = {"name": "wfgen", "semanticVersion": version("wfgen-inspector"), "rules": list(map(_rule, RULES.values()))}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {BASE: {"description": {"text": "The root of the repository, or else of the project."}}},
        "results": [
            places.result(finding, indexes.get(finding.code), mark)
            for finding, mark in zip(diagnostics, marks, strict=True)
        ],
    }
    return document({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


class _Places:
    """Results, with their places in a project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._prefix = repository_prefix(project)

    def result(self, finding: Diagnostic, index: int | None, fingerprint: str) -> dict[str, Any]:
        place = self._physical(finding.file, _region(finding))
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "level": _LEVELS[finding.severity],
            "message": {"text": told(finding)},
            "locations": [{"physicalLocation": place}],
            "partialFingerprints": {FINGERPRINT: fingerprint},
        }
        if index is not None:
            result["ruleIndex"] = index
        steps = [self._step(related) for related in finding.related]
        if steps:
            result["relatedLocations"] = [{"id": number, **step} for number, step in enumerate(steps)]
        if steps and index is not None and RULES[finding.code].chained:
            first = {"physicalLocation": place, "message": {"text": finding.message}}
            flow = {"locations": [{"location": step} for step in (first, *steps)]}
            result["codeFlows"] = [{"threadFlows": [flow]}]
        if finding.fix is not None and finding.fix.edits:
            result["fixes"] = [self._fix(finding.fix)]
        return result

    def _step(self, related: Related) -> dict[str, Any]:
        region = {"startLine": max(1, related.line), "startColumn": max(1, related.column)}
        return {"physicalLocation": self._physical(related.file, region), "message": {"text": related.message}}

    def _fix(self, fix: Fix) -> dict[str, Any]:
        files: dict[str, list[Edit]] = {}
        for edit in fix.edits:
            files.setdefault(edit.file, []).append(edit)
        changes = [
            {"artifactLocation": self._artifact(file), "replacements": list(map(_replacement, edits))}
            for file, edits in files.items()
        ]
        return {
            "description": {"text": fix.message},
            "artifactChanges": changes,
            "properties": {"applicability": fix.applicability},
        }

    def _physical(self, file: str, region: dict[str, int]) -> dict[str, Any]:
        return {"artifactLocation": self._artifact(file), "region": region}

    def _artifact(self, file: str) -> dict[str, str]:
        uri = relative_uri(f"{self._prefix}{file}")
        # What lies outside, such as an import root elsewhere, cannot be told from where the URIs start.
        return {"uri": file_uri(self._project / file)} if uri is None else {"uri": uri, "uriBaseId": BASE}


def _region(stretch: Diagnostic | Edit) -> dict[str, int]:
    """A stretch of text; what does not end after its start is empty."""
    start = max(1, stretch.line), max(1, stretch.column)
    end = max(start, (stretch.end_line, max(1, stretch.end_column)))
    return {"startLine": start[0], "startColumn": start[1], "endLine": end[0], "endColumn": end[1]}


def _replacement(edit: Edit) -> dict[str, Any]:
    return {"deletedRegion": _region(edit), "insertedContent": {"text": edit.text}}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.what},
        "help": {"text": f"{rule.what}\n\n{rule.why}\n\n{rule.remedy}", "markdown": "\n\n".join(_help(rule))},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["wfgen"], "problem.severity": _SEVERITIES[rule.severity]},
    }


def _help(rule: Rule) -> Iterable[str]:
    yield f"**What it does.** {rule.what}"
    yield f"**Why is this bad.** {rule.why}"
    for title, text in zip(("Example", "Use instead"), examples(rule), strict=True):
        if text:
            yield f"**{title}.**\n\n```python\n{text}\n```"
    yield f"**How to fix.** {rule.remedy}"
