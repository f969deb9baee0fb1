"""The store as the engine sees it: atomic transitions, not tables.

Every append is conditional on the run's epoch, which a claim raises: a process that lost a run cannot write to it.
All that comes from outside (a hook's payload, a request to cancel, the end of a child) is a message in the run's inbox;
only the process that holds the run turns messages into events, so a run's history has one writer and one order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol, Unpack

from wfgen.environment import Clock
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.statistics import WorkflowStatistics
from wfgen.store.deployments import DeploymentStore
from wfgen.store.filters import RunFilters
from wfgen.store.jobs import JobStore
from wfgen.store.records import (
    Append,
    Claimed,
    Held,
    HookRecord,
    Message,
    NewRun,
    ProcessRecord,
    RunRecord,
    RunStatus,
    Verdict,
)
from wfgen.store.schemas import SchemaStore


class Store(JobStore, DeploymentStore, SchemaStore, Protocol):
    """What every store does. All coroutines run on the engine's loop; `append` and `renew` are special.

    All methods raise `StoreError` and its kin when the store cannot be used.
    """

    @property
    def clock(self) -> Clock:
        """The clock of all times that it records: the environment's, or the database's once it is open."""
        ...

    async def open(self) -> None:
        """Connect, create or migrate the schema.

        One that was made for reading alone (`open_store(..., read_only=True)`) does neither, and refuses all that
        writes with a StoreError.

        Raises:
            StoreVersionError: its schema is newer, or, to one for reading alone, older than this wfgen's.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and disconnect."""
        ...

    async def create(self, new: NewRun, owner: str | None = None) -> tuple[RunRecord, bool]:
        """Record a new run and its `run_started` event, or return the one that has the idempotency key.

        With an `owner` a new run is claimed for that process in the same transaction, if its lease stands.
        Returns the record and whether it was created now. Raises ConflictError when the key belongs to a run
        with another input (compared byte for byte) or version.
        """
        ...

    def append(self, append: Append, done: Callable[[Verdict], None]) -> None:
        """Queue an append; `done` is called on the engine's loop once it is durable or refused.

        Appends of all runs that wait at the same time are committed together; each has its own verdict. Appends of
        one run are recorded in the order of the calls; after one is refused, later ones of that epoch are too.
        Events carry their seq; a gap or a repetition is a refusal.
        """
        ...

    async def register(self, process: ProcessRecord, lease: float) -> None:
        """Announce a process, with a lease in seconds."""
        ...

    def renew(self, process_id: str, lease: float) -> bool:
        """Renew a process's lease. Called from the heartbeat thread. False: the lease had lapsed and was taken."""
        ...

    async def leave(self, process_id: str) -> None:
        """End a process's lease; its runs become claimable at once."""
        ...

    async def claim(
        self,
        process_id: str,
        workflows: Collection[tuple[str, str]],
        limit: int,
        families: Collection[RunId] | None = None,
    ) -> list[Claimed]:
        """Take up to `limit` runs of these (name, version) pairs that are due and that no live process holds.

        Due is an unfinished run that does not wait, one whose `wake_at` has come, and one with a message that came
        after it was parked. The longest overdue come first, else the oldest. Raises each one's epoch, sets it to this
        process, and records `run_claimed` if another process held it last. With `families` only these runs, their
        children and theirs are taken.
        """
        ...

    async def next_wake(
        self, workflows: Collection[tuple[str, str]], families: Collection[RunId] | None = None
    ) -> float:
        """When the next run that could be claimed so is due and nobody holds it; infinite if none is."""
        ...

    async def release(self, run_id: RunId, epoch: int, *, wake_at: float = 0.0, seen: int = 0) -> float:
        """Give a run back, so that any process may claim it from `wake_at` on, in seconds since the epoch.

        A message with a number above `seen` makes it due at once. Returns when it is due; infinite too if another
        process has it by now, and nothing happened.
        """
        ...

    async def send(
        self,
        kind: Literal["hook", "cancel", "pause", "resume"],
        *,
        run_id: RunId | None = None,
        token: str | None = None,
        name: str | None = None,
        payload: bytes | None = None,
    ) -> Literal["sent", "duplicate"]:
        """Put a message in a run's inbox; hooks by token, or by run and hook name.

        `duplicate`: the hook of that token was resumed before, or a message for it waits; nothing changes.
        `pause` and `resume` take effect at once on a run that nobody holds; they are duplicates when it is so already.
        A request to cancel ends a pause.

        Raises:
            UnknownHookError: no hook has the token, or it timed out or was closed.
            UnknownRunError: no such run.
            RunStateError: it is finished.
        """
        ...

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """End a run where it stands; whoever holds it loses it. Its hooks are closed, its parent and children told.

        Raises:
            UnknownRunError: no such run.
            RunStateError: it is finished.
        """
        ...

    async def retry(self, run_id: str) -> None:
        """Record `run_retried` of a failed run, and make it one that waits to be claimed.

        Hooks, children and messages are brought in line with what counts of the history from then on.

        Raises:
            UnknownRunError: no such run.
            RunStateError: it has not failed, or its steps were undone.
        """
        ...

    async def rollback(self, run_id: str, to: int, *, compensate: bool = False, keep: int | None = None) -> None:
        """Record `rolled_back`, or with `compensate` a `rollback_requested`; the run, finished or not, goes on there.

        Whoever holds it loses it; a request to cancel that is not answered yet stays. `keep` is how many checkpoints
        are kept; None for all.

        Raises:
            UnknownRunError: no such run.
            RunStateError: the event of that seq is no checkpoint that it can be taken back to.
        """
        ...

    async def fork(
        self, run_id: str, at: int, new: NewRun, *, replace_input: bool = False, keep: int | None = None
    ) -> tuple[RunRecord, bool]:
        """Record a new run that begins with the history of another one, up to the event `at`.

        It has the input of the other one unless that is replaced. Returns its record and whether it was created now:
        not when its idempotency key belongs to the same fork.

        Raises:
            UnknownRunError: no such run.
            RunStateError: the event of that seq is no checkpoint that it can be forked at.
            ConflictError: the key belongs to another run.
        """
        ...

    async def epochs(self, run_ids: Collection[str]) -> dict[str, int]:
        """The epochs of runs, by id."""
        ...

    async def finished(self, run_ids: Collection[str]) -> set[str]:
        """Those of some runs that are finished, or not there any more."""
        ...

    async def messages(
        self, process_id: str, *, after: int = 0, run_id: RunId | None = None
    ) -> tuple[list[Message], int]:
        """Messages for runs that this process holds, oldest first, and a mark.

        Args:
            process_id: the process.
            after: the mark of its last reading: what was told then may be left out, all that came since is told. A
                message may be told twice.
            run_id: default all of its runs.
        """
        ...

    def on_change(self, callback: Callable[[Collection[str]], None]) -> None:
        """Call `callback` on the engine's loop soon after another process (or another connection) has written, with
        those of ANY_CHANGE that it may have done."""
        ...

    async def get_run(self, run_id: str) -> RunRecord:
        """Raises UnknownRunError."""
        ...

    async def list_runs(self, *, limit: int = 100, **filters: Unpack[RunFilters]) -> list[RunRecord]:
        """Runs that fit all filters, newest first; none of these reads all runs. Page with `before`.

        Raises:
            UnknownRunError: there is no run `before`.
        """
        ...

    async def workflows(self) -> Sequence[tuple[str, str]]:
        """Name and version of the workflows that have runs here, sorted."""
        ...

    async def statistics(
        self,
        *,
        workflow: str | None = None,
        version: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Sequence[WorkflowStatistics]:
        """How the runs went that were started since a time and before another, both in seconds since the epoch.

        One for each version of each workflow that has runs then, sorted.
        """
        ...

    async def prune(
        self, before: float, statuses: Collection[RunStatus] | None = None, *, limit: int = 100
    ) -> Sequence[str]:
        """Remove finished runs that ended before a time, with all that is recorded of them; gives their ids.

        Families go from above: a run stays while its parent is there, which may be retried and hear of it again, and
        until its children and theirs can go as well. Fewer than `limit` may go at once, as long as there are any:
        repeat until none does.
        """
        ...

    async def count_prunable(self, before: float, statuses: Collection[RunStatus] | None = None) -> int:
        """How many runs repeated `prune` would remove."""
        ...

    async def history(self, run_id: str, *, after: int = 0) -> list[Event]:
        """Events with seq > after. Raises UnknownRunError."""
        ...

    async def hooks(
        self, *, run_id: str | None = None, state: str | None = "open", limit: int = 100
    ) -> Sequence[HookRecord]:
        """Hooks, oldest first."""
        ...

    async def processes(self) -> list[tuple[ProcessRecord, float]]:
        """Known processes with the time at which each one's lease ends."""
        ...

    async def holdings(self) -> Mapping[str, Held]:
        """What each process holds, by its id; only those that hold any."""
        ...
