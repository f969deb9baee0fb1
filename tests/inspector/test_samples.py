"""Every sample of every rule, read by the whole inspector."""

import re
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.rules import RULES, Rule, Sample
from wfgen_inspector.rules.rule import MARK

INVALID = [
    pytest.param(rule, sample, id=f"{code}-{number}")
    for code, rule in RULES.items()
    for number, sample in enumerate(rule.invalid)
]
VALID = [
    pytest.param(rule, sample, id=f"{code}-{number}")
    for code, rule in RULES.items()
    for number, sample in enumerate(rule.valid)
]


def read(folder: Path, sample: Sample) -> tuple[Diagnostic, ...]:
    for path, source in sample.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(source if isinstance(source, bytes) else source.encode())
    return inspect(Settings(project=folder, **sample.settings), cache=False).diagnostics


def expected(sample: Sample) -> list[tuple[str, int]]:
    """Marked lines."""
    marks = [
        (path, number)
        for path, source in sample.files.items()
        if isinstance(source, str)
        for number, line in enumerate(source.split("\n"), 1)
        if line.endswith(MARK)
    ]
    return sorted(marks if sample.line is None else [*marks, (next(iter(sample.files)), sample.line)])


@pytest.mark.parametrize(("rule", "sample"), INVALID)
def test_invalid_sample(rule: Rule, sample: Sample, tmp_path: Path) -> None:
    """A sample that a rule refuses gives findings of that code on the marked lines, and nothing else."""
    diagnostics = read(tmp_path, sample)
    assert [(d.code, d.severity) for d in diagnostics] == [(rule.code, rule.severity)] * len(diagnostics), diagnostics
    assert [(d.file, d.line) for d in diagnostics] == expected(sample)


@pytest.mark.parametrize(("rule", "sample"), VALID)
def test_valid_sample(rule: Rule, sample: Sample, tmp_path: Path) -> None:
    """A sample that a rule accepts gives no finding of any rule."""
    assert read(tmp_path, sample) == ()


@pytest.mark.parametrize(("rule", "sample"), INVALID)
def test_messages(rule: Rule, sample: Sample, tmp_path: Path) -> None:
    """A message is one sentence, starts in lower case or with a name, and comes with advice."""
    for finding in read(tmp_path, sample):
        assert finding.message.endswith("."), finding.message
        assert "\n" not in finding.message
        assert not re.match(r"[A-Z][a-z]", finding.message), finding.message
        assert finding.hint, finding.message
        assert finding.hint.endswith((".", "?")), finding.hint
        assert (finding.end_line, finding.end_column) >= (finding.line, finding.column)


def test_every_rule_that_reads_source_has_samples() -> None:
    """Rules without samples are those that source alone cannot show."""
    assert [code for code, rule in RULES.items() if not (rule.separate or (rule.invalid and rule.valid))] == [
        "WF600",
        "WF601",
        "WF602",
        "WF603",
        "WF901",
    ]
