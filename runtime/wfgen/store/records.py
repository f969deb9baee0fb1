"""What is recorded of runs, and what goes in and out of a store: runs, messages, hooks, appends, processes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from wfgen.errors import WfgenError
from wfgen.events import Event
from wfgen.ids import HookToken, RunId
from wfgen.store.jobs import NewJob

RunStatus = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled", "terminated"]
"""`pending`: to be claimed, for the first time or again; `running`: its owner works it; `waiting`: parked on timers,
hooks, children and jobs alone, whether somebody holds it or not."""

FINISHED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "terminated"})

ANY_CHANGE: frozenset[str] = frozenset({"runs", "messages", "jobs", "ends"})
"""What somebody may have to look at since another process has written. `runs`: a run can be taken; `messages`: one that
is held has a message; `jobs`: a job can be taken, or is to stop; `ends`: a run has ended, or was taken from the process
that held it."""

GIVEN_BACK: frozenset[str] = frozenset({"paused", "pending"})
"""Statuses with which an owner gives a run back in the transaction that records them."""

LEFT_ALONE = 10.0
"""Seconds after which a run that a process cannot read is tried again, there or by another one."""

PRUNED_EVENTS = 5000
"""Events of removed runs after which a commit is large enough: more would keep others waiting."""


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


def created_record(new: NewRun, owner: str | None, time: float) -> RunRecord:
    """The record of a run that was created just now."""
    status: RunStatus = "pending" if owner is None else "running"
    epoch = 0 if owner is None else 1
    return RunRecord(
        run_id=new.run_id,
        workflow=new.workflow,
        version=new.version,
        status=status,
        input=new.input,
        output=None,
        error_type=None,
        error=None,
        error_code=None,
        salt=new.salt,
        idempotency_key=new.idempotency_key,
        epoch=epoch,
        claims=epoch,
        owner=owner,
        created_at=time,
        updated_at=time,
        finished_at=None,
        tags=new.tags,
    )
