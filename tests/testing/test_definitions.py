"""Definitions checked without running them, and the ways to give them to a test engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from wfgen import DefinitionError, Workflow, define_worker, define_workflow
from wfgen.graph import Graph, GraphStep
from wfgen.registry import Registry, WorkerSource
from wfgen.testing import TestEngine, validate_definitions


@define_worker("hello")
async def hello(name: str) -> str:
    return f"hello {name}"


@define_workflow
async def greet(workflow: Workflow, name: str) -> str:
    return str(await workflow.do("say", "hello", name))


def module(text: str) -> dict[str, Any]:
    """A module with definitions, made of its text."""
    space: dict[str, Any] = {"__name__": "made_up"}
    exec("from wfgen import *\nimport socket, threading\n" + text, space)
    return space


def test_good_definitions_are_valid() -> None:
    """A21: nothing runs, and the registry comes back."""
    assert validate_definitions(globals()).workflows == (("greet", "1"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@define_worker('w')\ndef w(a: int, b: int): ...", r"worker 'w' .* takes 2 inputs: a, b.* one"),
        ("@define_worker('w')\ndef w(a: socket.socket): ...", r"the input of worker 'w' \("),
        ("@define_worker('w')\ndef w() -> threading.Lock: ...", r"the result of worker 'w' \("),
        ("@define_worker('w')\ndef w(a: 'Missing'): ...", "cannot be resolved"),
        ("@define_workflow\nasync def f() -> None: ...", "takes no workflow handle"),
        ("@define_workflow(before=['nobody'])\nasync def f(workflow: Workflow) -> None: ...", "no worker 'nobody'"),
    ],
)
def test_what_does_not_fit_is_said(text: str, message: str) -> None:
    """A21: signatures, types and tasks are checked without running anything; the message names the definition."""
    with pytest.raises(DefinitionError, match=message):
        validate_definitions(module(text))


def test_everything_that_does_not_fit_is_listed() -> None:
    """A21: one look finds all."""
    text = "@define_worker('w')\ndef w(a, b): ...\n@define_worker('v')\ndef v(a, b): ..."
    with pytest.raises(
        DefinitionError, match=r"2 definitions cannot serve:\n  1\. worker 'v'(.|\n)*\n  2\. worker 'w'"
    ):
        validate_definitions(module(text))


def test_names_are_unique_across_modules() -> None:
    """A21: two modules that define the same are told apart by file and line."""
    text = "@define_worker('w')\ndef w(a: int): ..."
    with pytest.raises(DefinitionError, match="worker 'w' is defined twice"):
        validate_definitions(module(text), module("\n" + text))


def test_definitions_are_given_in_several_ways() -> None:
    """A21: a module, its name, its globals, or the functions themselves."""
    here = sys.modules[__name__]
    for given in ([here], [__name__], [globals()], [greet, hello]):

        async def scenario(wf: TestEngine) -> Any:
            return await wf.execute("greet", "Ada")

        assert TestEngine(*given).run_scenario(scenario) == "hello Ada"


@pytest.mark.parametrize("given", [[], [{"__name__": "empty"}], [len], [test_good_definitions_are_valid]])
def test_what_defines_nothing_is_refused(given: list[Any]) -> None:
    """A21: a test engine without definitions says what to give it."""
    with pytest.raises(DefinitionError, match=r"Give the generated package|Decorate it"):
        TestEngine(*given)


def test_a_generated_package_is_checked_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: workers that do not load are listed with their errors, and the rest is checked all the same."""
    (tmp_path / "gen_for_check").mkdir()
    (tmp_path / "gen_for_check" / "__init__.py").write_text("")
    (tmp_path / "gen_for_check" / "bad.py").write_text("raise OSError('no database here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry("gen_for_check", workers=[WorkerSource("bad", "bad", "bad.worker.py")])
    with pytest.raises(DefinitionError, match="OSError: no database here"):
        validate_definitions(registry)


def test_what_steps_name_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: by the generated graph, without running anything: targets of steps and of child workflows."""
    steps = (GraphStep("rpc", "say", "helo", "flow.py:3"), GraphStep("call", "ask", "nobody", "flow.py:4"))
    monkeypatch.setattr(Registry, "graph", lambda registry, name, version: Graph(steps))
    with pytest.raises(
        DefinitionError,
        match=r"'say' \(flow\.py:3\): there is no worker 'helo'(.|\n)*'ask' .*: there is no workflow 'nobody'",
    ):
        validate_definitions(globals())
