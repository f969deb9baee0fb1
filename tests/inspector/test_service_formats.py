"""Findings for services: SARIF, and GitLab's Code Quality report."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfgen_inspector.diagnostics import Diagnostic, Edit, Fix, Related
from wfgen_inspector.formats import render
from wfgen_inspector.rules import RULES

SOURCE = "import x\n\nasync def app(workflow):\n    workflow.sleep('wait', '1d')\n    workflow.sleep('wait', '1d')\n"
FILE = "flows/app.workflow.py"
FIX = Fix("add `await`", "safe", (Edit(FILE, 4, 5, 4, 5, "await "),))
FINDING = Diagnostic(FILE, 4, 5, 4, 33, "WF103", "error", "step 'wait' is never awaited.", "Write `await`.", (), FIX)
CALLS = (Related("flows/a b.py", 2, 3, "`app` calls `stamp`"), Related("flows/c.py", 1, 1, "reads the clock"))
URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*")
"""Characters of a URI without query and fragment."""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of any service."""
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / FILE).write_text(SOURCE, encoding="utf-8")
    return tmp_path


def run_of(project: Path, *found: Diagnostic) -> dict[str, Any]:
    """The one run of a SARIF log."""
    (run,) = json.loads(render(found, "sarif", project))["runs"]
    assert isinstance(run, dict)
    return run


def prints(project: Path, *found: Diagnostic) -> list[str]:
    """The fingerprints of findings, the same in both formats."""
    ours = [result["partialFingerprints"]["wfgenFinding/v1"] for result in run_of(project, *found)["results"]]
    assert [entry["fingerprint"] for entry in json.loads(render(found, "gitlab", project))] == ours
    return ours


# SARIF


