"""`wfgen check --fix` and `--diff`: what is written, what is shown, and what is told."""

import codecs
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wfgen_cli.patches import colored

HEAD = """\
from wfgen import Workflow, define_workflow


@define_workflow
"""
BODY = """\
async def one(workflow: Workflow, name: str) -> None:
    workflow.sleep("wait", "1s")  # why
    await workflow.sleep("wait", "2s")
"""
BOTH = HEAD + BODY
SAFE = BOTH.replace("    workflow.sleep", "    await workflow.sleep")
ALL = SAFE.replace('"wait", "2s"', '"wait_2", "2s"')
CHECK = ("check", "--no-types")
CONCISE = (*CHECK, "--output-format", "concise")


def content(wfgen: Any, name: str = "one.workflow.py") -> str:
    return str((wfgen.folder / name).read_bytes().decode())


def test_safe_fixes(empty: Any) -> None:
    """They are written, counted on stderr, and what is left is reported; a second time there is nothing to do."""
    empty.write("one.workflow.py", BOTH)
    done = empty.inside(*CONCISE, "--fix")
    assert (done.returncode, content(empty)) == (0, SAFE)
    assert done.stderr == "Fixed 1 finding in 1 file; 1 more with --unsafe-fixes.\n"
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["WF102"]
    again = empty.inside(*CONCISE, "--fix")
    assert (content(empty), again.stdout) == (SAFE, done.stdout)
    assert again.stderr == "1 can be fixed with --unsafe-fixes.\n"


def test_unsafe_fixes(empty: Any) -> None:
    """They are made only when somebody asks for them."""
    empty.write("one.workflow.py", BOTH)
    done = empty.inside(*CONCISE, "--fix", "--unsafe-fixes")
    assert (done.returncode, done.stdout, content(empty)) == (0, "", ALL)
    assert done.stderr == "Fixed 2 findings in 1 file.\nNo findings in 1 file.\n"
    assert empty.inside(*CHECK, "--fix", "--unsafe-fixes").stderr == "No findings in 1 file.\n"


def test_unsafe_fixes_alone(empty: Any) -> None:
    """The option by itself is refused: it would do nothing."""
    done = empty.inside(*CHECK, "--unsafe-fixes")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error[WF610]: --unsafe-fixes changes nothing by itself.")


def test_json_holds_what_is_left(empty: Any) -> None:
    """The document on stdout has the findings that remain, and the count goes to stderr."""
    empty.write("one.workflow.py", BOTH)
    told = json.loads(empty.inside(*CHECK, "--fix", "--output-format", "json").stdout)
    assert [(d["code"], d["fix"]["applicability"]) for d in told["diagnostics"]] == [("WF102", "unsafe")]


def test_errors_that_are_left_count(empty: Any) -> None:
    """The exit code is that of the findings that remain."""
    empty.write("one.workflow.py", BOTH + '    await workflow.do("x", "no.such")\n')
    done = empty.inside(*CONCISE, "--fix")
    assert (done.returncode, "WF401" in done.stdout, "WF103" in done.stdout) == (1, True, False)


def test_only_selected_findings_are_fixed(empty: Any) -> None:
    """What is not reported is not touched: neither what is not selected nor what a comment suppresses."""
    text = f"from .models import A\n{BOTH}"
    empty.write("one.workflow.py", text)
    done = empty.inside(*CHECK, "--fix", env={"WFGEN_IGNORE": "WF103"})
    assert content(empty) == text.replace("from .models", "from models")
    assert done.stderr.startswith("Fixed 1 finding in 1 file;")
    suppressed = BOTH.replace("# why", "# wfgen: ignore[WF103]")
    empty.write("one.workflow.py", suppressed)
    assert "Fixed" not in empty.inside(*CHECK, "--fix").stderr
    assert content(empty) == suppressed


