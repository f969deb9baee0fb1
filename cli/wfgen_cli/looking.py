"""One look at a project: the findings of all that `wfgen check` asks, each part imported when it is wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wfgen_cli.failures import ArgumentError

if TYPE_CHECKING:
    from wfgen.errors import WfgenError
    from wfgen.settings import Settings
    from wfgen_cli.compatibility import Compatibility
    from wfgen_inspector import Diagnostic, Inspection
    from wfgen_inspector.sources import Edited


@dataclass(frozen=True)
class Wanted:
    """What is looked for beside the inspector's own findings. Each part adds its options here."""

    files: tuple[str, ...] = ()
    """Only findings in these files and folders, POSIX, relative to the project; none for all."""
    types: bool = True
    """Whether mypy is asked as well."""
    against: str | None = None
    """A release to compare with, or `store`; None for the project's lock file, if there is one."""
    live: bool = False
    """Whether runs in flight are looked at."""


@dataclass(frozen=True)
class Look:
    """What was found."""

    inspection: Inspection
    diagnostics: tuple[Diagnostic, ...]
    """Of all parts, in output order."""
    files: tuple[str, ...] = ()
    """Files and folders that were named; empty for all."""
    failure: WfgenError | None = None
    """Why a part could not say anything; to be raised when the findings of the others have been told."""
    compatibility: Compatibility | None = None
    """What was compared with; None if nothing was."""


def look(settings: Settings, wanted: Wanted, edited: Edited | None = None) -> Look:
    """Look at a project.

    Args:
        settings: of the project.
        wanted: what is looked for.
        edited: what counts in place of what is on disk.
    """
    from wfgen_inspector import inspect
    from wfgen_inspector.diagnostics import ordered

    inspection = inspect(settings, edited=edited)
    found: list[Diagnostic] = list(inspection.diagnostics)
    compatibility = _compatibility(settings, wanted, inspection, edited)
    if compatibility is not None:
        found += compatibility.diagnostics
    failure: WfgenError | None = None
    # mypy reads what is on disk, and nothing of what it finds has a fix.
    if wanted.types and edited is None:
        types, failure = _types(settings, inspection)
        found += types
    return Look(inspection, ordered(_of_files(found, wanted)), wanted.files, failure, compatibility)


def _compatibility(
    settings: Settings, wanted: Wanted, inspection: Inspection, edited: Edited | None
) -> Compatibility | None:
    from wfgen_inspector.compatibility import LOCK

    if wanted.against is None and not wanted.live and not (settings.project / LOCK).exists():
        return None
    from wfgen_cli.compatibility import compared

    return compared(settings, inspection, against=wanted.against, live=wanted.live, edited=edited)


def _types(settings: Settings, inspection: Inspection) -> tuple[Sequence[Diagnostic], WfgenError | None]:
    from wfgen_cli.failures import TypeCheckError
    from wfgen_cli.typechecking import type_findings

    try:
        return type_findings(settings, inspection), None
    except TypeCheckError as error:
        return (), error


def named(paths: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Files and folders that were named on the command line, as findings have them.

    Args:
        paths: as they were typed.
        settings: of the project.

    Raises:
        ArgumentError: one of them does not exist, or does not belong to the project.
    """
    return tuple(dict.fromkeys(_named(path, settings) for path in paths))


def _named(path: str, settings: Settings) -> str:
    if not os.path.exists(path):
        raise ArgumentError(f"{path} does not exist.", hint="Give files and folders of the project.")
    # Links in the way to the project are no reason not to find a file in it.
    for root in (settings.project, settings.import_root):
        for given, folder in ((os.path.abspath(path), str(root)), (os.path.realpath(path), os.path.realpath(root))):
            if Path(given).is_relative_to(folder):
                inside = Path(os.path.relpath(given, folder))
                return Path(os.path.relpath(root / inside, settings.project)).as_posix()
    raise ArgumentError(f"{path} lies outside the project {settings.project}.", hint="Give the project: --project.")


def _of_files(found: Sequence[Diagnostic], wanted: Wanted) -> Sequence[Diagnostic]:
    return [d for d in found if is_among(d.file, wanted.files)] if wanted.files else found


def is_among(file: str, names: Sequence[str]) -> bool:
    """Whether a file is one of those named, or lies in a folder among them; all relative to the project."""
    return any(name in (file, ".") or file.startswith(f"{name}/") for name in names)
