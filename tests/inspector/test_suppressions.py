"""Suppression comments."""

from wfgen.manifest import Span
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.facts import FileFacts, Suppression
from wfgen_inspector.rules import RULES
from wfgen_inspector.suppressions import suppress, suppressions_of


def finding(line: int, code: str = "WF101", file: str = "a.workflow.py") -> Diagnostic:
    return Diagnostic(file, line, 5, line, 9, code, RULES[code].severity, "m.")


def comment(line: int, *codes: str, first: int = 0, last: int = 0) -> Suppression:
    span = Span(line=line, column=30, end_line=line, end_column=50)
    return Suppression(line, codes, span, first or line, last or line)


def run(findings: list[Diagnostic], *comments: Suppression) -> list[tuple[str, int]]:
    facts = FileFacts("a.workflow.py", "", "workflow", "files.a", suppressions=comments)
    return [(d.code, d.line) for d in suppress(findings, suppressions_of([facts]), RULES)]


def test_a_comment_suppresses_its_codes_on_its_line() -> None:
    """Only findings of the named codes on that line go."""
    findings = [finding(3), finding(3, "WF402"), finding(4)]
    assert run(findings, comment(3, "WF101")) == [("WF402", 3), ("WF101", 4)]


def test_a_comment_counts_for_its_whole_statement() -> None:
    """On whichever line of a statement the comment stands, findings on all of its lines go."""
    for line in (3, 4, 5):
        assert run([finding(3), finding(4), finding(5), finding(6)], comment(line, "WF101", first=3, last=5)) == [
            ("WF101", 6)
        ]


def test_a_comment_counts_for_its_own_file() -> None:
    """The same line of another file is not meant."""
    other = finding(3, file="b.workflow.py")
    assert run([other], comment(3, "WF101")) == [("WF101", 3), ("WF012", 3)]


def test_one_comment_names_several_codes() -> None:
    """All named codes are suppressed, and each that is not needed is reported."""
    assert run([finding(3), finding(3, "WF402")], comment(3, "WF101", "WF402")) == []
    assert run([finding(3)], comment(3, "WF101", "WF402")) == [("WF012", 3)]


def test_one_comment_suppresses_several_findings() -> None:
    """A code counts for all of its findings on the statement."""
    assert run([finding(3), finding(3)], comment(3, "WF101")) == []


def messages(*comments: Suppression, findings: tuple[Diagnostic, ...] = ()) -> list[str]:
    facts = FileFacts("a.workflow.py", "", "workflow", "files.a", suppressions=comments)
    return [f"{d.message} {d.hint}" for d in suppress(findings, suppressions_of([facts]), RULES) if d.code == "WF012"]


def test_what_does_nothing_is_reported_with_the_reason() -> None:
    """A comment that suppresses nothing says why, at the comment."""
    assert messages(comment(3, "WF101")) == [
        "nothing on this statement is WF101 (dynamic-step-name). Remove WF101 from the comment."
    ]
    assert messages(comment(3)) == [
        "a suppression without a code suppresses nothing. "
        "Name the codes that are meant, such as `# wfgen: ignore[WF101]`."
    ]
    assert messages(comment(3, "WF1O1")) == ["no rule has the code 'WF1O1'. Did you mean 'WF101'?"]
    assert messages(comment(3, "everything")) == ["no rule has the code 'everything'. Remove it."]


def test_required_rules_cannot_be_suppressed() -> None:
    """A finding that would make generated code wrong stays, and the comment is reported."""
    collision = finding(3, "WF005")
    assert run([collision], comment(3, "WF005")) == [("WF005", 3), ("WF012", 3)]
    assert "cannot be suppressed" in messages(comment(3, "WF005"), findings=(collision,))[0]
