"""Suppression comments: `# wfgen: ignore[WF101, WF102]`.

A comment counts for the statement on which it stands, on whichever of its lines. What it does not suppress is
reported (WF012): a suppression without a code, with one that does not exist, or that no finding needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.facts import FileFacts, Suppression
from wfgen_inspector.rules.rule import Finding, Rule
from wfgen_inspector.suggestions import did_you_mean, nearest

UNUSED = "WF012"


Suppressions = Mapping[str, tuple[Suppression, ...]]
"""File -> its comments; files without any are left out."""


def suppressions_of(files: Iterable[FileFacts]) -> Suppressions:
    """The comments of all files."""
    found: dict[str, tuple[Suppression, ...]] = {}
    for facts in files:
        for path, comments in ((facts.path, facts.suppressions), *facts.entered):
            if comments:
                found[path] = comments
    return found


def suppress(
    diagnostics: Iterable[Diagnostic], comments: Suppressions, rules: Mapping[str, Rule], *, separate: bool = False
) -> tuple[Diagnostic, ...]:
    """Take out the findings that a comment suppresses, and add one for every suppression that does nothing.

    Args:
        diagnostics: findings.
        comments: of all files.
        rules: code -> rule.
        separate: whether the findings are those of the rules that are found separately; else those of all others.
    """
    used: set[tuple[str, Suppression, str]] = set()
    kept: list[Diagnostic] = []
    for finding in diagnostics:
        hits = [c for c in comments.get(finding.file, ()) if _covers(c, finding)]
        if not hits or rules[finding.code].required:
            kept.append(finding)
        else:
            used.update((finding.file, comment, finding.code) for comment in hits)
    for path, suppressions in comments.items():
        for comment in suppressions:
            for message, hint in _unused(path, comment, used, rules, separate):
                kept.append(rules[UNUSED].diagnostic(Finding(path, comment.span, message, hint)))
    return tuple(kept)


def _covers(comment: Suppression, finding: Diagnostic) -> bool:
    first, last = min(comment.statement_line, comment.line), max(comment.statement_end_line, comment.line)
    return finding.code in comment.codes and first <= finding.line <= last


def _unused(
    path: str,
    comment: Suppression,
    used: set[tuple[str, Suppression, str]],
    rules: Mapping[str, Rule],
    separate: bool,
) -> Iterator[tuple[str, str]]:
    if not comment.codes and not separate:
        yield (
            "a suppression without a code suppresses nothing.",
            "Name the codes that are meant, such as `# wfgen: ignore[WF101]`.",
        )
    for code in dict.fromkeys(comment.codes):
        if (code in rules and rules[code].separate) is not separate:
            continue
        if code not in rules:
            yield f"no rule has the code {code!r}.", did_you_mean(nearest(code, rules)) or "Remove it."
        elif rules[code].required:
            yield (
                f"{code} ({rules[code].name}) cannot be suppressed: what is generated would be wrong.",
                "Remove the comment and mend what the rule reports.",
            )
        elif (path, comment, code) not in used:
            yield f"nothing on this statement is {code} ({rules[code].name}).", f"Remove {code} from the comment."
