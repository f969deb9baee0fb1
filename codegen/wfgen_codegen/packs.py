"""Templates: the default pack, and what a project puts in its place.

`templates` in the settings is a folder of the project, or else the name of an entry point in the group
`wfgen.templates`, which leads to a package that holds the templates. Either way each `<name>.jinja` in it replaces
the default one of that name, and the others stay.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jinja2

from wfgen.errors import ConfigurationError
from wfgen.settings import Settings
from wfgen_codegen.errors import TemplateError
from wfgen_codegen.quoting import FILTERS, SEAL, Code, finalize
from wfgen_templates import FOLDER

GROUP = "wfgen.templates"

Render = Callable[[str, Any], str]
"""From a template's name without `.jinja`, and its view, to text."""


def renderer(settings: Settings) -> Render:
    """Load the templates that a project uses.

    Raises:
        ConfigurationError: `templates` leads nowhere, or a template there replaces none of the default ones.
        TemplateError: a template cannot be read.
    """
    folders = [FOLDER]
    if settings.templates is not None:
        folders.append(_replacement(settings, settings.templates))
    sources: dict[str, tuple[str, str]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.jinja")):
            if folder is not FOLDER and path.name not in sources:
                close = difflib.get_close_matches(path.name, sources, n=1) or sorted(sources)
                raise ConfigurationError(
                    f"{path} replaces no template.", hint=f"Templates are replaced by name: {', '.join(close)}."
                )
            try:
                sources[path.name] = (str(path), path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise TemplateError(f"the template {path} cannot be read: {error}.") from None
    environment = _environment(tuple((name, *source) for name, source in sources.items()))

    def render(name: str, view: Any) -> str:
        try:
            return environment.get_template(f"{name}.jinja").render(module=view, seal=Code(SEAL))
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"the template {error.filename}, line {error.lineno}: {error.message}.") from None
        except (jinja2.TemplateError, TypeError, AttributeError, ValueError) as error:
            raise TemplateError(f"the template {sources[f'{name}.jinja'][0]} failed: {error}.") from None

    return render


@lru_cache(maxsize=2)
def _environment(sources: tuple[tuple[str, str, str], ...]) -> jinja2.Environment:
    """Compiled templates live as long as the process, and are compiled again when a text changes."""
    files = {name: (path, text) for name, path, text in sources}

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        return (files[name][1], files[name][0], lambda: True) if name in files else None

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        finalize=finalize,
    )
    environment.filters.update(FILTERS)
    return environment


def _replacement(settings: Settings, name: str) -> Path:
    folder = settings.project / name
    if folder.is_dir():
        return folder
    for point in entry_points(group=GROUP):
        if point.name == name:
            package = point.load()
            return Path(package.__file__).parent
    raise ConfigurationError(
        f"bad setting 'templates': {folder} is no folder, and no installed pack is called {name!r}.",
        hint="Give a folder relative to the project, or install the pack.",
    )
