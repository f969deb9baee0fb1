"""How a type checker has to be called on a project, whose files have names that no module has.

mypy takes `flows/a.workflow.py` for a module `a.workflow`, so that `a/x.workflow.py` and `b/x.workflow.py` collide,
and `mypy -p flows` skips both. Told the files by path, and that packages begin at the import root, it gives each a
module name of its own: `a.x.workflow`, `b.x.workflow`. pyright checks them as it finds them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from wfgen.manifest import Manifest
from wfgen.settings import Settings


@dataclass(frozen=True, slots=True)
class MypyCall:
    """How to run mypy on one project, besides the project's own configuration and strictness."""

    arguments: tuple[str, ...]
    """Options, then the workflow and worker files and the generated package, relative to the project root."""
    environment: dict[str, str]
    """Variables to set."""


def mypy_call(manifest: Manifest, settings: Settings) -> MypyCall:
    """Make the call for mypy, to be run in the project root.

    Args:
        manifest: says which files there are.
        settings: says where imports start.
    """
    files = [source.file for source in manifest.files]
    paths = [str(settings.import_root), os.environ.get("MYPYPATH", "")]
    return MypyCall(
        arguments=("--namespace-packages", "--explicit-package-bases", *sorted(files), manifest.output),
        environment={"MYPYPATH": os.pathsep.join(path for path in paths if path)},
    )
