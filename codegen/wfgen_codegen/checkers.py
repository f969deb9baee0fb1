"""How a type checker has to be called on a project, whose files have names that no module has.

mypy takes `flows/a.workflow.py` for a module `a.workflow`, so that `a/x.workflow.py` and `b/x.workflow.py` collide,
and `mypy -p flows` skips both. Told the files by path, and that packages begin at the import root, it gives each a
module name of its own: `a.x.workflow`, `b.x.workflow`. pyright checks them as it finds them.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from wfgen.manifest import Manifest
from wfgen.settings import Settings


@dataclass(frozen=True, slots=True)
class MypyCall:
    """How to run mypy on one project, besides the project's own configuration and strictness."""

    options: tuple[str, ...]
    files: tuple[str, ...]
    """The workflow and worker files and the generated package, relative to the project root."""
    environment: dict[str, str]
    """Variables to set."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options, then files."""
        return (*self.options, *self.files)


def mypy_call(
    manifest: Manifest, settings: Settings, *, overlay: Path | None = None, generated: Collection[str] | None = None
) -> MypyCall:
    """Make the call for mypy, to be run in the project root.

    Args:
        manifest: says which files there are.
        settings: says where imports start.
        overlay: absolute folder that comes before the import root: the generated package is taken from it.
        generated: paths in the generated package, of which its modules are named one by one; None names the folder.
            A module with a stub is named by its stub.
    """
    root = str(settings.import_root)
    output = manifest.output
    if overlay is not None:
        output = (overlay / os.path.relpath(settings.project / manifest.output, root)).as_posix()
    if generated is None:
        package = [output]
    else:
        modules = [path for path in generated if path.endswith((".py", ".pyi")) and f"{path}i" not in generated]
        package = [f"{output}/{path}" for path in sorted(modules)]
    paths = [*([] if overlay is None else [str(overlay)]), root, os.environ.get("MYPYPATH", "")]
    return MypyCall(
        options=("--namespace-packages", "--explicit-package-bases"),
        files=(*sorted(source.file for source in manifest.files), *package),
        environment={"MYPYPATH": os.pathsep.join(path for path in paths if path)},
    )
