"""From the manifest to the files of the generated package."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Collection, Iterator
from typing import Any

import pydantic_core

from wfgen.manifest import Manifest, SourceFile
from wfgen.settings import Settings
from wfgen_codegen import modules, ownership, queues, views
from wfgen_codegen.errors import RenderError
from wfgen_codegen.packs import Render, renderer


def render(
    manifest: Manifest,
    settings: Settings,
    *,
    types_only: bool = False,
    only: Collection[str] | None = None,
    shared: bool = True,
) -> dict[str, bytes]:
    """Make all files of the generated package.

    Pure but for reading templates: the same manifest, settings and templates give the same bytes.

    Args:
        manifest: what the inspector found.
        settings: only `templates` matters.
        types_only: leave out what no type checker reads: manifest, diagrams, the modules behind the stubs.
        only: source files whose own outputs are wanted; None for all.
        shared: whether the outputs that belong to no single source are wanted too.

    Returns:
        POSIX path relative to the output folder -> content, sorted by path.

    Raises:
        RenderError: a name, version, type or path in the manifest is none, or two of them collide.
        TemplateError: a template fails.
        ConfigurationError: the setting `templates` leads nowhere.
    """
    text = renderer(settings)
    files: dict[str, bytes] = {}
    for path, content in _files(manifest, text, types_only=types_only, only=only, shared=shared):
        if path in files:
            raise RenderError(f"two definitions would both be written to {path}.", hint="Rename one.")
        files[path] = content
    for path in _folders(files) if shared else ():
        files[path] = ownership.stamp(".py", text("folder.py", views.Folder(posixpath.dirname(path))))
    _check_case(files)
    return dict(sorted(files.items()))


def _files(
    manifest: Manifest, text: Render, *, types_only: bool, only: Collection[str] | None, shared: bool
) -> Iterator[tuple[str, bytes]]:
    if shared:
        yield from _shared(manifest, text, types_only=types_only)
    for entry in modules.latest_workflows(manifest).values():
        if only is not None and entry.file not in only:
            continue
        path, client = modules.client(entry)
        yield path, ownership.stamp(".py", text("client.py", client), entry.file)
    for source in manifest.files:
        if only is not None and source.file not in only:
            continue
        path, file = modules.source_file(manifest, source)
        yield f"{path}.pyi", ownership.stamp(".pyi", text("file.pyi", file), source.file)
        if not types_only:
            yield f"{path}.py", ownership.stamp(".py", text("file.py", file), source.file)
            yield f"manifest/{path}.json", ownership.stamp(".json", _json(source), source.file)
        if source.workflows:
            path, served = queues.queues(source)
            yield path, ownership.stamp(".py", text("queues.py", served), source.file)
    if types_only:
        return
    for entry in manifest.workflows:
        if only is not None and entry.file not in only:
            continue
        path, diagram = modules.diagram(entry)
        yield path, ownership.stamp(".md", text("diagram.md", diagram), entry.file)


def _shared(manifest: Manifest, text: Render, *, types_only: bool) -> Iterator[tuple[str, bytes]]:
    yield (
        "__init__.py",
        ownership.stamp(".py", text("package.py", views.Package(manifest.package, manifest.output.count("/") + 1))),
    )
    yield "registry.py", ownership.seal(text("registry.py", modules.registry(manifest)))
    yield "workflow.py", ownership.seal(text("workflow.py", modules.handle(manifest)))
    yield "workers.py", ownership.seal(text("references.py", modules.workers(manifest)))
    yield "workflows.py", ownership.seal(text("references.py", modules.workflows(manifest)))
    for path, namespace in modules.namespaces(manifest):
        yield path, ownership.seal(text("namespace.py", namespace))
    if not types_only:
        stored = [f"{source.module.replace('.', '/')}.json" for source in manifest.files]
        yield ownership.INDEX, ownership.index(manifest.package, manifest.output, stored, manifest.schema_version)


def _json(source: SourceFile) -> str:
    """What one source file defines, as the JSON that follows the opening line."""
    try:
        return source.model_dump_json(indent=1, exclude_none=True)[2:] + "\n"
    except pydantic_core.PydanticSerializationError:  # a lone surrogate in a literal of the source
        return json.dumps(source.model_dump(mode="python", exclude_none=True), indent=1)[2:] + "\n"


def _folders(files: dict[str, Any]) -> list[str]:
    """The `__init__.py` that folders of modules lack."""
    folders = {"clients", "files", "queues"}
    for path in files:
        if path.endswith((".py", ".pyi")):
            folder = posixpath.dirname(path)
            while folder:
                folders.add(folder)
                folder = posixpath.dirname(folder)
    return [path for folder in sorted(folders) if (path := f"{folder}/__init__.py") not in files]


def _check_case(files: dict[str, bytes]) -> None:
    """Refuse two paths that are one on a file system that ignores case, as those of most laptops do."""
    seen: dict[str, str] = {}
    for path in files:
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            raise RenderError(f"{other} and {path} differ in nothing but case.", hint="Rename one of the definitions.")
