"""The pytest plugin: a test engine for each test that asks for the fixture `wf`.

A coroutine test that asks for it finds it open. It runs under whatever runs coroutine tests in the project
(pytest-asyncio, anyio), or, if nothing does, on a loop of its own. A plain test plays a scenario:
`wf.run_scenario(coroutine_function)`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from pathlib import Path
from typing import Any

import pytest

FIXTURE = "wf"
OTHERS = ("asyncio", "anyio", "trio", "twisted")
"""Markers by which other plugins know their coroutine tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the one setting."""
    parser.addini(
        "wfgen_package", "Import name of the generated package that the fixture `wf` works, if it cannot be found."
    )


@pytest.fixture(scope="session")
def wfgen_definitions(pytestconfig: pytest.Config) -> Any:
    """What the fixture `wf` works: the project's generated package. Override it to test other definitions.

    It is what the option `wfgen_package` names, or what is found in the project around the rootdir.
    """
    from wfgen.registry import load_registry
    from wfgen.settings import Settings

    settings = Settings.load(pytestconfig.rootpath)
    package = pytestconfig.getini("wfgen_package") or _found(settings.project, settings.import_root, settings.output)
    return load_registry(settings, package)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "wfgen(**options): options of the TestEngine that the fixture `wf` gives.")


@pytest.fixture
def wf(request: pytest.FixtureRequest, wfgen_definitions: Any, pytestconfig: pytest.Config) -> Any:
    """A TestEngine of its own for each test; a coroutine test finds it open.

    Its options are those of the marker: `@pytest.mark.wfgen(replay="always")`.
    """
    from wfgen.settings import Settings
    from wfgen.testing.engine import TestEngine

    options: dict[str, Any] = {"settings": Settings.load(pytestconfig.rootpath)}
    for marker in reversed(list(request.node.iter_markers("wfgen"))):  # the closest one last
        options.update(marker.kwargs)
    return TestEngine(wfgen_definitions, **options)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Open the engine around a coroutine test that asks for it, before whatever runs coroutine tests sees it."""
    if not isinstance(item, pytest.Function) or FIXTURE not in item.fixturenames:
        return
    test = item.obj
    if not inspect.iscoroutinefunction(test):
        return

    @functools.wraps(test)
    async def opened(*arguments: Any, **given: Any) -> None:
        from wfgen.testing.engine import TestEngine

        engine = given.get(FIXTURE, item.funcargs.get(FIXTURE))
        if not isinstance(engine, TestEngine):  # the project has a fixture of that name of its own
            await test(*arguments, **given)
            return
        async with engine:
            await test(*arguments, **given)

    item.obj = opened


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that asks for the engine, unless another plugin does."""
    test = pyfuncitem.obj
    if FIXTURE not in pyfuncitem.fixturenames or not inspect.iscoroutinefunction(test):
        return None
    if any(pyfuncitem.get_closest_marker(name) is not None for name in OTHERS):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(test(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def _found(project: Path, root: Path, output: str | None) -> str:
    """The import name of the generated package below a project.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if output is not None:
        folders = [project / output]
    else:
        hidden = (".", "node_modules")
        folders = sorted(
            path.parent.parent
            for path in root.rglob("wfgen_gen/manifest/index.json")
            if not any(part.startswith(hidden) for part in path.relative_to(root).parts)
        )
    if len(folders) != 1:
        from wfgen.errors import ConfigurationError

        found = f"{len(folders)} generated packages" if folders else "no generated package"
        raise ConfigurationError(
            f"there is {found} below {root}.",
            hint="Run `wfgen prebuild`, set pytest's option wfgen_package, or override the fixture wfgen_definitions.",
        )
    return ".".join(folders[0].relative_to(root).parts)
