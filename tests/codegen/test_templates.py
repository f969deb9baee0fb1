"""A project replaces single templates by name."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import pytest

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_codegen import packs, render
from wfgen_codegen.errors import TemplateError
from wfgen_codegen.packs import GROUP
from wfgen_templates import FOLDER


def settings(folder: Path, **templates: str) -> Settings:
    for name, text in templates.items():
        path = folder / "templates" / f"{name.replace('__', '.')}.jinja"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Settings(project=folder, templates="templates")


def test_one_template_is_replaced(make: Any, tmp_path: Path) -> None:
    """The named template changes its files, all others stay as they are."""
    manifest = make.project(make.workflow("a"))
    usual = render(manifest, make.settings)
    changed = render(manifest, settings(tmp_path, diagram__md="# {{ module.name | markdown }}\n"))
    assert {path for path in usual if usual[path] != changed[path]} == {"diagrams/a@1.md"}
    assert changed["diagrams/a@1.md"].endswith(b"-->\n# a\n")


def test_an_edited_template_is_read_again(make: Any, tmp_path: Path) -> None:
    """Within one process, as in watching, a changed template takes effect."""
    manifest = make.project(make.workflow("a"))
    for text in (b"one", b"two"):
        files = render(manifest, settings(tmp_path, diagram__md=f"{text.decode()}\n"))
        assert files["diagrams/a@1.md"].endswith(text + b"\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ module.nmae | py }}", "nmae"),
        ("{{ module.name }}", "needs a filter"),
        ("{{ unknown }}", "unknown"),
        ("{% if %}", "line 1"),
        ("{{ module.name | nothing }}", "nothing"),
    ],
)
def test_faulty_templates_are_named(make: Any, tmp_path: Path, text: str, message: str) -> None:
    """An unknown name, unquoted text or a syntax error gives an error with the template's path."""
    with pytest.raises(TemplateError, match=message) as caught:
        render(make.project(make.workflow("a")), settings(tmp_path, diagram__md=text))
    assert "diagram.md.jinja" in str(caught.value)


def test_misspelt_templates_are_reported(make: Any, tmp_path: Path) -> None:
    """A file that replaces nothing is an error with a suggestion, not silence."""
    with pytest.raises(ConfigurationError, match=r"client\.py\.jinja"):
        render(make.project(), settings(tmp_path, cliant__py=""))


def test_unknown_pack(make: Any, tmp_path: Path) -> None:
    """A setting that leads nowhere names itself."""
    with pytest.raises(ConfigurationError, match="'templates'"):
        render(make.project(), Settings(project=tmp_path, templates="nowhere"))


def test_pack_of_a_third_party(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package offers templates through the entry point group."""
    (tmp_path / "nice_pack").mkdir()
    (tmp_path / "nice_pack" / "__init__.py").write_text("")
    (tmp_path / "nice_pack" / "diagram.md.jinja").write_text("nice\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = importlib.metadata.EntryPoint("nice", "nice_pack", GROUP)
    monkeypatch.setattr(packs, "entry_points", lambda group: [point] if group == GROUP else [])
    files = render(make.project(make.workflow("a")), Settings(project=tmp_path / "project", templates="nice"))
    sys.modules.pop("nice_pack")
    assert files["diagrams/a@1.md"].endswith(b"nice\n")


def test_the_pack_holds_nothing_but_templates() -> None:
    """The distribution of the default pack has no code of its own."""
    names = {path.name for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert {name for name in names if not name.endswith(".jinja")} == {"__init__.py", "py.typed"}
