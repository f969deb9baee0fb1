"""The processes that work a store: where they run, what they serve and hold, and whether they live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from wfgen.store.processes import host_identity, is_gone
from wfgen.store.records import Held

if TYPE_CHECKING:
    from wfgen.store.protocol import Store
    from wfgen.store.records import ProcessRecord

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
    unloadable: Mapping[tuple[str, str], str]
    """Name and version of the workflows that it was to work and cannot load, and why."""
    unloadable_workers: Mapping[str, str]
    """The same of workers, by id."""

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

    def cannot_load(self) -> dict[str, list[str]]:
        """What it was to work and cannot load, by the reason."""
        found: dict[str, list[str]] = {}
        for (workflow, version), reason in self.unloadable.items():
            found.setdefault(reason, []).append(f"workflow {workflow!r} version {version!r}")
        for worker, reason in self.unloadable_workers.items():
            found.setdefault(reason, []).append(f"worker {worker!r}")
        return found

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
            "unloadable": {
                "workflows": [
                    {"name": name, "version": version, "reason": reason}
                    for (name, version), reason in self.unloadable.items()
                ],
                "workers": [{"id": id, "reason": reason} for id, reason in self.unloadable_workers.items()],
            },
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


class _Unloadable(BaseModel):
    workflows: tuple[tuple[str, str, str], ...] = ()
    workers: tuple[tuple[str, str], ...] = ()


class _Serves(BaseModel):
    """What a process says that it takes."""

    workflows: tuple[tuple[str, str], ...] | None = None
    workers: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    concurrency: int | None = None
    own: bool = False
    unloadable: _Unloadable = _Unloadable()


def _serves(text: str) -> dict[str, Any]:
    """What a process says that it takes; nothing if it cannot be understood, such as that of another wfgen."""
    try:
        said = _Serves.model_validate_json(text)
    except ValidationError:
        said = _Serves()
    return {
        "workflows": said.workflows,
        "workers": said.workers,
        "queues": said.queues,
        "concurrency": said.concurrency,
        "is_own": said.own,
        "unloadable": {(name, version): reason for name, version, reason in said.unloadable.workflows},
        "unloadable_workers": dict(said.unloadable.workers),
    }