def test_options_say_what_is_fixed(empty: Any) -> None:
    """Codes and files that are named on the command line are those that are fixed."""
    text = f"from .models import A\n{BOTH}"
    empty.write("one.workflow.py", text)
    empty.write("two.workflow.py", text.replace("one", "two"))
    done = empty.inside(*CONCISE, "--fix", "--select", "WF103", "two.workflow.py")
    assert (done.returncode, done.stdout) == (0, "")
    assert content(empty) == text
    assert content(empty, "two.workflow.py") == f"from .models import A\n{SAFE}".replace("one", "two")


def test_diff_shows_what_fix_writes(empty: Any) -> None:
    """It is a patch on stdout and nothing else; nothing is written; the exit code says whether there is something."""
    empty.write("one.workflow.py", BOTH)
    done = empty.inside(*CHECK, "--diff")
    assert (done.returncode, content(empty)) == (1, BOTH)
    assert done.stderr == "Would fix 1 finding in 1 file; 1 more with --unsafe-fixes.\n"
    assert done.stdout == (
        "--- a/one.workflow.py\n+++ b/one.workflow.py\n@@ -3,5 +3,5 @@\n \n @define_workflow\n"
        ' async def one(workflow: Workflow, name: str) -> None:\n-    workflow.sleep("wait", "1s")  # why\n'
        '+    await workflow.sleep("wait", "1s")  # why\n     await workflow.sleep("wait", "2s")\n'
    )
    assert empty.inside(*CHECK, "--fix", "--diff").stdout == done.stdout
    assert content(empty) == BOTH
    empty.inside(*CHECK, "--fix")
    clean = empty.inside(*CHECK, "--diff")
    assert (clean.returncode, clean.stdout) == (0, "")


FILES = {
    "plain.workflow.py": BOTH.encode(),
    "no newline.workflow.py": BOTH.removesuffix("\n").encode(),
    "sub/crlf.workflow.py": BOTH.replace("\n", "\r\n").encode(),
    "sub/cr.workflow.py": BOTH.replace("\n", "\r").encode(),
    "mixed.workflow.py": BOTH.replace("\n", "\r\n", 3).encode(),
    "marked.workflow.py": codecs.BOM_UTF8 + BOTH.encode(),
    "latin.workflow.py": f"# coding: latin-1\n{BOTH.replace('why', 'é')}".encode("latin-1"),
    "größe.workflow.py": BOTH.replace("1s", "1s 😀").encode(),
    'quo"te\\.workflow.py': BOTH.encode(),
    "tabs.workflow.py": BOTH.replace("    ", "\t").encode(),
    "end.workflow.py": BOTH.replace('    await workflow.sleep("wait", "2s")\n', "").removesuffix("\n").encode(),
}


@pytest.mark.parametrize("tool", ["patch", "git"])
def test_the_patch_can_be_applied(empty: Any, tmp_path: Path, tool: str) -> None:
    """`patch -p1` and `git apply` make of the files, byte for byte, what `--fix` makes of them."""
    renamed = [(name, data.replace(b"one", b"flow%d" % number)) for number, (name, data) in enumerate(FILES.items())]
    for name, data in renamed:
        empty.write(name, data)
    copy = tmp_path / "copy"
    shutil.copytree(empty.folder, copy)
    diff = subprocess.run(
        [str(Path(sys.executable).with_name("wfgen")), *CHECK, "--diff", "--unsafe-fixes"],
        cwd=empty.folder,
        env=empty.environment(),
        capture_output=True,
        timeout=60,
    ).stdout
    fixed = empty.inside(*CHECK, "--fix", "--unsafe-fixes")
    assert f"in {len(FILES)} files." in fixed.stderr
    command = ["patch", "-p1", "--binary", "--quiet"] if tool == "patch" else ["git", "apply", "-"]
    done = subprocess.run(command, cwd=copy, input=diff, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stdout, done.stderr)
    for name, data in renamed:
        after = (empty.folder / name).read_bytes()
        assert after != data
        assert (copy / name).read_bytes() == after, name


