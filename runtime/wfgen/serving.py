"""What a process takes of the work that there is: which workflows' runs, and which workers' jobs from which queues."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wfgen.errors import ConfigurationError

if TYPE_CHECKING:
    from wfgen.loading import Unloadable
    from wfgen.registry import Registry

REASON = 500
"""Characters that are said of why a source does not load."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The part of the work that a process takes; by default all that its registry has the code for."""

    workflows: Collection[str] | None = None
    """Names of the workflows whose runs it works; None for all, none at all for a process that works jobs alone."""
    workers: Collection[str] | None = None
    """Ids of the workers whose jobs it takes; None for all."""
    queues: Collection[str] | None = None
    """Queues that it takes jobs from, by name or by a beginning that ends in `*`; None for all."""
    concurrency: int | None = None
    """How many runs, and how many jobs, it works at once; None for the settings `concurrency` and `job_concurrency`."""

    def takes(self, workflow: str) -> bool:
        """Whether it works the runs of a workflow."""
        return self.workflows is None or workflow in self.workflows

    @property
    def takes_runs(self) -> bool:
        """Whether it works runs at all."""
        return self.workflows is None or bool(self.workflows)

    @property
    def takes_jobs(self) -> bool:
        """Whether it takes jobs at all."""
        return (self.workers is None or bool(self.workers)) and (self.queues is None or bool(self.queues))

    def limited(self, concurrency: int | None) -> Serving:
        """The same, with so many at once if a number is given.

        Raises:
            ConfigurationError: it is less than 1.
        """
        if concurrency is None:
            return self
        if concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency} is too small.", hint="Give 1 or more.")
        return replace(self, concurrency=concurrency)

    def pairs(self, registry: Registry) -> Sequence[tuple[str, str]]:
        """Name and version of the workflows whose runs it works."""
        return [pair for pair in registry.workflows if self.takes(pair[0])]

    def worker_ids(self, registry: Registry) -> Sequence[str]:
        """Ids of the workers whose jobs it takes."""
        return [worker for worker in registry.workers if self.workers is None or worker in self.workers]

    def describe(
        self, registry: Registry, concurrency: int, unloadable: Unloadable | None = None, *, own: bool = False
    ) -> str:
        """As JSON, for others to read: workflows as (name, version), workers, queues (null for all), concurrency.

        Args:
            registry: what there is.
            concurrency: how many jobs at once.
            unloadable: what of it the process cannot load: it is named with the reason instead.
            own: whether it takes these of the runs alone that are started through it, and of their children.
        """
        workflows = {} if unloadable is None else unloadable.workflows
        workers = {} if unloadable is None else unloadable.workers
        return json.dumps(
            {
                "workflows": [pair for pair in self.pairs(registry) if pair not in workflows],
                "workers": [worker for worker in self.worker_ids(registry) if worker not in workers],
                "queues": None if self.queues is None else sorted(self.queues),
                "concurrency": concurrency,
                "own": own,
                "unloadable": {
                    "workflows": [(*pair, reason[:REASON]) for pair, reason in workflows.items()],
                    "workers": [(worker, reason[:REASON]) for worker, reason in workers.items()],
                },
            }
        )
