"""The project that a command works on: its settings, its manifest, its registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfgen.errors import ConfigurationError, UnknownWorkflowError
from wfgen.settings import Settings
from wfgen_cli import freshness
from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
    from wfgen.manifest import Manifest
    from wfgen.registry import Registry


def load_settings(folder: str | None, **arguments: Any) -> Settings:
    """Read the settings of the project around a folder, by default the current one.

    Args:
        folder: in the project.
        arguments: settings that the command line gives; None for those that it does not.

    Raises:
        ArgumentError: there is no such folder.
        ConfigurationError: a setting does not fit.
    """
    if folder is not None and not Path(folder).is_dir():
        raise ArgumentError(f"--project {folder} is no folder.", hint="Give the folder that holds pyproject.toml.")
    return Settings.load(None if folder is None else Path(folder), **arguments)


def output_folder(settings: Settings) -> Path:
    """The folder of the generated package, whether it exists or not."""
    known = freshness.last_output(settings.project) if settings.output is None else None
    if known is not None:
        return known
    from wfgen_inspector.discovery import discover

    return settings.project / discover(settings).output


def stored_manifest(settings: Settings) -> Manifest:
    """The manifest of the generated package.

    Raises:
        ConfigurationError: nothing has been generated yet.
        StoredManifestError: what was generated is damaged.
    """
    from wfgen_codegen.stored import load_manifest

    output = output_folder(settings)
    if not (output / "manifest" / "index.json").is_file():
        raise ConfigurationError(f"there is no generated package in {output} yet.", hint="Run `wfgen prebuild`.")
    return load_manifest(output)


def warn_of_changes(settings: Settings) -> None:
    """Say that sources have changed since the package was generated, where that can be told at once."""
    from wfgen_cli.failures import tell
    from wfgen_cli.terminal import printable

    changed = freshness.changed_sources(settings)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        message = f"{printable(changed[0])}{more} changed since the package was generated: run `wfgen prebuild`."
        tell("WF601", message, severity="warning")


def load_registry(settings: Settings) -> Registry:
    """Import the project's generated registry.

    Raises:
        ConfigurationError: nothing has been generated yet.
        DefinitionError: the generated package cannot be imported.
    """
    from wfgen import registry
    from wfgen.loading import unloadable

    package = stored_manifest(settings).package
    try:
        return registry.load_registry(settings, package)
    except Exception as error:
        raise unloadable(f"the generated package {package}", error) from error


def registry_if_any(settings: Settings) -> Registry:
    """The project's registry, or an empty one where nothing has been generated.

    Raises:
        DefinitionError: the generated package cannot be imported.
    """
    from wfgen.registry import Registry
    from wfgen_codegen.errors import StoredManifestError

    try:
        return load_registry(settings)
    except (ConfigurationError, StoredManifestError):
        return Registry("")


def load_definition(registry: Registry, name: str, version: str | None = None, *, workers: bool = False) -> None:
    """Execute the source of a workflow, so that what is wrong with it is told before a run begins.

    Args:
        registry: of the project.
        name: of the workflow.
        version: default the latest.
        workers: whether those of the workers that it names are executed too, as by whoever works its runs.

    Raises:
        UnknownWorkflowError: there is none of that name or version.
        DefinitionError: its file cannot be executed; the message says where.
    """
    from wfgen.loading import load_workflow

    try:
        load_workflow(registry, name, version, workers=workers)
    except UnknownWorkflowError as error:
        raise UnknownWorkflowError(
            error.message, hint=f"{error.hint} A new one is known after `wfgen prebuild`."
        ) from None
