"""What docs/ci.md and the pre-commit hooks say can be used as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..libraries import share

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(m[1], m[2]) for m in BLOCK.finditer(PAGE)]
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
WORKFLOW = """\
from wfgen import Workflow, define_workflow


@define_workflow
async def greet(workflow: Workflow, name: str) -> str:
    return await workflow.do("shout", name.upper)
"""


def documents() -> dict[str, list[Any]]:
    """File name -> what the page's YAML blocks for it hold."""
    found: dict[str, list[Any]] = {}
    for language, text in BLOCKS:
        if language == "yaml":
            named = re.match(r"# (\S+)\n", text)
            assert named, f"a YAML block does not say which file it is:\n{text}"
            found.setdefault(named[1], []).append(yaml.safe_load(text))
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text in a YAML document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def commands() -> list[str]:
    """Every command line of wfgen on the page."""
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    lines += [text for many in documents().values() for document in many for text in texts(document)]
    return list(dict.fromkeys(line.partition("#")[0].strip() for line in lines if line.startswith("wfgen ")))


def run(command: str, project: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WFGEN_", "GITHUB_", "CI_"))}
    words = [*shlex.split(command), *more]
    assert words[0] == "wfgen"
    return subprocess.run(
        [str(BIN / "wfgen"), *words[1:]], cwd=project, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def project(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with the settings of the page, prebuilt."""
    folder = tmp_path_factory.mktemp("ci")
    share(libraries, folder)
    (settings,) = [text for language, text in BLOCKS if language == "toml"]
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "flows").mkdir()
    (folder / "flows/__init__.py").touch()
    (folder / "flows/greet.workflow.py").write_text(WORKFLOW, encoding="utf-8")
    done = run("wfgen prebuild", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_page_has_what_is_looked_for() -> None:
    """Each service has its file on the page, each format and each command a line."""
    assert documents().keys() == {".github/workflows/wfgen.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml"}
    assert len(commands()) >= 10
    from wfgen_inspector.formats import FORMATS

    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(FORMATS)


@pytest.mark.parametrize("command", commands())
def test_command_lines_are_accepted(command: str, project: Path) -> None:
    """Every command line of the page runs, and finds nothing in a sound project."""
    done = run(command, project)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_github_workflow_fits_its_schema(validate: Any) -> None:
    """The example is a workflow that GitHub would accept, and uploads the file that a step writes."""
    (workflow,) = documents()[".github/workflows/wfgen.yml"]
    workflow["on"] = workflow.pop(True)  # to YAML 1.1 the word is a truth value
    validate(workflow, "github-workflow")
    steps = workflow["jobs"]["check"]["steps"]
    (upload,) = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    assert any(f"--output-file {upload['with']['sarif_file']}" in step.get("run", "") for step in steps)


def test_the_gitlab_job_reports_the_file_that_it_writes() -> None:
    """The Code Quality report is the file that a command of the job writes."""
    (jobs,) = documents()[".gitlab-ci.yml"]
    job = jobs["wfgen"]
    report = job["artifacts"]["reports"]["codequality"]
    assert any(f"--output-format gitlab --output-file {report}" in line for line in job["script"])


def test_the_pre_commit_files_fit_their_schema(validate: Any) -> None:
    """Examples and hook definitions are such that pre-commit would accept them, and name hooks that exist."""
    local, remote = documents()[".pre-commit-config.yaml"]
    hooks = {"repos": [{"repo": "local", "hooks": HOOKS}]}
    for configuration in (local, remote, hooks):
        validate(configuration, "pre-commit-config")
    assert [hook["id"] for hook in remote["repos"][0]["hooks"]] == [hook["id"] for hook in HOOKS]
    for ours, theirs in zip(HOOKS, local["repos"][0]["hooks"], strict=True):
        assert {**ours, **theirs} == {**ours, "language": "system"}


def test_hooks_install_every_package_from_the_checkout() -> None:
    """pre-commit installs from a checkout: the root pins five packages, which are folders of it."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = {text.partition("==")[0] for text in root["project"]["dependencies"]}
    for hook in HOOKS:
        folders = [ROOT / folder / "pyproject.toml" for folder in hook["additional_dependencies"]]
        projects = [tomllib.loads(folder.read_text(encoding="utf-8"))["project"] for folder in folders]
        assert {project["name"] for project in projects} == pinned


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_as_pre_commit_runs_them(hook: dict[str, Any], project: Path, tmp_path: Path) -> None:
    """A hook gets the changed files that it asks for, passes on a sound project and fails on one that is not."""
    broken = tmp_path / "broken"
    (broken / "flows").mkdir(parents=True)
    (broken / "flows/greet.workflow.py").write_text(WORKFLOW.replace("await ", ""), encoding="utf-8")
    changed = ["flows/__init__.py", "flows/greet.workflow.py", "docs/greet.workflow.py.txt", "pyproject.toml"]
    files = [file for file in changed if re.search(hook["files"], file)]
    assert files == ["flows/__init__.py", "flows/greet.workflow.py"], "helpers count as well"
    given = files if hook.get("pass_filenames", True) else []
    done = run(hook["entry"], project, *given)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(hook["entry"], broken, *given)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "flows/greet.workflow.py:6:" in done.stdout
