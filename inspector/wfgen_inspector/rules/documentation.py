"""The rules as one Markdown page: `python -m wfgen_inspector.rules > docs/rules.md`."""

from __future__ import annotations

from collections.abc import Iterator

from wfgen_inspector.explanation import examples, runtime_errors
from wfgen_inspector.rules import RULES, Rule

_INTRODUCTION = """\
# Rules

<!-- Written by `python -m wfgen_inspector.rules > docs/rules.md`; edit the rules, not this page. -->

What `wfgen check` and `wfgen prebuild` report. Errors stop `prebuild`; warnings do not, unless `strict` is set.
`wfgen explain WF101` prints one rule.

A comment suppresses a finding on the statement on which it stands: `# wfgen: ignore[WF101]`, with several codes
`# wfgen: ignore[WF101, WF102]`. For a whole project, `select` and `ignore` in `[tool.wfgen]` take codes or prefixes
such as `WF1`; of two that match, the longer decides. For some files, `[tool.wfgen.per-file-ignores]` has glob patterns
with what is left out there, such as `"legacy/**" = ["WF1"]`. Rules marked *required* are always reported, because what
is generated would be wrong.
"""

_FAMILIES = {
    "WF0": "Files and modules",
    "WF1": "Steps",
    "WF2": "Determinism",
    "WF3": "Control flow",
    "WF4": "Contracts",
    "WF5": "Compatibility",
    "WF6": "Settings and outputs",
    "WF9": "Internal",
}


def page() -> str:
    """The page as text that ends with a newline."""
    return "\n".join([_INTRODUCTION, *_table(), "", *_rules(), *_errors()]) + "\n"


def _table() -> Iterator[str]:
    yield "| code | name | severity | fix | what is found |"
    yield "|---|---|---|---|---|"
    for rule in RULES.values():
        severity = f"{rule.severity}, required" if rule.required else rule.severity
        link = f"[{rule.code}](#{rule.code.lower()})"
        yield f"| {link} | `{rule.name}` | {severity} | {' or '.join(rule.applicabilities)} | {rule.summary} |"


def _rules() -> Iterator[str]:
    family = ""
    for code, rule in RULES.items():
        if code[:3] != family:
            family = code[:3]
            yield f"## {_FAMILIES[family]}\n"
        yield from _section(rule)


def _section(rule: Rule) -> Iterator[str]:
    yield f'### <a id="{rule.code.lower()}"></a>{rule.code} `{rule.name}`\n'
    yield f"{rule.summary}\n"
    yield f"**What it does.** {rule.what}\n"
    yield f"**Why is this bad.** {rule.why}\n"
    bad, good = examples(rule)
    if bad:
        yield f"**Example.**\n\n```python\n{bad}\n```\n"
    if good:
        yield f"**Use instead.**\n\n```python\n{good}\n```\n"
    yield f"**How to fix.** {rule.remedy}\n"


def _errors() -> Iterator[str]:
    yield "## Errors at run time\n"
    yield "| code | raised as | when |"
    yield "|---|---|---|"
    for code, error in runtime_errors().items():
        when = (error.__doc__ or "").strip().partition("\n")[0]
        yield f"| {code} | `wfgen.errors.{error.__name__}` | {when} |"
