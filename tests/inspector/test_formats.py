"""Findings as text: for people, for programs, and for services."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from wfgen.errors import ConfigurationError
from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related
from wfgen_inspector.formats import FORMATS, render
from wfgen_inspector.formats.text import width
from wfgen_inspector.rules import RULES

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
        "Found 1 error (1 fixable with `wfgen check --fix`).\n"
    )


def test_full_shows_the_other_places_with_their_source(project: Path) -> None:
    """A second place has its own line of source, below a gutter that fits the longest line number."""
    (project / "flows/b.workflow.py").write_text("\n" * 11 + "x = other.name(1)\n", encoding="utf-8")
    found = replace(FINDING, related=(Related("flows/b.workflow.py", 12, 5, "the other one"),), fix=None, hint=None)
    assert render([found], "full", project).partition("\n\n")[0].splitlines()[1:] == [
        "   |",
        " 4 |     workflow.sleep('wait', '1d')",
        "   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "   = see: flows/b.workflow.py:12:5: the other one",
        "   |",
        "12 | x = other.name(1)",
        "   |     ----------",
    ]


def test_full_shows_a_chain_in_its_order(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a rule whose places are a chain of calls, each call is shown with its source, from the finding on."""
    monkeypatch.setitem(RULES, "WF103", replace(RULES["WF103"], chained=True))
    (project / "flows/b.py").write_text("def stamp():\n    return clock()\n\ndef clock():\n    return time.time()\n")
    chain = (Related("flows/b.py", 2, 12, "`stamp` calls `clock`"), Related("flows/b.py", 5, 12, "reads the clock"))
    lines = render([replace(FINDING, related=chain)], "full", project).splitlines()
    assert lines[4:12] == [
        "  = via: flows/b.py:2:12: `stamp` calls `clock`",
        "  |",
        "2 |     return clock()",
        "  |            -----",
        "  = via: flows/b.py:5:12: reads the clock",
        "  |",
        "5 |     return time.time()",
        "  |            ---------",
    ]


@pytest.mark.parametrize(
    ("fixes", "end"),
    [
        ([], "Found 1 error."),
        (
            ["safe", "unsafe", "safe"],
            "Found 4 errors (2 fixable with `wfgen check --fix`, 1 more with --unsafe-fixes).",
        ),
        (["unsafe"], "Found 2 errors (1 fixable with --fix --unsafe-fixes)."),
    ],
)
def test_full_ends_with_what_can_be_fixed(project: Path, fixes: list[str], end: str) -> None:
    """The last line counts findings, and says how many of them which option mends."""
    found = [replace(FINDING, fix=replace(FINDING.fix, applicability=kind)) for kind in fixes]  # type: ignore[type-var]
    assert render([*found, replace(FINDING, fix=None)], "full", project).endswith(f"\n{end}\n")


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


@pytest.mark.parametrize(
    ("line", "start", "end"),
    [
        ("x" * 70 + "bad" + "y" * 70, 70, 73),
        ("日" * 40 + "bad" + "本" * 40, 40, 43),
        ("\t" * 9 + "bad" + " 日" * 40, 9, 12),
        ("bad" + "y" * 200, 0, 3),
        ("y" * 200 + "bad", 200, 203),
        ("y" * 38 + "bad", 38, 41),
        ("bad", 0, 3),
    ],
)
@pytest.mark.parametrize("columns", [10, 40, 80])
def test_full_fits_a_terminal(project: Path, columns: int, line: str, start: int, end: int) -> None:
    """An excerpt never takes more columns than the terminal has, tabs and wide characters included."""
    (project / "one.py").write_text(line, encoding="utf-8")
    found = Diagnostic("one.py", 1, start + 1, 1, end + 1, "WF101", "warning", "m.")
    _, _, shown, marks, *_ = render([found], "full", project, columns=columns).splitlines()
    place = shown.index("bad")
    assert marks.index("^") >= place
    assert width(shown[:place].replace("\t", "")) == width(marks[: marks.index("^")].replace("\t", ""))
    assert shown[:place].count("\t") == marks.count("\t")
    assert width(shown.replace("\t", " " * 8)) <= max(columns, 30)


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
    for format in ("json", "gitlab", "sarif"):
        json.dumps(json.loads(render([strange], format, project)), ensure_ascii=False).encode("utf-8")


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


def test_json_lines_hold_one_finding_each(project: Path) -> None:
    """Each line is a document of its own, with the keys that a finding has in the one document."""
    whole = json.loads(render([FINDING, WARNING], "json", project))["diagnostics"]
    assert [json.loads(line) for line in render([FINDING, WARNING], "jsonl", project).splitlines()] == whole


def test_json_without_findings_is_a_document(project: Path) -> None:
    """A program that reads the output gets a document even if there is nothing to say."""
    assert json.loads(render([], "json", project)) == {"schema_version": 1, "diagnostics": []}


@pytest.mark.parametrize("format", ["full", "concise", "github", "jsonl"])
def test_nothing_to_say_is_nothing(project: Path, format: str) -> None:
    """Formats without a frame are empty without findings."""
    assert render([], format, project) == ""


def test_github_annotations(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is one workflow command, with columns only inside one line and special characters escaped."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert render([FINDING, WARNING], "github", project) == (
        "::error file=flows/app.workflow.py,line=4,col=5,endLine=4,endColumn=33,title=wfgen WF103::"
        "WF103 step 'wait' is never awaited. Write `await` before it."
        "%0Aflows/b.workflow.py:2:3: the other one\n"
        "::warning file=flows/b.workflow.py,line=2,endLine=9,title=wfgen WF301::"
        "WF301 opaque: 100%25 lost, really:%0Ayes\n"
    )


def test_github_escapes_properties(project: Path) -> None:
    """A comma or a colon in a file name does not start another property."""
    odd = Diagnostic("a,b:c%.py", 1, 1, 1, 2, "WF101", "info", "m.")
    assert render([odd], "github", project).startswith("::notice file=a%2Cb%3Ac%25.py,line=1,")


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_paths_start_at_the_repository(project: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """In a project below the repository's root, services get the file's name as the repository has it."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(project.parent))
    name = f"{project.name}/flows/app.workflow.py"
    assert f"file={name}," in render([FINDING], "github", project)
    assert json.loads(render([FINDING], "gitlab", project))[0]["location"]["path"] == name
    assert f'"uri": "{name}"' in render([FINDING], "sarif", project)


def test_an_unknown_format_is_refused(project: Path) -> None:
    """A mistyped format names the nearest one."""
    with pytest.raises(ConfigurationError, match=r"unknown output format 'jsno'. Did you mean 'json'\?"):
        render([FINDING], "jsno", project)
    with pytest.raises(ConfigurationError, match="Known formats: full, concise, json, jsonl, github, gitlab, sarif"):
        render([FINDING], "", project)
