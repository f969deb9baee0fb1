"""The pytest plugin, in a project of its own and a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEFINITIONS = """
from wfgen import Workflow, define_worker, define_workflow

@define_worker("hello")
async def hello(name: str) -> str:
    return f"hello {name}"

@define_workflow
async def greet(workflow: Workflow, name: str) -> str:
    await workflow.sleep("a while", "7d")
    return str(await workflow.do("say", "hello", name))
"""

TESTS = """
import pytest
from wfgen.testing import TestEngine, UnreachedError, WorkerRefusedError

async def test_a_coroutine(wf: TestEngine) -> None:
    assert await wf.execute("greet", "Ada") == "hello Ada"

@pytest.mark.parametrize("name", ["Ada", "Grace"])
async def test_with_parameters_and_fixtures(wf: TestEngine, name: str, tmp_path) -> None:
    mock = wf.mock("hello", side_effect=lambda name: f"{tmp_path.exists()} {name}")
    assert await wf.execute("greet", name) == f"True {name}"
    mock.assert_called_once_with(name)

@pytest.mark.wfgen(real_workers=False)
@pytest.mark.xfail(raises=WorkerRefusedError, strict=True)
async def test_with_options(wf: TestEngine) -> None:
    await wf.execute("greet", "Ada")

class TestInAClass:
    async def test_a_method(self, wf: TestEngine) -> None:
        assert await wf.execute("greet", "Ada") == "hello Ada"

def test_a_plain_function(wf: TestEngine) -> None:
    async def scenario(wf: TestEngine) -> str:
        return await wf.execute("greet", "Ada")
    assert wf.run_scenario(scenario) == "hello Ada"

@pytest.mark.xfail(raises=UnreachedError, strict=True)
async def test_that_checks_at_its_end(wf: TestEngine) -> None:
    wf.crash_after("nothing")
"""

OTHER_PLUGIN = '''
import asyncio, functools, inspect
import pytest
from definitions import *
import definitions

@pytest.fixture(scope="session")
def wfgen_definitions():
    return definitions

class Coroutine(pytest.Function):
    """As pytest-asyncio in its automatic mode: it makes the test a plain function when it runs it."""
    def runtest(self):
        test = self.obj
        @functools.wraps(test)
        def run(*args, **kwargs):
            with asyncio.Runner() as runner:
                (self.path.parent / "taken").touch()
                runner.run(test(*args, **kwargs))
        self.obj = run
        super().runtest()

@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    if TAKES and name.startswith("test") and inspect.iscoroutinefunction(obj):
        return _items(collector, name, obj)

def _items(collector, name, obj):
    return [Coroutine.from_parent(collector, name=i.name, callspec=getattr(i, "callspec", None), callobj=i.obj,
            fixtureinfo=i._fixtureinfo, keywords=i.keywords, originalname=i.originalname)
            for i in collector._genfunctions(name, obj)]
'''


def run_pytest(folder: Path, *arguments: str) -> str:
    """Run a pytest of its own over a folder; it must pass."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "WFGEN_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("taken", [False, True])
def test_the_fixture_serves_coroutines_and_plain_functions(tmp_path: Path, taken: bool) -> None:
    """A21: the engine is open in coroutine tests, whether another plugin runs them or none; nothing warns."""
    (tmp_path / "definitions.py").write_text(DEFINITIONS)
    (tmp_path / "conftest.py").write_text(f"TAKES = {taken}\n{OTHER_PLUGIN}")
    (tmp_path / "test_flows.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    assert "5 passed, 2 xfailed" in run_pytest(tmp_path)
    assert (tmp_path / "taken").exists() == taken


def test_the_plugin_costs_little_where_it_is_not_used() -> None:
    """A21: pytest starts without the engine, pydantic or the store being imported."""
    code = """
import sys, wfgen.pytest_plugin
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("pydantic", "sqlite3", "wfgen")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["wfgen", "wfgen.pytest_plugin"]


def test_testing_needs_no_pytest() -> None:
    """A21: wfgen.testing serves other test runners too, and `import wfgen` does not load it."""
    code = """
import sys, wfgen.engine
assert "wfgen.testing" not in sys.modules
import wfgen.testing
print("pytest" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
