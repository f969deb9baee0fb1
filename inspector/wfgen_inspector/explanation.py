"""`explain`: what a code means, in text."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from wfgen import errors
from wfgen.errors import ConfigurationError, WfgenError
from wfgen_inspector.diagnostics import address_of
from wfgen_inspector.rules import RULES, Rule, Sample
from wfgen_inspector.rules.rule import MARK
from wfgen_inspector.suggestions import did_you_mean, nearest

_WIDTH = 100


def explain(code: str) -> str:
    """Say what a diagnostic or error code means, why it matters and what to do.

    Args:
        code: a code such as `WF101`, in any case, or a rule's name such as `dynamic-step-name`.

    Raises:
        ConfigurationError: no rule or error has that code.
    """
    wanted = code.strip()
    rule = rule_of(wanted)
    if rule is not None:
        return _rule(rule)
    runtime = runtime_errors()
    if wanted.upper() in runtime:
        return _error(runtime[wanted.upper()])
    raise unknown(code)


def unknown(code: str) -> ConfigurationError:
    """What to raise for a code that no rule and no error has."""
    known = [*RULES, *runtime_errors(), *(rule.name for rule in RULES.values())]
    hint = did_you_mean(nearest(code.strip(), known, limit=2)) or "Codes look like WF101; docs/rules.md lists them."
    return ConfigurationError(f"no rule or error has the code {code!r}.", hint=hint)


def rule_of(code: str) -> Rule | None:
    """The rule of a code in any case, or of that name."""
    wanted = code.strip()
    return RULES.get(wanted.upper()) or next((r for r in RULES.values() if r.name == wanted.lower()), None)


def as_data(rule: Rule) -> dict[str, Any]:
    """What is known of a rule, as plain data; keys may be added."""
    bad, good = examples(rule)
    return {
        "code": rule.code,
        "name": rule.name,
        "kind": "rule",
        "severity": rule.severity,
        "fix": rule.fixes,
        "required": rule.required,
        "summary": rule.summary,
        "what": rule.what,
        "why": rule.why,
        "remedy": rule.remedy,
        "example": bad,
        "instead": good,
        "url": address_of(rule.code),
    }


def runtime_errors() -> dict[str, type[WfgenError]]:
    """Code -> class of every error that wfgen raises, sorted by code."""
    found = {
        value.code: value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, WfgenError)
    }
    return dict(sorted(found.items()))


def example(sample: Sample, code: str) -> str:
    """A sample as text, each file under its path; the marks name the code."""
    files = [(path, source) for path, source in sample.files.items() if isinstance(source, str)]
    blocks: list[str] = []
    for path, source in files:
        text = source.strip("\n").replace(MARK, f"# {code}")
        blocks.append(text if len(files) == 1 else f"# {path}\n{text}")
    return re.sub(r"\n{3,}", "\n\n\n", "\n\n\n".join(blocks))


def examples(rule: Rule) -> tuple[str | None, str | None]:
    """What a rule refuses and what it accepts, as text; None where it has no sample that is text."""
    bad, good = (
        next((text for sample in samples if (text := example(sample, rule.code))), None)
        for samples in (rule.invalid, rule.valid)
    )
    return bad, good


def _rule(rule: Rule) -> str:
    fixable = f", {' or '.join(rule.applicabilities)} fix" if rule.fixes else ""
    head = f"{rule.code} {rule.name} ({rule.severity}{fixable})"
    return "\n\n".join([head, _wrap(rule.summary), *_sections(rule)]) + "\n"


def _sections(rule: Rule) -> Iterator[str]:
    yield f"What it does\n{_paragraph(rule.what)}"
    yield f"Why is this bad\n{_paragraph(rule.why)}"
    bad, good = examples(rule)
    if bad:
        yield f"Example\n{textwrap.indent(bad, '    ')}"
    if good:
        yield f"Use instead\n{textwrap.indent(good, '    ')}"
    yield f"How to fix\n{_paragraph(rule.remedy)}"
    if rule.required:
        yield _wrap("It cannot be suppressed or ignored: what is generated would be wrong.")
    elif rule.on_statement:
        yield _wrap(f"Suppress it on one statement with `# wfgen: ignore[{rule.code}]`.")
    else:
        yield _wrap(f'Leave it out with `ignore = ["{rule.code}"]` in `[tool.wfgen]`.')


def _error(error: type[WfgenError]) -> str:
    text = inspect.cleandoc(error.__doc__ or "")
    name = error.__name__
    return f"{error.code} {name} (raised at run time)\n\n{text}\n\nCatch it as `wfgen.errors.{name}`.\n"


def _paragraph(text: str) -> str:
    return textwrap.indent(_wrap(text, _WIDTH - 2), "  ")


def _wrap(text: str, width: int = _WIDTH) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
