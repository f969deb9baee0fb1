"""Which codes are reported: the settings `select` and `ignore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_inspector.rules.rule import Rule
from wfgen_inspector.suggestions import did_you_mean, nearest


class Selection:
    """Codes to report. Rules that are required are always among them."""

    def __init__(self, codes: frozenset[str]) -> None:
        self._codes = codes

    @classmethod
    def of(cls, settings: Settings, rules: Mapping[str, Rule]) -> Self:
        """Read `select` and `ignore`: codes, or prefixes such as `WF1`. Of two that match, the longer one decides.

        Raises:
            ConfigurationError: one of them matches no rule, or names a required rule to be ignored.
        """
        selected = [_prefix(text, "select", rules) for text in settings.select]
        ignored = [_prefix(text, "ignore", rules) for text in settings.ignore]
        for code in ignored:
            if code in rules and rules[code].required:
                raise ConfigurationError(
                    f"{code} ({rules[code].name}) cannot be ignored (setting 'ignore'): generated code would be wrong.",
                    hint=f"Take {code} out of 'ignore' and mend what it reports.",
                )
        selected = selected or [""]
        return cls(
            frozenset(
                code
                for code, rule in rules.items()
                if rule.required or _longest(code, selected) > _longest(code, ignored)
            )
        )

    def shows(self, code: str) -> bool:
        """Whether findings of a code are reported."""
        return code in self._codes


def _prefix(text: str, setting: str, rules: Mapping[str, Rule]) -> str:
    code = text.strip().upper()
    if code and any(known.startswith(code) for known in rules):
        return code
    hint = did_you_mean(nearest(code, rules)) or "Give a code such as 'WF101' or a prefix such as 'WF1'."
    raise ConfigurationError(f"unknown code {text!r} in setting {setting!r}.", hint=hint)


def _longest(code: str, prefixes: list[str]) -> int:
    """Length of the longest prefix that matches, -1 if none does."""
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)
