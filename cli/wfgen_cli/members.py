"""The processes that work a store: where they run, what they serve and hold, and whether they live."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wfgen.store.processes import host_identity, is_gone
from wfgen.store.protocol import Held

if TYPE_CHECKING:
    from wfgen.store.protocol import ProcessRecord, Store

State = Literal["live", "lapsed", "ended"]
"""`lapsed`: its lease is over and nobody has taken its work over yet; `ended`: it is known to have died."""


@dataclass(frozen=True)
class Member:
    """One process that has registered itself and not left."""

    process: ProcessRecord
    lease_until: float
    """In seconds since the epoch, by the store's clock."""
    state: State
    runs: int
    """That it holds."""
    jobs: int
    """That it holds."""
    workflows: tuple[tuple[str, str], ...] | None
    """Name and version of those whose runs it works; None if it does not say."""
    workers: tuple[str, ...] | None
    """Ids of those whose jobs it takes; None if it does not say."""
    queues: tuple[str, ...] | None
    """Names, or beginnings that end in `*`; None for all."""
    concurrency: int | None
    """Jobs that it works at once."""
    is_own: bool
    """Whether it takes nothing but what is started through it, as `wfgen run` does."""

    @property
    def host(self) -> str:
        """Name of its machine."""
        return self.process.host.partition("/")[0]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.process.process_id} (pid {self.process.pid} on {self.host})"

    def works(self, workflow: str, version: str) -> bool:
        """Whether it works anybody's runs of that version; in doubt it does."""
        return not self.is_own and (self.workflows is None or (workflow, version) in self.workflows)

    def takes(self, worker: str, queue: str) -> bool:
        """Whether it takes anybody's jobs of that worker from that queue; in doubt it does."""
        if self.is_own or (self.workers is not None and worker not in self.workers):
            return False
        return self.queues is None or any(
            queue.startswith(one[:-1]) if one.endswith("*") else queue == one for one in self.queues
        )

    def data(self) -> dict[str, Any]:
        """The same for programs. Times are in seconds since the epoch."""
        process = self.process
        return {
            "process_id": process.process_id,
            "host": self.host,
            "pid": process.pid,
            "wfgen": process.wfgen,
            "state": self.state,
            "started_at": process.started_at,
            "heartbeat_at": process.heartbeat_at,
            "lease_until": self.lease_until,
            "workflows": None
            if self.workflows is None
            else [{"name": name, "version": version} for name, version in self.workflows],
            "workers": self.workers,
            "queues": self.queues,
            "concurrency": self.concurrency,
            "own": self.is_own,
            "runs": self.runs,
            "jobs": self.jobs,
        }


async def members(store: Store) -> list[Member]:
    """The processes of a store, the oldest first."""
    here, now = host_identity(), store.clock.time()
    holdings = await store.holdings()
    found = []
    for process, until in await store.processes():
        state: State = "ended" if is_gone(process, here) else "lapsed" if until < now else "live"
        held = holdings.get(process.process_id, Held(0, 0, 0))
        found.append(Member(process, until, state, held.runs, held.jobs, **_serves(process.serves)))
    return found


def live(found: Sequence[Member]) -> list[Member]:
    """Those of them that live."""
    return [member for member in found if member.state == "live"]


def _serves(text: str) -> dict[str, Any]:
    """What a process says that it takes, as far as it can be read."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        said = {}
    workflows, workers, queues = said.get("workflows"), said.get("workers"), said.get("queues")
    return {
        "workflows": None if workflows is None else tuple((name, version) for name, version in workflows),
        "workers": None if workers is None else tuple(workers),
        "queues": None if queues is None else tuple(queues),
        "concurrency": said.get("concurrency"),
        "is_own": bool(said.get("own")),
    }