def test_sarif_of_a_finding(project: Path, validate: Any) -> None:
    """A finding has its rule, level, message with advice, place and fix, with columns in code points."""
    log = json.loads(render([FINDING], "sarif", project))
    validate(log, "sarif-2.1.0")
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], rule["name"]) == (result["ruleId"], "UnawaitedStep") == ("WF103", "UnawaitedStep")
    assert result["level"] == "error"
    assert result["message"] == {"text": "step 'wait' is never awaited. Write `await`."}
    place = {"uri": FILE, "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 4, "startColumn": 5, "endLine": 4, "endColumn": 33}
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": place, "region": region}}]
    assert "uri" not in run["originalUriBaseIds"]["%SRCROOT%"], "no path of this machine"
    empty = {"startLine": 4, "startColumn": 5, "endLine": 4, "endColumn": 5}
    replacement = {"deletedRegion": empty, "insertedContent": {"text": "await "}}
    assert result["fixes"] == [
        {
            "description": {"text": "add `await`"},
            "artifactChanges": [{"artifactLocation": place, "replacements": [replacement]}],
            "properties": {"applicability": "safe"},
        }
    ]
    assert not {"codeFlows", "relatedLocations", "suppressions"} & result.keys()


def test_sarif_describes_all_rules(project: Path, validate: Any) -> None:
    """Also without findings, each rule is there with its texts and default level."""
    log = json.loads(render([], "sarif", project))
    validate(log, "sarif-2.1.0")
    (run,) = log["runs"]
    assert run["results"] == []
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    for rule, ours in zip(rules, RULES.values(), strict=True):
        assert rule["defaultConfiguration"]["level"] == ours.severity.replace("info", "note")
        assert rule["shortDescription"]["text"] == ours.summary
        assert ours.remedy in rule["help"]["text"]
        assert ours.why in rule["help"]["markdown"]


@pytest.mark.parametrize("chained", [False, True])
def test_sarif_of_other_places(project: Path, validate: Any, monkeypatch: pytest.MonkeyPatch, chained: bool) -> None:
    """Other places are related locations; a chain of calls is a code flow as well, from the finding to its cause."""
    monkeypatch.setitem(RULES, "WF103", replace(RULES["WF103"], chained=chained))
    log = json.loads(render([replace(FINDING, related=CALLS)], "sarif", project))
    validate(log, "sarif-2.1.0")
    result = log["runs"][0]["results"][0]
    related = [place["physicalLocation"]["artifactLocation"]["uri"] for place in result["relatedLocations"]]
    assert related == ["flows/a%20b.py", "flows/c.py"]
    assert ("codeFlows" in result) is chained
    if chained:
        steps = [step["location"] for step in result["codeFlows"][0]["threadFlows"][0]["locations"]]
        uris = [step["physicalLocation"]["artifactLocation"]["uri"] for step in steps]
        assert uris == [FILE, "flows/a%20b.py", "flows/c.py"]
        assert [step["message"]["text"] for step in steps[1:]] == [call.message for call in CALLS]


def test_sarif_of_a_file_elsewhere(project: Path, validate: Any) -> None:
    """What lies outside the project has an absolute URI, as SARIF forbids `..` in relative ones."""
    log = json.loads(render([replace(FINDING, file="../lib/é.py")], "sarif", project))
    validate(log, "sarif-2.1.0")
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": f"file://{project.parent.as_posix()}/lib/%C3%A9.py"}


def test_sarif_of_a_fix_of_two_files(project: Path, validate: Any) -> None:
    """A fix groups its edits by file; a rule that is not known, and a fix without edits, do no harm."""
    edits = (Edit("b.py", 1, 1, 2, 1, ""), Edit(FILE, 4, 5, 4, 5, "x"), Edit("b.py", 3, 1, 3, 2, "y"))
    odd = replace(FINDING, code="XX1", fix=Fix("nothing", "unsafe", ()))
    log = json.loads(render([replace(FINDING, fix=Fix("move", "unsafe", edits)), odd], "sarif", project))
    validate(log, "sarif-2.1.0")
    fixed, other = log["runs"][0]["results"]
    changes = fixed["fixes"][0]["artifactChanges"]
    assert [(c["artifactLocation"]["uri"], len(c["replacements"])) for c in changes] == [("b.py", 2), (FILE, 1)]
    assert not {"fixes", "ruleIndex"} & other.keys()


# Fingerprints


def test_fingerprints_survive_moved_lines(project: Path) -> None:
    """Other lines, another indentation, and other words in the message leave a fingerprint as it was."""
    before = prints(project, FINDING)
    (project / FILE).write_text(f"# one\n# two\n{SOURCE.replace('    workflow', '        workflow')}", encoding="utf-8")
    assert prints(project, replace(FINDING, line=6, end_line=6, column=9, message="step 'wait' is lost.")) == before


def test_fingerprints_tell_findings_apart(project: Path) -> None:
    """Equal lines, other codes, other files and other lines have fingerprints of their own."""
    found = [
        FINDING,
        replace(FINDING, line=5, end_line=5),
        replace(FINDING, code="WF101"),
        replace(FINDING, file="flows/other.workflow.py"),
        replace(FINDING, line=3, end_line=3),
    ]
    assert len(set(prints(project, *found))) == len(found)


# GitLab


def test_gitlab_of_a_finding(project: Path) -> None:
    """Each finding has the keys that GitLab reads, and a severity of its scale."""
    found = [FINDING, replace(FINDING, severity="warning"), replace(FINDING, severity="info", end_line=1)]
    entries = json.loads(render(found, "gitlab", project))
    assert entries[0] == {
        "check_name": "WF103",
        "description": "WF103 step 'wait' is never awaited. Write `await`.",
        "fingerprint": entries[0]["fingerprint"],
        "severity": "major",
        "location": {"path": FILE, "lines": {"begin": 4, "end": 4}},
    }
    assert [entry["severity"] for entry in entries] == ["major", "minor", "info"]
    assert entries[2]["location"]["lines"] == {"begin": 4, "end": 4}
    assert json.loads(render([], "gitlab", project)) == []


# Anything

TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
NUMBER = st.integers(1, 12)
PATH = st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=[]), min_size=1), min_size=1).map(
    "/".join
)
EDITS = st.builds(Edit, PATH, NUMBER, NUMBER, NUMBER, NUMBER, TEXT)
FINDINGS = st.builds(
    Diagnostic,
    PATH | st.just(FILE),
    NUMBER,
    NUMBER,
    NUMBER,
    NUMBER,
    st.sampled_from([*RULES, "XX1"]),
    st.sampled_from(["error", "warning", "info"]),
    TEXT,
    TEXT | st.none(),
    st.lists(st.builds(Related, PATH | st.just(FILE), NUMBER, NUMBER, TEXT), max_size=2).map(tuple),
    st.builds(Fix, TEXT, st.sampled_from(["safe", "unsafe"]), st.lists(EDITS, max_size=2).map(tuple)) | st.none(),
)


@settings(deadline=None, max_examples=60)
@given(found=st.lists(FINDINGS, max_size=3), source=st.binary(max_size=60))
def test_whatever_is_found_is_told(found: list[Diagnostic], source: bytes, validate: Any) -> None:
    """Any text in messages and names, any place and any source give valid reports, and text that ends its lines."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "flows").mkdir()
        (project / FILE).write_bytes(source)
        log = json.loads(render(found, "sarif", project))
        entries = json.loads(render(found, "gitlab", project))
        lines = [json.loads(line) for line in render(found, "jsonl", project).splitlines()]
        document = json.loads(render(found, "json", project))
        texts = {name: render(found, name, project) for name in ("full", "concise", "github")}
    validate(log, "sarif-2.1.0")
    for told in (log, entries, document):
        json.dumps(told, ensure_ascii=False).encode("utf-8")
    assert lines == document["diagnostics"]
    assert len(entries) == len(lines) == len(found)
    assert len({entry["fingerprint"] for entry in entries}) == len(found)
    for result in log["runs"][0]["results"]:
        artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert URI.fullmatch(artifact["uri"])
        assert ".." not in unquote(artifact["uri"]).split("/")
        assert ("uriBaseId" in artifact) is not artifact["uri"].startswith("file://")
        region = result["locations"][0]["physicalLocation"]["region"]
        assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])
    for name, text in texts.items():
        assert text == "" or text.endswith("\n")
        assert all(c.isprintable() or c in "\n\t" for c in text) or name == "github"
        text.encode("utf-8")
    assert texts["concise"].count("\n") == texts["github"].count("\n") == len(found)
