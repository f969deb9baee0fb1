"""Which codes are reported where: the settings `select`, `ignore` and `per-file-ignores`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.globs import pattern_of
from wfgen_inspector.rules.rule import Rule
from wfgen_inspector.suggestions import did_you_mean, nearest

PER_FILE = "per-file-ignores"


@dataclass(frozen=True, slots=True)
class Exemption:
    """Codes that are not reported in some files."""

    files: re.Pattern[str]
    negated: bool
    codes: frozenset[str]

    def covers(self, finding: Diagnostic) -> bool:
        """Whether a finding is not to be reported."""
        return finding.code in self.codes and (self.files.fullmatch(finding.file) is not None) is not self.negated


class Selection:
    """Findings to report. Those of rules that are required are always among them."""

    def __init__(self, codes: frozenset[str], exemptions: tuple[Exemption, ...] = ()) -> None:
        self._codes = codes
        self._exemptions = exemptions

    @classmethod
    def of(cls, settings: Settings, rules: Mapping[str, Rule]) -> Self:
        """Read the settings: codes, or prefixes such as `WF1`.

        Of `select` and `ignore`, the longer one that matches decides. What `per-file-ignores` names is left out in
        these files, whatever is selected.

        Raises:
            ConfigurationError: one of them matches no rule, or names a required rule to be ignored.
        """
        selected = [_prefix(text, "select", rules) for text in settings.select] or [""]
        ignored = _ignored(settings.ignore, "ignore", rules)
        codes = frozenset(
            code for code, rule in rules.items() if rule.required or _longest(code, selected) > _longest(code, ignored)
        )
        exemptions: list[Exemption] = []
        for glob, texts in settings.per_file_ignores.items():
            prefixes = _ignored(texts, f"{PER_FILE}' for '{glob}", rules)
            excepted = (code for code, rule in rules.items() if not rule.required and _longest(code, prefixes) > -1)
            exemptions.append(Exemption(_files(glob), glob.startswith("!"), frozenset(excepted)))
        return cls(codes, tuple(exemptions))

    def shows(self, code: str) -> bool:
        """Whether findings of a code are reported in any file."""
        return code in self._codes

    def keeps(self, finding: Diagnostic) -> bool:
        """Whether a finding is reported."""
        return finding.code in self._codes and not any(exemption.covers(finding) for exemption in self._exemptions)


def _files(glob: str) -> re.Pattern[str]:
    """Files that a glob means, as for `exclude`; one without a folder means a name in any folder as well."""
    if not glob.removeprefix("!"):
        raise ConfigurationError(
            f"an empty pattern in setting {PER_FILE!r}.", hint="Give a file, a folder, or a glob such as 'flows/**'."
        )
    plain = glob.removeprefix("!")
    return pattern_of((plain,) if "/" in plain else (plain, f"**/{plain}"))


def _ignored(texts: Iterable[str], setting: str, rules: Mapping[str, Rule]) -> list[str]:
    """Codes and prefixes that a setting leaves out, none of them a required rule."""
    codes = [_prefix(text, setting, rules) for text in texts]
    for code in codes:
        if code in rules and rules[code].required:
            raise ConfigurationError(
                f"{code} ({rules[code].name}) cannot be ignored (setting '{setting}'): generated code would be wrong.",
                hint=f"Take {code} out of '{setting}' and mend what it reports.",
            )
    return codes


def _prefix(text: str, setting: str, rules: Mapping[str, Rule]) -> str:
    code = text.strip().upper()
    if code and any(known.startswith(code) for known in rules):
        return code
    hint = did_you_mean(nearest(code, rules)) or "Give a code such as 'WF101' or a prefix such as 'WF1'."
    raise ConfigurationError(f"unknown code {text!r} in setting '{setting}'.", hint=hint)


def _longest(code: str, prefixes: list[str]) -> int:
    """Length of the longest prefix that matches, -1 if none does."""
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)
