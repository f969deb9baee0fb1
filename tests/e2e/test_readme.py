"""Every snippet in README and docs is executed.

A Python block whose first line is `# path` is that file of a project; a console block holds commands (`$ …`) and what
they print, with `…` for any text.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from ..libraries import share
from ..postgres import programs

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """URL of an empty database on a real server."""
    name = f"page_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _blocks(page: Path) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def _console(text: str) -> list[tuple[str, str]]:
    """Commands with what they should print."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block starts with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _pattern(expected: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in expected.strip().split("…")), re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if "```console" in p.read_text()], ids=lambda p: p.name)
def test_the_pages_project_works_as_written(
    page: Path, tmp_path: Path, libraries: Path, request: pytest.FixtureRequest
) -> None:
    """The files of a page make a project, and its commands print what the page says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WFGEN_") and k != "PYTHONPATH"}
    environment |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "200"}
    if "$DATABASE_URL" in page.read_text(encoding="utf-8"):
        environment |= {"DATABASE_URL": request.getfixturevalue("database")}
        environment["PATH"] = f"{programs()}{os.pathsep}{environment['PATH']}"
    share(libraries, tmp_path)
    for language, text in _blocks(page):
        if language == "python":
            named = re.match(r"# (\S+\.py)\n", text)
            assert named, f"a Python block of {page.name} does not say which file it is:\n{text[:200]}"
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for language, text in _blocks(page):
        if language != "console":
            continue
        for command, expected in _console(text):
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert _pattern(expected).search(done.stdout), f"{command} printed\n{done.stdout}\nexpected\n{expected}"


def test_make_help_lists_the_targets_that_the_readme_names() -> None:
    """The targets of the README exist, each with its line of help."""
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "demo-workers", "test", "check", "bench", "format", "clean"):
        assert f"make {target}" in listed


def _first_cells(heading: str) -> str:
    """The first column of the table under a heading of the README."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(line.replace(r"\|", "/").split("|")[1] for line in section.splitlines() if line.startswith("|"))


def test_the_readme_names_all_there_is() -> None:
    """Each setting, command and member of the handle stands in the README's tables."""
    from wfgen import Workflow
    from wfgen.settings import Settings
    from wfgen_cli import hooks, jobs, keys, runs, workers
    from wfgen_cli.commands import COMMANDS

    settings = _first_cells("Settings")
    assert [
        n
        for n in Settings.model_fields
        if n != "project" and f"`{n.replace('per_file_', 'per-file-')}`" not in settings
    ] == []
    commands = _first_cells("The command line")
    assert [name for name in COMMANDS if f"wfgen {name}" not in commands] == []
    for group in (runs, hooks, jobs, keys, workers):
        names = [
            command.name or str(command.callback and command.callback.__name__)
            for command in group.app.registered_commands
        ]
        assert [name for name in names if not re.search(rf"[ /]{name}[/`]", commands)] == []
    handle = _first_cells("What a workflow may do")
    assert [n for n in dir(Workflow) if not n.startswith("_") and not re.search(rf"\b{n}\b", handle)] == []


def test_every_page_is_in_the_readmes_list() -> None:
    """The README links to each page, and each link of the pages leads somewhere."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []
    for page in [*PAGES, ROOT / "examples" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
