"""Every rule that comes with fixes, on its own samples."""

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from wfgen.settings import Settings
from wfgen_inspector import inspect
from wfgen_inspector.diagnostics import Diagnostic, Edit
from wfgen_inspector.fixes import apply_edits, apply_fixes, without_effect
from wfgen_inspector.parsing import parse
from wfgen_inspector.rules import RULES, Rule, Sample

ROUNDS = 5
FIXING = [pytest.param(rule, id=code) for code, rule in RULES.items() if rule.fixes and not rule.separate]
SAMPLES = [
    pytest.param(rule, sample, id=f"{code}-{number}")
    for code, rule in RULES.items()
    if rule.fixes
    for number, sample in enumerate(rule.invalid)
]
OTHERS = [
    pytest.param(rule, sample, id=f"{code}-{number}")
    for code, rule in RULES.items()
    if not rule.fixes
    for number, sample in enumerate(rule.invalid)
]


class Files:
    """The files of a sample on disk, which fixes change."""

    def __init__(self, folder: Path, sample: Sample) -> None:
        self.folder = folder
        self.settings = Settings(project=folder, **sample.settings)
        for path, source in sample.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(source if isinstance(source, bytes) else source.encode())
        self.texts = {path: source for path, source in sample.files.items() if isinstance(source, str)}

    def found(self) -> tuple[Diagnostic, ...]:
        return inspect(self.settings, cache=False).diagnostics

    def fix(self, code: str) -> tuple[list[Diagnostic], tuple[Diagnostic, ...]]:
        """Fix findings of one code until there are none with a fix; gives the fixed ones and what is left."""
        applied: list[Diagnostic] = []
        found = self.found()
        for _ in range(ROUNDS):
            fixed = apply_fixes(self.texts, [d for d in found if d.code == code], unsafe=True)
            if not fixed.texts:
                return applied, found
            for path, text in fixed.texts.items():
                same_but_for_edits(self.texts[path], text, fixed.edits[path])
                (self.folder / path).write_bytes(text.encode())
            before, found = self.texts, self.found()
            assert without_effect(before, fixed, found) == ()
            self.texts = before | fixed.texts
            applied += fixed.applied
        pytest.fail(f"{code} is not mended after {ROUNDS} rounds")


def same_but_for_edits(before: str, after: str, edits: list[Edit]) -> None:
    """Whatever no edit touches is the same: comments, lines, and the meaning of statements."""
    assert apply_edits(before, edits) == after
    old, new = parse(before), parse(after)
    touched = {line for edit in edits for line in range(edit.line, edit.end_line + 1)}
    kept = Counter(line for number, line in enumerate(before.split("\n"), 1) if number not in touched)
    assert kept <= Counter(after.split("\n"))
    assert Counter(comments(before)) <= Counter(comments(after))
    assert statements(old, touched) <= statements(new, set())


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def statements(tree: ast.Module, without: set[int]) -> Counter[str]:
    """Simple statements, as Python's parser describes them, but for those on some lines."""
    return Counter(
        ast.dump(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not hasattr(node, "body")
        and without.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    )


@pytest.mark.parametrize(("rule", "sample"), SAMPLES)
def test_a_fix_mends_its_finding_and_nothing_else(rule: Rule, sample: Sample, tmp_path: Path) -> None:
    """The finding is gone, the file parses, all else is as it was, and a second time there is nothing to do."""
    files = Files(tmp_path, sample)
    before = files.found()
    fixed, left = files.fix(rule.code)
    assert len(left) == len(before) - sum(d.fix is not None for d in before)
    assert len(fixed) >= sum(d.fix is not None for d in before)
    assert apply_fixes(files.texts, left, unsafe=True).texts == {}


@pytest.mark.parametrize("rule", FIXING)
def test_fixes_are_of_the_kinds_that_the_rule_names(rule: Rule, tmp_path: Path) -> None:
    """The samples of a rule that promises fixes show each kind of them, and no other."""
    found = [d for n, sample in enumerate(rule.invalid) for d in Files(tmp_path / str(n), sample).found()]
    fixes = [d.fix for d in found if d.code == rule.code and d.fix is not None]
    assert {fix.applicability for fix in fixes} == set(rule.applicabilities)
    for fix in fixes:
        assert fix.edits
        assert fix.message[0] not in ". "
        assert not fix.message.endswith(".")


@pytest.mark.parametrize(("rule", "sample"), OTHERS)
def test_other_rules_have_no_fixes(rule: Rule, sample: Sample, tmp_path: Path) -> None:
    """A rule whose findings come with fixes says so."""
    assert [d.fix for d in Files(tmp_path, sample).found() if d.code == rule.code and d.fix] == []
