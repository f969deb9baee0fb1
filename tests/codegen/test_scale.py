"""Large projects."""

from __future__ import annotations

from typing import Any

from wfgen_codegen import render
from wfgen_codegen.modules import MAX_OVERLOADS


def test_overloads_up_to_the_limit(make: Any) -> None:
    """Up to the limit each worker id has an overload; beyond it any string is accepted and references carry types."""
    workers = [make.worker(f"w{number}") for number in range(MAX_OVERLOADS + 1)]
    few = render(make.project(*workers[:-1]), make.settings)["workflow.py"].decode()
    many = render(make.project(*workers), make.settings)["workflow.py"].decode()
    assert few.count("Literal[") == MAX_OVERLOADS
    assert "target: _wfgen.WorkerId" in few
    assert "Literal[" not in many
    assert "target: str" in many


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
