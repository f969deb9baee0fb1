"""The store as the engine sees it: atomic transitions, not tables.

Every append is conditional on the run's epoch, which a claim raises: a process that lost a run cannot write to it.
All that comes from outside (a hook's payload, a request to cancel, the end of a child) is a message in the run's inbox;
only the process that holds the run turns messages into events, so a run's history has one writer and one order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, Unpack

from wfgen.environment import Clock
from wfgen.errors import WfgenError
from wfgen.events import Event
from wfgen.ids import HookToken, RunId
from wfgen.statistics import WorkflowStatistics
from wfgen.store.deployments import DeploymentStore
from wfgen.store.filters import RunFilters
from wfgen.store.jobs import JobStore, NewJob
from wfgen.store.schemas import SchemaStore

RunStatus = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled", "terminated"]
"""`pending`: nobody has claimed it yet; `waiting`: parked on timers, hooks, children and jobs alone."""

FINISHED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "terminated"})

GIVEN_BACK: frozenset[str] = frozenset({"paused", "pending"})
"""Statuses with which an owner gives a run back in the transaction that records them."""

LEFT_ALONE = 10.0
"""Seconds after which a run that a process cannot read is tried again, there or by another one."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be created, with its first event."""

    run_id: RunId
    workflow: str
    version: str
    input: bytes | None
    """Encoded JSON; None when the workflow takes no input."""
    salt: str
    """Random text from which the run's hook tokens derive."""
    idempotency_key: str | None = None
    """At most one run per workflow and key."""
    any_version: bool = False
    """Whether a run of another version, with the same key and input, is the same start."""
    parent: tuple[RunId, str] | None = None
    """Of a child: the run that started it, and the key of its operation."""
    on_parent_end: Literal["cancel", "abandon"] = "abandon"
    """Of a child: what becomes of it when the parent ends first."""
    tags: tuple[str, ...] = ()
    """What it can be found by: its workflow's tags and those of its start, sorted."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The row that summarises a run."""

    run_id: RunId
    workflow: str
    version: str
    status: RunStatus
    input: bytes | None
    """Of the start, or of the last continuation."""
    output: bytes | None
    """Encoded result, once completed."""
    error_type: str | None
    error: str | None
    error_code: str | None
    salt: str
    idempotency_key: str | None
    epoch: int
    """Raised by each claim."""
    claims: int
    """How often in a row a process took the run and neither got further with it nor gave it back."""
    owner: str | None
    """The process that holds it."""
    created_at: float
    updated_at: float
    finished_at: float | None
    parent: RunId | None = None
    """The run that started it as its child."""
    tags: tuple[str, ...] = ()
    """Its workflow's tags and those of its start, sorted."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something from outside for one run, kept until its owner has turned it into an event."""

    id: int
    run_id: RunId
    kind: Literal["hook", "cancel", "child", "job", "pause", "resume"]
    token: str | None
    """Hook: addressed by token; or"""
    name: str | None
    """by the hook's step name: taken by the first open hook of that name, also one opened later. Child and job: the
    key of the operation that started it."""
    payload: bytes | None
    """Hook: what it was resumed with. Child and job: its end, as ChildEnd and JobEnd dump it."""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child run ended, on its way to the parent."""

    status: str
    version: str
    output: bytes | None
    """Encoded result, once completed."""
    type: str | None
    """Class of a result whose workflow declares none, as `module:qualname`."""
    error_type: str | None
    error: str | None
    error_code: str | None

    def dump(self) -> bytes:
        """As bytes: a line of JSON, then the output as it is."""
        head = [self.status, self.version, self.type, self.error_type, self.error, self.error_code]
        return json.dumps(head).encode() + b"\n" + (self.output or b"")

    @classmethod
    def load(cls, dumped: bytes) -> ChildEnd:
        """The opposite of `dump`."""
        head, _, output = dumped.partition(b"\n")
        status, version, type, error_type, error, error_code = json.loads(head)
        return cls(status, version, output or None, type, error_type, error, error_code)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that this process now holds."""

    run: RunRecord
    events: list[Event]
    """All that is recorded of it since it started, or was last continued with a new input."""
    messages: list[Message]
    fault: WfgenError | None = None
    """Why it cannot be read: it is to be given back."""


@dataclass(frozen=True, slots=True)
class HookRecord:
    """A hook that was opened by a run."""

    token: HookToken
    run_id: RunId
    workflow: str
    key: str
    name: str
    due: float | None
    """Deadline in seconds since the epoch."""
    state: Literal["open", "resumed", "timed_out", "closed"]
    created_at: float


@dataclass(slots=True)
class Append:
    """Events of one run, to be recorded together with what follows from them, or not at all.

    A `run_continued` event is the last of its append: the run's open hooks are closed, and whoever claims the run is
    given the events from it on.
    """

    run_id: RunId
    epoch: int
    events: list[Event] = field(default_factory=list)
    status: RunStatus | None = None
    """New status, if it changes. A finished one also clears the owner and closes open hooks; `paused` and
    `pending` give the run back."""
    wake_at: float | None = None
    """With status `waiting`: when the run goes on by itself, in seconds since the epoch; infinite for one that waits
    for messages alone."""
    output: bytes | None = None
    error: tuple[str, str, str | None] | None = None
    """Error type, message and code of a failed run."""
    consumed: list[int] = field(default_factory=list)
    """Ids of messages that these events answer. All must be there still: the end of a child is withdrawn when the child
    is retried or taken back, and then the append is refused."""
    opened: list[HookRecord] = field(default_factory=list)
    closed: list[tuple[HookToken, Literal["resumed", "timed_out", "closed"]]] = field(default_factory=list)
    children: list[NewRun] = field(default_factory=list)
    """Child runs to create; one whose id is there already is left alone."""
    jobs: list[NewJob] = field(default_factory=list)
    """Jobs to put on their queues; one whose id is there already is left alone. When the run ends, those that it
    awaits are cancelled."""
    given_up: list[str] = field(default_factory=list)
    """Keys of operations whose child or job nobody waits for any more: a child is asked to stop, if its policy says
    so; a job is cancelled, or, while a process works it, that process is asked to stop."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that works runs."""

    process_id: str
    host: str
    """Identity of the machine and process namespace, so that a dead process of the same one is seen at once."""
    pid: int
    pid_started: str
    """When the operating system started that pid, so that a reused pid is not mistaken for it."""
    started_at: float
    boot: str = ""
    """Identity of the boot of the machine: processes of one have one monotonic clock. Empty where it is not known."""
    serves: str = "{}"
    """What it takes, as JSON: see `Serving.describe`."""
    wfgen: str = ""
    """Version of wfgen-runtime."""
    heartbeat_at: float = 0.0
    """When it registered or renewed its lease last, in seconds since the epoch: the store's to tell."""


class Held(NamedTuple):
    """How much a process holds."""

    runs: int
    working: int
    """Of those, the runs that do not wait."""
    jobs: int


Verdict = WfgenError | None
"""None: recorded. `LeaseLostError`: another process holds the run; nothing was recorded. Another `StoreError`: the
store could not write; nothing was recorded, the same append may be tried again."""


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

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the engine's loop soon after another process (or another connection) has written."""
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
