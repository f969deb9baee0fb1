"""`[tool.wfgen.determinism]`: what a project adds to the table of impure symbols, and takes from it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wfgen.errors import ConfigurationError
from wfgen.settings import Determinism, Settings
from wfgen_inspector.diagnostics import Diagnostic
from wfgen_inspector.inspection import inspect

Make = Callable[..., Settings]

FILES = {
    "flows/__init__.py": "",
    "flows/clock.py": """\
        import time


        def read():
            return time.monotonic()


        class Clock:
            def now(self):
                return time.time()
        """,
    "flows/flow.workflow.py": """\
        import acme.api
        from acme import Client
        from flows.clock import Clock, read
        from wfgen import Workflow, define_workflow


        @define_workflow
        async def flow(workflow: Workflow) -> None:
            read()
            Clock().now()
            acme.api.call()
            Client().send()
        """,
}


def found(make: Make, **lists: tuple[str, ...]) -> list[tuple[int, str]]:
    """Lines and codes of the findings."""
    settings = make(FILES, determinism=Determinism(**lists))
    return [(d.line, d.code) for d in inspect(settings, cache=False).diagnostics if d.code.startswith("WF2")]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, [(9, "WF201"), (10, "WF201")]),
        ({"pure": ("time.monotonic",)}, [(10, "WF201")]),
        ({"pure": ("time.*",)}, []),
        ({"pure": ("flows.clock.read",)}, [(10, "WF201")]),
        ({"pure": ("flows.clock.Clock.now",)}, [(9, "WF201")]),
        ({"pure": ("flows.clock.*",)}, []),
        ({"pure": ("flows.clock",)}, [(9, "WF201"), (10, "WF201")]),
        ({"pure": ("flows.*",), "impure": ("acme.api.call",)}, [(11, "WF204")]),
        ({"pure": ("time.*",), "impure": ("acme.*",)}, [(11, "WF204"), (12, "WF204")]),
        ({"pure": ("time.*",), "impure": ("acme.Client.send",)}, [(12, "WF204")]),
        ({"pure": ("time.*",), "impure": ("flows.clock.read",)}, [(9, "WF204")]),
    ],
)
def test_pure_and_impure(make: Make, lists: dict[str, tuple[str, ...]], expected: list[tuple[int, str]]) -> None:
    """Qualified names, of the project and outside of it, are taken from the table or added to it."""
    assert found(make, **lists) == expected


def test_message(make: Make) -> None:
    """What the settings declare impure says so."""
    settings = make(FILES, determinism=Determinism(pure=("time.*",), impure=("acme.api.call",)))
    (finding,) = (d for d in inspect(settings, cache=False).diagnostics if d.code == "WF204")
    assert finding.message == "`acme.api.call()` calls what the settings declare impure."
    assert finding.hint == "`impure` in `[tool.wfgen.determinism]` names it: do it in a step."


def test_cached_findings_follow_the_settings(make: Make) -> None:
    """Changed settings make cached facts stale."""

    def lines(settings: Settings) -> list[int]:
        kept: tuple[Diagnostic, ...] = inspect(settings).diagnostics
        return [d.line for d in kept if d.code.startswith("WF2")]

    settings = make(FILES)
    assert lines(settings) == [9, 10]
    assert lines(settings.model_copy(update={"determinism": Determinism(pure=("time.*",))})) == []
    assert lines(settings) == [9, 10]


def load(folder: Path, table: str) -> Settings:
    """Settings of a project with this table."""
    (folder / "pyproject.toml").write_text(f"[tool.wfgen.determinism]\n{textwrap.dedent(table)}")
    return Settings.load(folder)


def test_settings_file(tmp_path: Path) -> None:
    """The table is read from `pyproject.toml`."""
    settings = load(tmp_path, 'pure = ["flows.clock.read", "time.*"]\nimpure = ["acme.api.call"]\n')
    assert settings.determinism == Determinism(pure=("flows.clock.read", "time.*"), impure=("acme.api.call",))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('pure = ["flows clock"]', "'flows clock' is no qualified name"),
        ('pure = ["open"]', "'open' is no qualified name"),
        ('impure = ["a.*.b"]', "is no qualified name"),
        ('pure = "time.time"', "pure"),
        ('unpure = ["time.time"]', "unpure"),
    ],
)
def test_bad_settings(tmp_path: Path, table: str, problem: str) -> None:
    """A name that is none, a value of another type and an unknown key are errors that name the place."""
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, table)
    assert "determinism" in str(raised.value)
    assert problem in str(raised.value)
