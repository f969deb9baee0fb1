"""`wfgen check`, `wfgen explain` and the bad input that they tell of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wfgen_cli.codes import summaries

WARNED = """\
from wfgen import Workflow, define_workflow


@define_workflow
async def one(workflow: Workflow, name: str) -> None:
    await workflow.do(name, lambda: 1)
"""
UNAWAITED = WARNED.replace("await workflow.do(name,", 'workflow.do("x",')


def test_clean(shop: Any) -> None:
    """Without findings it prints nothing to stdout."""
    done = shop("check")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No findings in 2 files." in done.stderr


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
    ],
    ids=["unknown", "wrong type", "no duration", "no list", "no TOML", "unknown code"],
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


def test_explain_lists_all(empty: Any) -> None:
    """Without a code it lists every code with a sentence."""
    lines = empty.inside("explain").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(summaries())
    assert all(len(line.split()) > 3 for line in lines)
