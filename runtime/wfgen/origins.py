"""Which project the workflows of a store are of: several may share one, and each records what it deploys."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from wfgen.store.deployments import DefinitionRecord

Pair = tuple[str, str]


class Origins:
    """Tells the workflows of other projects from those that this one has, or had once.

    A project is known by its generated package. One that has deployed a version which this project defines, too, counts
    as this project under an earlier name.

    Args:
        definitions: all that were deployed to the store.
        package: import name of this project's generated package.
        known: name and version of the workflows that this project defines.
    """

    def __init__(self, definitions: Sequence[DefinitionRecord], package: str, known: Collection[Pair]) -> None:
        self._of_version: dict[Pair, set[str]] = {}
        self._of_name: dict[str, set[str]] = {}
        for one in definitions:
            origin = package_of(one)
            # In doubt it is ours: nobody else looks after it then.
            self._of_version.setdefault((one.workflow, one.version), set()).add(package if origin is None else origin)
            self._of_name.setdefault(one.workflow, set()).add(package if origin is None else origin)
        self._known = {name for name, _ in known}
        self._own = {package}.union(*(self._of_version.get(pair, ()) for pair in known))

    def stranger(self, workflow: str, version: str) -> str | None:
        """The package of the other project that alone has deployed a version; None if it is ours, or nobody knows."""
        if workflow in self._known:
            return None
        origins = self._of_version.get((workflow, version)) or self._of_name.get(workflow, set())
        return None if origins & self._own else min(origins, default=None)

    def stranger_of_queue(self, queue: str) -> str | None:
        """The same of a queue, by the workflow that it is named after."""
        names = [name for name in {*self._of_name, *self._known} if queue.startswith(f"{name}.")]
        return self.stranger(max(names, key=len), "") if names else None


def package_of(definition: DefinitionRecord) -> str | None:
    """Import name of the generated package that a definition was deployed with; None if that cannot be read."""
    try:
        package = json.loads(definition.manifest)["package"]
    except (ValueError, LookupError, TypeError):
        return None
    return package if isinstance(package, str) else None
