"""Findings as text: full, concise, JSON and GitHub annotations."""

import json
from pathlib import Path

import pytest

from wfgen.errors import ConfigurationError
from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related
from wfgen_inspector.formats import FORMATS, render

SOURCE = "import x\n\nasync def app(workflow):\n    workflow.sleep('wait', '1d')\n"
FINDING = Diagnostic(
    file="flows/app.workflow.py",
    line=4,
    column=5,
    end_line=4,
    end_column=33,
    code="WF103",
    severity="error",
    message="step 'wait' is never awaited.",
    hint="Write `await` before it.",
    related=(Related("flows/b.workflow.py", 2, 3, "the other one"),),
    fix=Fix("add `await`", "safe", (Edit("flows/app.workflow.py", 4, 5, 4, 5, "await "),)),
)
WARNING = Diagnostic("flows/b.workflow.py", 2, 3, 9, 1, "WF301", "warning", "opaque: 100% lost, really:\nyes")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/app.workflow.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def at(project: Path, line: str, column: int, end_column: int, **changes: object) -> str:
    """The full format of a finding on a file of one line."""
    (project / "one.py").write_bytes(line.encode())
    values: dict[str, object] = {"end_line": 1, **changes}
    found = Diagnostic("one.py", 1, column, values["end_line"], end_column, "WF101", "warning", "m.")  # type: ignore[arg-type]
    return render([found], "full", project)


def test_concise_is_one_line_a_finding(project: Path) -> None:
    """Place, code and message stand on one line, whatever the message holds."""
    assert render([FINDING, WARNING], "concise", project) == (
        "flows/app.workflow.py:4:5: WF103 step 'wait' is never awaited.\n"
        "flows/b.workflow.py:2:3: WF301 opaque: 100% lost, really:\\nyes\n"
    )


def test_full_shows_source_caret_and_advice(project: Path) -> None:
    """The full format shows the line, marks the stretch, and says what to do."""
    assert render([FINDING], "full", project) == (
        "flows/app.workflow.py:4:5: error[WF103] step 'wait' is never awaited.\n"
        "  |\n"
        "4 |     workflow.sleep('wait', '1d')\n"
        "  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  = see: flows/b.workflow.py:2:3: the other one\n"
        "  = help: Write `await` before it.\n"
        "  = fix (safe): add `await`\n"
        "\n"
        "Found 1 error. 1 can be fixed safely.\n"
    )


def test_full_without_a_readable_source_has_no_excerpt(project: Path) -> None:
    """A file that is gone is no crash; the finding is still shown."""
    text = render([WARNING, WARNING], "full", project)
    assert text.startswith("flows/b.workflow.py:2:3: warning[WF301] opaque")
    assert "|" not in text
    assert text.endswith("Found 2 warnings.\n")


def test_full_keeps_tabs_and_counts_wide_characters(project: Path) -> None:
    """The caret stands below its character on a terminal, also behind tabs and wide characters."""
    assert "\n1 | \t日本 = bad\n  | \t       ^^^\n" in at(project, "\t日本 = bad\n", 7, 10)


def test_full_marks_to_the_end_of_the_line_when_a_finding_spans_several(project: Path) -> None:
    """A finding of several lines is marked on its first one."""
    assert "\n  |   ^^\n" in at(project, "a f(  \n  1)\n", 3, 4, end_line=2)


def test_full_shows_at_least_one_caret(project: Path) -> None:
    """An empty stretch, and one behind the end of the line, still get a caret."""
    assert "\n  | ^\n" in at(project, "abc\n", 1, 1)
    assert "\n  |    ^\n" in at(project, "abc\n", 99, 120)


def test_full_cuts_long_lines_around_the_finding(project: Path) -> None:
    """A very long line is cut on both sides and the caret still fits."""
    lines = at(project, "x" * 500 + "bad" + "y" * 500, 501, 504).splitlines()
    excerpt, marks = lines[2], lines[3]
    assert len(excerpt) < 180
    assert excerpt[marks.index("^") : marks.rindex("^") + 1] == "bad"


