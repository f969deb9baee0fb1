"""From a project to its findings: all rules, then suppression comments, then the settings that select."""

from __future__ import annotations

from wfgen_inspector.diagnostics import Diagnostic, ordered
from wfgen_inspector.facts import Project
from wfgen_inspector.rules import RULES
from wfgen_inspector.selection import Selection
from wfgen_inspector.suppressions import suppress, suppressions_of


def check(project: Project) -> tuple[Diagnostic, ...]:
    """Run all rules over a project.

    Returns:
        Findings sorted by file, line, column and code.

    Raises:
        ConfigurationError: a setting names a code that does not exist or cannot be ignored.
    """
    selection = Selection.of(project.settings, RULES)
    found = (finding for rule in RULES.values() for finding in rule.run(project))
    kept = suppress(found, suppressions_of(project.files), RULES)
    return ordered(filter(selection.keeps, kept))