@pytest.mark.parametrize("name", FILES)
def test_bytes_that_are_no_part_of_a_fix_stay(empty: Any, name: str) -> None:
    """Line ends, byte order mark, encoding and the missing last newline are those of the file."""
    empty.write("one.workflow.py", FILES[name])
    empty.inside(*CHECK, "--fix")
    indent = b"\t" if b"\t" in FILES[name] else b"    "
    expected = FILES[name].replace(indent + b"workflow.sleep", indent + b"await workflow.sleep")
    assert (empty.folder / "one.workflow.py").read_bytes() == expected


def test_colors_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, and nothing of the file can steer it."""
    monkeypatch.setattr("wfgen_cli.terminal.has_color", lambda stream: True)
    text = colored(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\x1b[2J\r\n+\tb \xff\n same\n")
    assert text == (
        "\x1b[1m--- a/x\x1b[0m\n\x1b[1m+++ b/x\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n\x1b[31;1m-a\\x1b[2J\x1b[0m\n"
        "\x1b[32m+\tb \N{REPLACEMENT CHARACTER}\x1b[0m\n same\n"
    )


def test_read_only_files(empty: Any) -> None:
    """A file that may not be written is told with a code and stays; the others get their fixes."""
    empty.write("one.workflow.py", BOTH).chmod(0o444)
    empty.write("two.workflow.py", BOTH.replace("one", "two"))
    empty.write("closed/three.workflow.py", BOTH.replace("one", "three")).parent.chmod(0o555)
    done = empty(*CONCISE, "--fix", unprivileged=True)
    (empty.folder / "closed").chmod(0o755)
    assert done.returncode == 2
    assert "error[WF613]: one.workflow.py was not changed: it may not be written." in done.stderr
    assert "error[WF613]: closed/three.workflow.py was not changed: its folder may not be written." in done.stderr
    assert "Fixed 1 finding in 1 file;" in done.stderr
    assert content(empty) == BOTH
    assert content(empty, "two.workflow.py") == SAFE.replace("one", "two")
    assert "one.workflow.py:6:5: WF103 " in done.stdout
    assert sorted(path.name for path in empty.folder.glob("**/*.py")) == [
        f"{name}.workflow.py" for name in ("one", "three", "two")
    ]


def test_modes_and_links_stay(empty: Any) -> None:
    """A link stays a link and its target keeps its mode."""
    target = empty.write("shared/one.py", BOTH)
    target.chmod(0o754)
    link = empty.folder / "one.workflow.py"
    link.symlink_to("shared/one.py")
    empty.inside(*CHECK, "--fix")
    assert (link.is_symlink(), target.read_text()) == (True, SAFE)
    assert target.stat().st_mode & 0o777 == 0o754


def test_generated_files_stay(shop: Any) -> None:
    """Fixing changes the sources alone."""
    generated = shop.folder / "shop/wfgen_gen"
    before = {path: path.read_bytes() for path in generated.rglob("*") if path.is_file()}
    shop.replace("shop/orders.workflow.py", 'await workflow.sleep("long"', 'workflow.sleep("long"')
    text = content(shop, "shop/orders.workflow.py")
    assert shop.inside(*CHECK, "--fix").returncode == 0
    assert content(shop, "shop/orders.workflow.py") == text.replace(
        'workflow.sleep("long"', 'await workflow.sleep("long"'
    )
    assert {path: path.read_bytes() for path in before} == before


LOADED = """
import sys
sys.argv = ["wfgen", *sys.argv[1:]]
from wfgen_cli.main import main
code = main()
print(code, *(name for name in ("libcst", "jinja2", "wfgen_cli.fixing") if name in sys.modules))
"""


@pytest.mark.parametrize("options", [CHECK, (*CHECK, "--fix"), (*CHECK, "--diff")], ids=["check", "fix", "diff"])
def test_a_clean_project_needs_no_fixer(shop: Any, options: tuple[str, ...]) -> None:
    """Without anything to mend LibCST is not loaded, nor is what fixes need unless it is asked for."""
    command = [sys.executable, "-c", LOADED, *options]
    done = subprocess.run(
        command, cwd=shop.folder, env=shop.environment(), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == (["0"] if options == CHECK else ["0", "wfgen_cli.fixing"])