def test_source_cannot_steer_the_terminal(project: Path) -> None:
    """Control characters of sources, file names and messages never reach the terminal."""
    hostile = Diagnostic("one\x1b[2J.py", 1, 1, 1, 2, "WF101", "warning", "name '\x1b]0;x\x07'", hint="\x9b2J")
    (project / "one\x1b[2J.py").write_bytes(b"\x1b[31m = 1\xff\n")
    for format in ("full", "concise"):
        assert all(c.isprintable() or c == "\n" for c in render([hostile], format, project))


def test_any_file_name_can_be_encoded(project: Path) -> None:
    """A file name that is no valid text does not break the output."""
    strange = Diagnostic("caf\udce9.py", 1, 1, 1, 2, "WF002", "error", "not UTF-8.")
    for format in FORMATS:
        render([strange], format, project).encode("utf-8")


def test_colours_are_optional(project: Path) -> None:
    """Colours appear when asked, and only then."""
    for format in ("full", "concise"):
        assert "\x1b[" in render([FINDING], format, project, color=True)
        assert "\x1b[" not in render([FINDING], format, project)


def test_json_has_stable_keys(project: Path) -> None:
    """The JSON document is versioned and holds every part of a finding."""
    document = json.loads(render([FINDING, WARNING], "json", project))
    assert document["schema_version"] == 1
    first, second = document["diagnostics"]
    assert first == {
        "file": "flows/app.workflow.py",
        "line": 4,
        "column": 5,
        "end_line": 4,
        "end_column": 33,
        "code": "WF103",
        "severity": "error",
        "message": "step 'wait' is never awaited.",
        "hint": "Write `await` before it.",
        "related": [{"file": "flows/b.workflow.py", "line": 2, "column": 3, "message": "the other one"}],
        "fix": {
            "message": "add `await`",
            "applicability": "safe",
            "edits": [
                {
                    "file": "flows/app.workflow.py",
                    "line": 4,
                    "column": 5,
                    "end_line": 4,
                    "end_column": 5,
                    "text": "await ",
                }
            ],
        },
        "url": "docs/rules.md#wf103",
    }
    assert (second["hint"], second["related"], second["fix"]) == (None, [], None)


def test_json_without_findings_is_a_document(project: Path) -> None:
    """A program that reads the output gets a document even if there is nothing to say."""
    assert json.loads(render([], "json", project)) == {"schema_version": 1, "diagnostics": []}


@pytest.mark.parametrize("format", ["full", "concise", "github"])
def test_nothing_to_say_is_nothing(project: Path, format: str) -> None:
    """The formats for people are empty without findings."""
    assert render([], format, project) == ""


def test_github_annotations(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is one workflow command, with columns only inside one line and special characters escaped."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert render([FINDING, WARNING], "github", project) == (
        "::error file=flows/app.workflow.py,line=4,col=5,endLine=4,endColumn=33,title=wfgen WF103::"
        "WF103 step 'wait' is never awaited. Write `await` before it.\n"
        "::warning file=flows/b.workflow.py,line=2,endLine=9,title=wfgen WF301::"
        "WF301 opaque: 100%25 lost, really:%0Ayes\n"
    )


def test_github_escapes_properties(project: Path) -> None:
    """A comma or a colon in a file name does not start another property."""
    odd = Diagnostic("a,b:c%.py", 1, 1, 1, 2, "WF101", "info", "m.")
    assert render([odd], "github", project).startswith("::notice file=a%2Cb%3Ac%25.py,line=1,")


def test_github_paths_start_at_the_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a project below the repository's root, annotations name the file as the repository does."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parent))
    assert f"file={project.name}/flows/app.workflow.py," in render([FINDING], "github", project)


def test_an_unknown_format_is_refused(project: Path) -> None:
    """A mistyped format names the nearest one."""
    with pytest.raises(ConfigurationError, match=r"unknown output format 'jsno'. Did you mean 'json'\?"):
        render([FINDING], "jsno", project)
    with pytest.raises(ConfigurationError, match="Known formats: full, concise, json, github"):
        render([FINDING], "", project)
