"""`wfgen check`, `wfgen explain` and the bad input that they tell of."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from wfgen_cli.codes import summaries

from ..libraries import share

WARNED = """\
from wfgen import Workflow, define_workflow


@define_workflow
async def one(workflow: Workflow, name: str) -> None:
    await workflow.do(name, lambda: 1)
"""
UNAWAITED = WARNED.replace("await workflow.do(name,", 'workflow.do("x",')


@pytest.fixture(autouse=True)
def _quick_types(request: pytest.FixtureRequest, libraries: Path) -> None:
    for name in {"shop", "empty"} & set(request.fixturenames):
        share(libraries, request.getfixturevalue(name).folder)


def test_clean(shop: Any) -> None:
    """Without findings it prints nothing to stdout."""
    done = shop("check")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No findings in 2 files." in done.stderr


def test_help_is_grouped(empty: Any) -> None:
    """The help sorts options by what they are for, and each has a sentence."""
    text = empty.inside("check", "--help").stdout
    headings = re.findall(r"^([A-Z][\w ]+):$", text, re.MULTILINE)
    assert headings == ["Arguments", "What is reported", "Fixes", "Output", "Options"]
    groups = dict(zip(headings, re.split(r"^[A-Z][\w ]+:$", text, flags=re.MULTILINE)[1:], strict=True))
    assert "--select" in groups["What is reported"]
    assert "--output-file" in groups["Output"]
    assert "--unsafe-fixes" in groups["Fixes"]
    assert "list[str]" not in text


def test_warnings(empty: Any) -> None:
    """Warnings alone are fine, unless `--strict` or the setting counts them."""
    empty.write("one.workflow.py", WARNED)
    done = empty.inside("check")
    assert done.returncode == 0
    assert "one.workflow.py:6:" in done.stdout
    assert "warning[WF101]" in done.stdout
    assert empty.inside("check", "--strict").returncode == 1
    assert empty.inside("check", env={"WFGEN_STRICT": "1"}).returncode == 1
    assert empty.inside("check", "--strict", env={"WFGEN_IGNORE": "WF101"}).returncode == 0


def test_formats(empty: Any) -> None:
    """One finding in each format; JSON has the keys that programs rely on."""
    empty.write("one.workflow.py", UNAWAITED)
    full = empty.inside("check")
    assert full.returncode == 1
    assert "^" in full.stdout
    concise = empty.inside("check", "--output-format", "concise")
    assert concise.stdout.startswith("one.workflow.py:6:")
    github = empty.inside("check", "--output-format", "github")
    assert github.stdout.startswith("::error ")
    told = json.loads(empty.inside("check", "--output-format", "json").stdout)
    assert told["schema_version"] == 1
    keys = {"file", "line", "column", "end_line", "end_column", "code", "severity", "message", "hint", "related"}
    assert {d["code"] for d in told["diagnostics"]} == {"WF103"}
    assert keys | {"fix", "url"} <= told["diagnostics"][0].keys()
    clean = json.loads(
        empty.inside("check", "--output-format", "json", env={"WFGEN_EXCLUDE": "one.workflow.py"}).stdout
    )
    assert clean["diagnostics"] == []


def test_every_format_of_a_real_project(empty: Any, validate: Any) -> None:
    """Each format tells of the same findings; SARIF fits its published schema."""
    for name in ("a", "b"):
        empty.write(f"flows/{name}.workflow.py", UNAWAITED + WARNED.replace("one", "two").partition("\n")[2])
    found = {
        format: empty.inside("check", "--no-types", "--output-format", format)
        for format in ("concise", "json", "jsonl", "github", "gitlab", "sarif")
    }
    assert {done.returncode for done in found.values()} == {1}
    diagnostics = json.loads(found["json"].stdout)["diagnostics"]
    places = [(d["file"], d["line"], d["code"]) for d in diagnostics]
    assert {code for _, _, code in places} >= {"WF005", "WF101", "WF103"}
    assert [json.loads(line) for line in found["jsonl"].stdout.splitlines()] == diagnostics
    assert len(found["concise"].stdout.splitlines()) == len(found["github"].stdout.splitlines()) == len(places)
    entries = json.loads(found["gitlab"].stdout)
    assert [(e["location"]["path"], e["location"]["lines"]["begin"], e["check_name"]) for e in entries] == places
    log = json.loads(found["sarif"].stdout)
    validate(log, "sarif-2.1.0")
    results = [(r["locations"][0]["physicalLocation"], r["ruleId"]) for r in log["runs"][0]["results"]]
    assert [(p["artifactLocation"]["uri"], p["region"]["startLine"], code) for p, code in results] == places


def test_output_file(empty: Any) -> None:
    """A file gets what stdout would get, in one step and with a usual mode; stderr has a summary."""
    empty.write("one.workflow.py", UNAWAITED)
    expected = empty.inside("check", "--no-types", "--output-format", "sarif").stdout
    target = empty.write("out/wfgen.sarif", "old")
    target.chmod(0o640)
    done = empty("check", "--no-types", "--output-format", "sarif", "--output-file", "out/wfgen.sarif")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("Found 1 error (1 fixable with `wfgen check --fix`); written to out/wfgen.sarif.\n")
    assert target.read_text() == expected
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(target.parent.iterdir()) == [target], "nothing is left beside it"
    done = empty("check", "--no-types", "--output-file", "new.txt", env={"TERM": "xterm"})
    assert (empty.folder / "new.txt").read_text() == empty.inside("check", "--no-types").stdout
    assert (empty.folder / "new.txt").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_output_file_without_findings(shop: Any) -> None:
    """Without findings the file says so in its format, and stderr in words."""
    done = shop.inside("check", "--no-types", "--output-format", "json", "--output-file", "found.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((shop.folder / "found.json").read_text())["diagnostics"] == []
    assert done.stderr == "No findings in 2 files.\n"


def test_output_that_is_no_file(empty: Any) -> None:
    """A device is written as it is."""
    empty.write("one.workflow.py", UNAWAITED)
    done = empty("check", "--no-types", "--output-format", "concise", "--output-file", "/dev/stdout")
    assert done.stdout.startswith("one.workflow.py:6:")


@pytest.mark.parametrize(
    ("target", "reason"),
    [("nowhere/found.json", "there is no folder nowhere"), (".", "it is a folder"), ("locked/found", "denied")],
)
def test_output_file_that_cannot_be_written(empty: Any, target: str, reason: str) -> None:
    """A file that cannot be written is an error that names it and the reason, with exit code 2."""
    (empty.folder / "locked").mkdir(mode=0o500)
    done = empty("check", "--no-types", "--output-file", target, unprivileged=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error[WF610]: --output-file {target} cannot be written: ")
    assert reason in done.stderr


def test_select_and_ignore(empty: Any) -> None:
    """Options take codes and prefixes, with commas or repeated, and stand in for the settings of their names."""
    empty.write("pyproject.toml", '[tool.wfgen]\nselect = ["WF4"]\nignore = ["WF1"]\n')
    empty.write("one.workflow.py", WARNED)
    words = ("check", "--no-types", "--output-format", "concise")
    assert empty.inside(*words).stdout == ""
    assert "WF101" in empty.inside(*words, "--select", "WF4,WF1", "--ignore", "WF2").stdout
    assert "WF101" in empty.inside(*words, "--select", "WF4", "--select", " wf101", "--ignore", "WF2").stdout
    assert empty.inside(*words, "--select", "WF1", "--ignore", "WF2,WF101").stdout == ""
    for option in ("--select", "--ignore"):
        for text in ("WF1O1", "", "WF101,"):
            done = empty.inside(*words, option, text)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith("error[WF600]: unknown code ")


def test_exit_zero(empty: Any) -> None:
    """Findings do not count with `--exit-zero`; what cannot be done still does."""
    empty.write("one.workflow.py", UNAWAITED)
    done = empty.inside("check", "--no-types", "--exit-zero", "--strict")
    assert done.returncode == 0
    assert "WF103" in done.stdout
    assert empty.inside("check", "--exit-zero", "--output-format", "x").returncode == 2


def test_paths(empty: Any, tmp_path: Any) -> None:
    """Only what stands in named files and folders is told and counted; the whole project is read."""
    empty.write("flows/a.workflow.py", UNAWAITED)
    empty.write("flows/b.workflow.py", WARNED.replace("one", "two"))
    empty.write("c.workflow.py", WARNED.replace("one", "three"))
    words = ("check", "--no-types", "--output-format", "concise")

    def files(*paths: str, **options: Any) -> tuple[int, list[str]]:
        done = empty(*words, *paths, **options)
        return done.returncode, [line.partition(":")[0] for line in done.stdout.splitlines()]

    assert files("flows/b.workflow.py") == (0, ["flows/b.workflow.py"])
    assert files("flows") == files("flows/") == files("./flows") == (1, ["flows/a.workflow.py", "flows/b.workflow.py"])
    assert files("c.workflow.py", "flows/a.workflow.py") == (1, ["c.workflow.py", "flows/a.workflow.py"])
    assert len(files(".")[1]) == 3
    inside = empty.folder / "flows"
    assert files("b.workflow.py", "--project", "..", cwd=inside) == (0, ["flows/b.workflow.py"])
    (tmp_path / "link").symlink_to(empty.folder)
    linked = str(tmp_path / "link/c.workflow.py")
    assert files(linked) == (0, ["c.workflow.py"])


def test_paths_that_are_not_there(empty: Any, tmp_path: Any) -> None:
    """A path that does not exist or lies elsewhere is an error; one that is not read is told of on stderr."""
    empty.write("a.workflow.py", WARNED)
    empty.write("readme.txt", "")
    gone = empty.inside("check", "--no-types", "flows/gone.workflow.py")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert gone.stderr.startswith("error[WF610]: flows/gone.workflow.py does not exist.")
    outside = empty.inside("check", "--no-types", str(tmp_path))
    assert outside.returncode == 2
    assert "lies outside the project" in outside.stderr
    other = empty.inside("check", "--no-types", "readme.txt")
    assert (other.returncode, other.stdout) == (0, "")
    assert "readme.txt holds no *.workflow.py or *.worker.py that is read" in other.stderr


def test_statistics(empty: Any, shop: Any) -> None:
    """Counts by code, the most frequent first, and what the graphs cover: in text, beside it, or in the JSON."""
    empty.write("one.workflow.py", WARNED + "    await workflow.do(name, lambda: 2)\n    workflow.sleep('x', '1s')\n")
    done = empty.inside("check", "--no-types", "--statistics", "--output-format", "concise")
    lines = done.stdout.splitlines()
    assert lines[3:] == [
        "2  WF101 dynamic-step-name",
        "1  WF103 unawaited-step",
        "1 workflow: 3 steps, 0 uses of the handle, 0 opaque regions; 100.0 % covered",
    ]
    told = empty.inside("check", "--no-types", "--statistics", "--output-format", "github")
    assert len(told.stdout.splitlines()) == 3
    assert "1  WF103 unawaited-step\n" in told.stderr
    whole = empty.ask("check", "--no-types", "--statistics", "--output-format", "json", code=1)
    assert whole["statistics"] == {
        "codes": {"WF101": 2, "WF103": 1},
        "coverage": {"workflows": 1, "steps": 3, "uses": 0, "opaque": 0, "percent": 100.0},
    }
    clean = shop.inside("check", "--no-types", "--statistics")
    assert clean.stdout == "4 workflows: 7 steps, 0 uses of the handle, 0 opaque regions; 100.0 % covered\n"


def test_per_file_settings(empty: Any) -> None:
    """A table leaves codes out in some files, in `check` as in `prebuild`, and is checked like other settings."""
    empty.write("new/a.workflow.py", WARNED)
    empty.write("old/b.workflow.py", WARNED.replace("one", "two"))
    table = "[tool.wfgen]\nstrict = true\n[tool.wfgen.per-file-ignores]\n"
    empty.write("pyproject.toml", table + '"old/**" = ["WF101"]\n')
    done = empty("check", "--no-types", "--output-format", "concise")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["new/a.workflow.py"]
    assert empty("prebuild").returncode == 1
    empty.write("pyproject.toml", table + '"old/**" = ["WF101"]\n"a.*" = ["WF1"]\n')
    assert empty("check", "--no-types").returncode == 0
    assert empty("prebuild").returncode == 0
    assert empty("prebuild").returncode == 0
    empty.write("pyproject.toml", table)
    assert empty("prebuild").returncode == 1, "a change of the table alone is noticed"
    unknown = empty.inside("check", env={"WFGEN_PER_FILE_IGNORES": "x"})
    assert unknown.returncode == 2
    assert "is a table and cannot be given as a variable (WFGEN_PER_FILE_IGNORES" in unknown.stderr


def test_unknown_format(empty: Any) -> None:
    """A format that does not exist is answered with those that do."""
    done = empty.inside("check", "--output-format", "jsn")
    assert done.returncode == 2
    assert "'json'" in done.stderr


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"def (:\n", "WF001"),
        (b"\xff\xfe caf\xe9", "WF002"),
        (b"", None),
        (b"\xef\xbb\xbf" + WARNED.replace("name,", '"x",').encode(), None),
        (WARNED.replace("name,", '"x",').replace("\n", "\r\n").encode(), None),
        (b"x = '\0'\n", "WF001"),
    ],
    ids=["syntax", "not UTF-8", "empty", "BOM", "CRLF", "null byte"],
)
def test_file_contents(empty: Any, content: bytes, code: str | None) -> None:
    """Files that cannot be read are told with code and place; those that are merely unusual are read."""
    empty.write("odd.workflow.py", content)
    done = empty.inside("check", "--output-format", "concise")
    assert done.returncode == (0 if code is None else 1)
    assert done.stdout.startswith("odd.workflow.py:1:" if code else "")
    assert (code or "") in done.stdout
    assert "Traceback" not in done.stderr


def test_unreadable_files(empty: Any) -> None:
    """Sources that lead nowhere or may not be read are told with their paths."""
    (empty.folder / "gone.workflow.py").symlink_to("nowhere.py")
    empty.write("secret.workflow.py", WARNED).chmod(0)
    done = empty("check", "--output-format", "concise", unprivileged=True)
    assert done.returncode == 1
    for name in ("gone", "secret"):
        assert f"{name}.workflow.py:1:1: WF002 " in done.stdout


def test_two_of_one_name(empty: Any) -> None:
    """Two workflows of one name and version are an error that names both places."""
    for name in ("a", "b"):
        empty.write(f"{name}.workflow.py", WARNED.replace("name,", '"x",'))
    done = empty.inside("check")
    assert done.returncode == 1
    assert "error[WF005]" in done.stdout
    assert "a.workflow.py:5" in done.stdout
    assert "b.workflow.py:5" in done.stdout


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('engin = "sqlite:///x.db"', ["unknown setting 'engin'", "[tool.wfgen]", "'engine'"]),
        ("strict = 7", ["'strict'", "[tool.wfgen] strict", "7"]),
        ('lease = "soon"', ["'lease'", "no duration"]),
        ("exclude = 3", ["'exclude'"]),
        ("broken = [", ["pyproject.toml", "cannot be read"]),
        ('select = ["WF9999"]', ["WF9999"]),
        ('per-file-ignores = {"a/*" = ["WF9999"]}', ["'WF9999'", "'per-file-ignores' for 'a/*'"]),
        ('per-file-ignores = {"a/*" = "WF101"}', ["'per_file_ignores'", "a/*: ", "list", "'WF101'"]),
        ('per-file-ignores = {"a/*" = ["WF005"]}', ["WF005 (id-collision) cannot be ignored", "for 'a/*'"]),
        ("per-file-ignores = 3", ["'per_file_ignores'", "[tool.wfgen] per-file-ignores"]),
    ],
    ids=[
        "unknown",
        "wrong type",
        "no duration",
        "no list",
        "no TOML",
        "unknown code",
        "unknown code of files",
        "no list of files",
        "required code of files",
        "no table",
    ],
)
def test_bad_settings(empty: Any, table: str, words: list[str]) -> None:
    """A setting that does not fit names itself and where it came from."""
    empty.write("pyproject.toml", f"[tool.wfgen]\n{table}\n")
    done = empty.inside("check")
    assert done.returncode == 2
    assert done.stderr.startswith("error[WF600]: ")
    for word in words:
        assert word in done.stderr
    assert done.stdout == ""


def test_bad_variable(empty: Any) -> None:
    """A variable that does not fit is named as such."""
    done = empty.inside("check", env={"WFGEN_CONCURRENCY": "many"})
    assert done.returncode == 2
    assert "WFGEN_CONCURRENCY in the environment" in done.stderr


def test_explain(empty: Any) -> None:
    """It explains rules by code and by name, and errors of the runtime, of codegen and of the command line."""
    assert empty.inside("explain", "WF103").stdout == empty.inside("explain", "unawaited-step").stdout
    assert "await" in empty.inside("explain", "wf103").stdout
    assert empty.inside("explain", "WF703").stdout.startswith("WF703 InvalidInputError")
    assert empty.inside("explain", "WF604").stdout.startswith("WF604 OutputWriteError")
    assert empty.inside("explain", "WF610").stdout.startswith("WF610 ArgumentError")
    unknown = empty.inside("explain", "WF9")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error[WF600]: ")


def test_explain_as_json(empty: Any) -> None:
    """For programs, one code or all of them, rules and errors with the same keys."""
    told = empty.ask("explain", "--output-format", "json")
    assert told["schema_version"] == 1
    assert [entry["code"] for entry in told["codes"]] == list(summaries())
    keys = {"code", "name", "kind", "severity", "fix", "required", "summary", "what", "why", "remedy", "example"}
    assert all(entry.keys() == keys | {"instead", "url"} for entry in told["codes"])
    for code, kind in (("unawaited-step", "rule"), ("wf703", "error"), ("WF610", "error")):
        (one,) = empty.ask("explain", code, "--output-format", "json")["codes"]
        assert one in told["codes"]
        assert one["kind"] == kind
    assert empty.inside("explain", "WF9", "--output-format", "json").returncode == 2
    assert empty.inside("explain", "WF103", "--output-format", "yaml").returncode == 2


def test_explain_lists_all(empty: Any) -> None:
    """Without a code it lists every code with a sentence."""
    lines = empty.inside("explain").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(summaries())
    assert all(len(line.split()) > 3 for line in lines)
