"""How much of a project's workflows the graphs show."""

from __future__ import annotations

from dataclasses import dataclass

from wfgen.manifest import Manifest, Opaque, Parallel, Step, Use, walk


@dataclass(frozen=True, slots=True)
class Coverage:
    """Uses of the handle, counted over workflows."""

    workflows: int
    steps: int
    """Durable operations, `parallel` included."""
    uses: int
    """Plain uses such as `log` and `now`."""
    opaque: int
    """Regions that cannot be followed."""

    @property
    def percent(self) -> float:
        """Share of the uses that the graphs show, 0 to 100; 100 when there is none."""
        seen = self.steps + self.uses
        total = seen + self.opaque
        return 100.0 * seen / total if total else 100.0


def coverage(manifest: Manifest) -> Coverage:
    """Count what the graphs of all workflows show, and where they show nothing."""
    steps = uses = opaque = 0
    for workflow in manifest.workflows:
        for node in walk(workflow.body):
            match node:
                case Step():
                    steps += 1
                case Parallel(form="parallel"):
                    steps += 1
                case Use():
                    uses += 1
                case Opaque():
                    opaque += 1
                case _:
                    pass
    return Coverage(len(manifest.workflows), steps, uses, opaque)
