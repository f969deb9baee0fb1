"""The modules of a project, found by import name and parsed when somebody asks: nothing is imported.

Only what lies below the import root counts. Everything else (the standard library, installed packages) is known by
name alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wfgen.settings import Determinism
from wfgen_inspector.discovery import SourcePath
from wfgen_inspector.modules import Module
from wfgen_inspector.parsing import BadSyntaxError, parse
from wfgen_inspector.positions import Text
from wfgen_inspector.sources import Edited, Source, UnreadableError, read

Dependency = tuple[str, str | None]
"""A module's import name and the hash of its content; empty for a folder without `__init__.py`, and None if there is no
such module, or it cannot be read."""


class Program:
    """All modules of one project.

    Args:
        project: absolute project root, to which paths are relative.
        root: absolute folder from which the application imports.
        package: import name of the generated package.
        sources: workflow and worker files; they are modules of the generated package.
        edited: what counts in place of what is on disk.
        determinism: what the settings say workflow code may and must not call.
    """

    def __init__(
        self,
        project: Path,
        root: Path,
        package: str,
        sources: Iterable[SourcePath] = (),
        edited: Edited | None = None,
        determinism: Determinism = Determinism(),  # noqa: B008 - it is frozen
    ) -> None:
        self.determinism = determinism
        self._project = project
        self._edited = edited
        self._root = str(root)
        self.package = package
        """Import name of the generated package."""
        self._sources = {f"{package}.{place.module}" if package else place.module: place for place in sources}
        self.constants: dict[str, object] = {}
        """Values of constants that were looked up, by absolute name."""
        self._modules: dict[str, Module | None] = {}
        self._read: dict[str, tuple[str, Source] | None] = {}
        self._uses: dict[str, set[str]] = {}
        self._folders: dict[str, bool] = {}
        self._current: dict[tuple[Dependency, ...], bool] = {}
        try:
            self._tops = {name.partition(".")[0] for name in os.listdir(root)}
        except OSError:
            self._tops = set()

    def module(self, name: str, asked_by: Module) -> Module | None:
        """The module of that import name, parsed; None if the project has none that can be read.

        Args:
            name: such as `flows.tasks`.
            asked_by: who wants to know: what is known of that file depends on this one from now on.
        """
        if name == asked_by.name:
            return asked_by
        uses = self._uses.setdefault(asked_by.name, set())
        top = name.partition(".")[0]
        if top not in self._tops:
            uses.add(top)  # a module of that name may come to stand before the one that is meant
            return None
        uses.add(name)
        if name not in self._modules:
            self._modules[name] = self._parsed(name)
        return self._modules[name]

    def exists(self, name: str, asked_by: Module) -> bool:
        """Whether the project has a module or a package, with or without `__init__.py`, of that import name."""
        return name == asked_by.name or self.module(name, asked_by) is not None or self._is_folder(name)

    def dependencies(self, name: str) -> tuple[Dependency, ...]:
        """What a module has been found to depend on so far, directly or not, sorted; itself left out."""
        seen: set[str] = set()
        left = [name]
        while left:
            for other in self._uses.get(left.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    left.append(other)
        return tuple((other, self.hash(other)) for other in sorted(seen - {name}))

    def is_current(self, dependencies: tuple[Dependency, ...]) -> bool:
        """Whether every one of some dependencies is still what it was."""
        found = self._current.get(dependencies)
        if found is None:
            found = self._current[dependencies] = all(self.hash(name) == digest for name, digest in dependencies)
        return found

    def hash(self, name: str) -> str | None:
        """Hash of a module's content, see `Dependency`."""
        found = self._source(name)
        if found is None:
            return "" if self._is_folder(name) else None
        return found[1].hash

    def _is_folder(self, name: str) -> bool:
        """Whether a folder has that import name. The generated package is none: it may be there or not."""
        if name not in self._folders:
            self._folders[name] = (
                name.partition(".")[0] in self._tops
                and name != self.package
                and not name.startswith(f"{self.package}.")
                and os.path.isdir(os.path.join(self._root, *name.split(".")))
            )
        return self._folders[name]

    def _source(self, name: str) -> tuple[str, Source] | None:
        """Path and content of a module."""
        if name not in self._read:
            self._read[name] = self._find(name)
        return self._read[name]

    def _find(self, name: str) -> tuple[str, Source] | None:
        place = self._sources.get(name)
        if place is not None:
            candidates = [str(self._project / place.path)]
        elif name.partition(".")[0] not in self._tops or not all(map(str.isidentifier, name.split("."))):
            return None
        elif name == self.package or name.startswith(f"{self.package}."):
            return None  # what is generated follows from the sources, and may be of yesterday
        else:
            base = os.path.join(self._root, *name.split("."))
            candidates = [os.path.join(base, "__init__.py"), f"{base}.py"]
        for path in candidates:
            if os.path.isfile(path):
                try:
                    return path, read(Path(path), self._edited)
                except UnreadableError:
                    return None
        return None

    def _parsed(self, name: str) -> Module | None:
        found = self._source(name)
        if found is None:
            return None
        path, source = found
        try:
            text = source.text()
            tree = parse(text)
        except (UnreadableError, BadSyntaxError):
            return None
        place = self._sources.get(name)
        if place is not None:
            package = place.package
        else:
            package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        relative = Path(os.path.relpath(path, self._project)).as_posix()
        return Module(name, relative, package, Text(text), tree)
