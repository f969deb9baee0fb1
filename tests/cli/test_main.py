"""What holds for every command: help, version, exit codes, streams, failures."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import wfgen_cli
from wfgen_cli.commands import COMMANDS

WFGEN = Path(sys.executable).with_name("wfgen")
NOUNS = {"runs": ["list", "show", "history", "cancel"], "hooks": ["list", "resume"]}
ALL = [[name] for name in COMMANDS if name not in NOUNS] + [[n, v] for n, verbs in NOUNS.items() for v in verbs]


def test_version(empty: Any) -> None:
    """`--version` prints the version of the installed distribution."""
    done = empty("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(f"wfgen {version('wfgen-cli')} ")
    assert wfgen_cli.__version__ == version("wfgen-cli")


def test_version_is_light() -> None:
    """`--version` loads no part of wfgen that is heavy, and none of what those load."""
    code = (
        "import sys; from wfgen_cli.main import main; sys.argv = ['wfgen', '--version']; main();"
        "print([m for m in ('libcst', 'jinja2', 'pydantic', 'rich', 'watchdog', 'asyncio', 'wfgen', 'wfgen_inspector',"
        " 'wfgen_codegen') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[1:] == ["[]"], done.stdout + done.stderr


def test_help_lists_every_command_with_a_sentence(empty: Any) -> None:
    """`--help` names all commands, each with what it does."""
    done = empty("--help")
    assert done.returncode == 0
    section = done.stdout.partition("Commands:")[2].partition("Example:")[0]
    listed = {line.split()[0]: line.split()[1:] for line in section.splitlines() if line[2:3].strip()}
    assert list(listed) == list(COMMANDS)
    assert all(len(words) > 2 for words in listed.values())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_has_an_example(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """The help of every command ends with a command line to copy."""
    from wfgen_cli.main import main

    monkeypatch.setattr(sys, "argv", ["wfgen", *words, "--help"])
    assert main() == 0
    example = capsys.readouterr().out.partition("Example:\n")[2]
    assert f"wfgen {' '.join(words)}" in example


@pytest.mark.parametrize(
    "words",
    [
        ["list"], ["runs", "list"], ["runs", "show"], ["runs", "history"], ["runs", "checkpoints"], ["runs", "stats"],
        ["hooks", "list"], ["keys", "list"], ["doctor"], ["prebuild"], ["lock"], ["run"], ["start"], ["worker"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_shows_something_has_json(words: list[str], empty: Any) -> None:
    """Whatever prints something that a program may read has `--json`."""
    assert "  --json " in empty.inside(*words, "--help").stdout


def test_no_command_shows_help(empty: Any) -> None:
    """`wfgen` alone shows the help, and fails."""
    done = empty()
    assert done.returncode == 2
    assert "Commands:" in done.stdout + done.stderr


def test_unknown_command(empty: Any) -> None:
    """A mistyped command is answered with the one that was meant."""
    done = empty("prebiuld")
    assert done.returncode == 2
    assert "'prebuild'" in done.stderr
    assert done.stdout == ""


def test_unknown_option(empty: Any) -> None:
    """A mistyped option is a usage error."""
    done = empty("check", "--strit")
    assert done.returncode == 2
    assert "--strit" in done.stderr


def test_folder_option(shop: Any, tmp_path: Path) -> None:
    """`-C` runs the command as if started in another folder, `--project` names the project."""
    assert shop("-C", str(shop.folder), "prebuild", "--check", cwd=tmp_path).returncode == 0
    assert shop("prebuild", "--check", "--project", str(shop.folder), cwd=tmp_path).returncode == 0
    missing = shop("-C", "nowhere", "check", cwd=tmp_path)
    assert missing.returncode == 2
    assert "nowhere" in missing.stderr
    wrong = shop("check", "--project", "nowhere", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error[WF610]: --project nowhere")


def test_internal_error(empty: Any) -> None:
    """A bug is one line that says where and what to do; the traceback comes only when asked for."""
    code = (
        "import sys; import wfgen_cli.explain as e, wfgen_cli.main as m; import wfgen_cli.codes as c\n"
        "c.text = lambda code: 1 // 0\n"
        "sys.argv = ['wfgen', 'explain', 'WF101']; sys.exit(m.main())"
    )
    for debug in ("", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env=empty.environment({"WFGEN_DEBUG": debug}),
        )
        assert done.returncode == 2
        assert "error[WF900]: internal error in <string>:2: ZeroDivisionError" in done.stderr
        assert "  hint: " in done.stderr
        assert ("Traceback" in done.stderr) is (debug == "1")
    assert empty("check", env={"WFGEN_DEBUG": "1"}).returncode == 0


def test_closed_pipe(empty: Any) -> None:
    """A reader that goes away early is no reason to complain."""
    command = f"'{WFGEN}' explain | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=empty.environment())
    assert done.stdout.startswith("CODE")
    assert done.stderr == ""


@pytest.mark.parametrize("words", ["list", "list --json", "--version", "--help", "explain WF101"])
@pytest.mark.parametrize(
    ("target", "unbuffered", "reason"),
    [("/dev/full", "", "No space left on device"), ("/dev/full", "1", "No space left on device"), ("&-", "", "closed")],
)
def test_output_that_cannot_be_written(empty: Any, words: str, target: str, unbuffered: str, reason: str) -> None:
    """A full disk behind standard output, or none at all, is one line and exit code 2, and no bug of wfgen."""
    command = f"'{WFGEN}' {words} >{target}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=empty.folder,
        capture_output=True,
        text=True,
        timeout=60,
        env=empty.environment({"PYTHONUNBUFFERED": unbuffered}),
    )
    assert done.returncode == 2
    error = done.stderr[done.stderr.index("error[") :]
    assert error.startswith("error[WF611]: the output cannot be written: ")
    assert reason in error
    assert len(error.splitlines()) == 2


def test_nobody_listens_to_stderr(empty: Any) -> None:
    """Without standard error, notes are dropped and do not get into the output."""
    command = f"'{WFGEN}' list --json 2>&-"
    done = subprocess.run(
        ["sh", "-c", command], cwd=empty.folder, capture_output=True, text=True, timeout=60, env=empty.environment()
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["workflows"] == []


@pytest.mark.parametrize("words", [["prebuild"], ["prebuild", "--json"], ["check"], ["list"], ["list", "--json"]])
def test_no_source_at_all(empty: Any, shop: Any, words: list[str]) -> None:
    """A folder without sources, which may be the wrong one, is told of on stderr, each time; it is no error."""
    for _ in range(2):
        done = empty(*words)
        assert done.returncode == 0
        assert f"No *.workflow.py or *.worker.py was found below {empty.folder}; `wfgen init`" in done.stderr
    assert "found below" not in shop(*words).stderr


def _on_terminal(words: list[str], folder: Path, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(WFGEN), *words], cwd=folder, env=env, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    process.wait(60)
    return text.decode()


def test_color_only_on_a_terminal(empty: Any) -> None:
    """Colour is for terminals, and NO_COLOR is respected."""
    empty.write("bad.workflow.py", "def (:\n")
    terminal = {"TERM": "xterm"}
    assert "\x1b[" in _on_terminal(["check"], empty.folder, empty.environment(terminal))
    assert "\x1b[" not in _on_terminal(["check"], empty.folder, empty.environment({**terminal, "NO_COLOR": "1"}))
    assert "\x1b[" not in empty("check").stdout
