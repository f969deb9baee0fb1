"""Large projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from wfgen_codegen import render
from wfgen_codegen.modules import MAX_OVERLOADS, MAX_SECOND_OVERLOADS


def test_overloads_up_to_the_limit(make: Any) -> None:
    """Up to the limit each worker id has an overload; beyond it any string is accepted and references carry types."""
    workers = [make.worker(f"w{number}") for number in range(MAX_OVERLOADS + 1)]
    few = render(make.project(*workers[:-1]), make.settings)["workflow.py"].decode()
    many = render(make.project(*workers), make.settings)["workflow.py"].decode()
    assert few.count("target: _wfgen_typing.Literal[") == MAX_OVERLOADS
    assert "target: _wfgen.WorkerId" in few
    assert "target: _wfgen_typing.Literal[" not in many
    assert "target: _wfgen.WorkerId" not in many


def test_overloads_for_going_on_from_errors(make: Any) -> None:
    """A small project has a second overload for each id; in others on_error="continue" gives Any, or the error."""
    workers = [make.worker(f"w{number}", output="int") for number in range(MAX_SECOND_OVERLOADS + 1)]
    few = render(make.project(*workers[:-1]), make.settings)["workflow.py"].decode()
    many = render(make.project(*workers), make.settings)["workflow.py"].decode()
    assert few.count("-> int | _wfgen.StepError:") == MAX_SECOND_OVERLOADS
    assert "target: str" not in few
    assert "-> int | _wfgen.StepError:" not in many
    assert many.count("target: str,") == 1
    assert many.count("-> int:") == MAX_SECOND_OVERLOADS + 1


def test_versions_are_ordered_as_numbers(make: Any) -> None:
    """The client has the types of version 10, not of 9, and the registry lists all in that order."""
    entries = [make.workflow("a", version, output=f"typing.Literal[{version}]") for version in ("10", "9", "1")]
    files = render(make.project(*entries), make.settings)
    assert b'Run["typing.Literal[10]"]' in files["clients/a.py"]
    registry = files["registry.py"].decode()
    assert registry.index('"1"') < registry.index('"9"') < registry.index('"10"')


def test_an_empty_project_renders(make: Any) -> None:
    """Without any workflow the package is there, so that the first file can import from it."""
    files = render(make.manifest(), make.settings)
    assert {"__init__.py", "workflow.py", "client.py", "manifest/index.json"} <= set(files)
    for path, content in files.items():
        if path.endswith(".py"):
            compile(content, path, "exec")


def test_error_messages_stay_short(make: Any, tmp_path: Path) -> None:
    """With a thousand workers each mistake in a call is told by mypy in less than twenty lines, whatever is wrong."""
    workers = [
        make.worker(f"w{number}", input="int", output=f"typing.Literal[{number}]", imports=("typing",))
        for number in range(1000)
    ]
    manifest = make.manifest(make.source(*workers))
    for path, content in render(manifest, make.settings, types_only=True).items():
        target = tmp_path / manifest.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    mistakes = (
        'workflow.do("a", workers.w7, "seven")',
        'workflow.do("a", workers.w7)',
        'workflow.do("a", workers.w1000, 7)',
        'workflow.do(7, "w7", 7)',
        'workflow.do("a", "w7", 7, retries=3)',
        'workflow.do("a", "w7", 7, timeout=3)',
        'workflow.doo("a", "w7", 7)',
    )
    (tmp_path / "flows/app.py").write_text(
        "from flows.wfgen_gen import Workflow, workers\n\n\nasync def app(workflow: Workflow) -> None:\n"
        + "".join(f"    await {call}\n" for call in mistakes)
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", os.devnull, "flows/app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("flows/app.py:")]
    assert len(told) == done.stdout.count("\n"), done.stdout
    for number in range(5, 5 + len(mistakes)):
        lines = [line for line in told if line.startswith(f"flows/app.py:{number}: ")]
        assert 0 < len(lines) < 20, done.stdout
        assert max(map(len, lines)) < 1000
