"""What is done to a store file, each inside a transaction that the committer holds open.

Whatever a transition refuses, it refuses before it writes, so that a refusal needs no savepoint.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wfgen.environment import Clock
from wfgen.errors import LeaseLostError, StoreError, WfgenError
from wfgen.events import Event
from wfgen.store import refusals
from wfgen.store.deployments import NewDefinition
from wfgen.store.records import (
    FINISHED,
    GIVEN_BACK,
    Append,
    ChildEnd,
    NewRun,
    ProcessRecord,
    RunRecord,
    RunStatus,
    created_record,
)
from wfgen.store.sqlite import definitions as deployed
from wfgen.store.sqlite import pruning, queries
from wfgen.store.sqlite.claiming import Claiming
from wfgen.store.sqlite.control import Control
from wfgen.store.sqlite.jobs import JobTransitions
from wfgen.store.sqlite.rows import insert_run, storable
from wfgen.store.stored_events import encoded

_INSERT_EVENT = "INSERT INTO events (run, seq, type, time, key, data, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"

EventRow = tuple[int, int, str, float, str | None, str | None, bytes | None]


@dataclass(slots=True)
class _Held:
    """A run that this process writes to."""

    run: int
    epoch: int
    seq: int
    """Of its last event."""
    is_child: bool = False
    has_children: bool = False
    """Whether it may have some."""
    has_jobs: bool = False
    """The same."""


class Transitions:
    """The writes of one connection, and what it knows of the runs that it writes to."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, is_gone: Callable[[ProcessRecord], bool]) -> None:
        self._connection = connection
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._verified: set[str] = set()
        """Runs of `_held` whose epoch was compared since another connection last wrote."""
        self._refused: dict[str, int] = {}
        """Runs with the epoch of an append that was refused."""
        self._events: list[EventRow] = []
        self.claiming = Claiming(self, connection, clock, is_gone)
        """Who holds which run."""
        self.jobs = JobTransitions(self, connection, clock)
        """Steps on queues."""
        self.control = Control(self, connection)
        """Transitions that people ask for."""

    def record_definitions(self, definitions: Sequence[NewDefinition]) -> None:
        """Record what a process that registers has."""
        deployed.record(self._connection, definitions, self._clock.time())

    def others_wrote(self) -> None:
        """Another connection has written: a run may have been taken over."""
        self._verified.clear()

    def forget(self) -> None:
        """What was applied since the last commit was undone."""
        self._held.clear()
        self._verified.clear()
        self._events.clear()

    def refused(self, work: object, refusal: WfgenError) -> None:
        """If these were events that may be repeated, nothing that follows them in their run may be recorded before."""
        if not isinstance(work, Append) or not work.events:
            return
        if isinstance(refusal, StoreError) and not isinstance(refusal, LeaseLostError):
            self._refused[work.run_id] = max(work.epoch, self._refused.get(work.run_id, 0))

    def flush(self) -> None:
        """Write the events that were gathered."""
        if self._events:
            self._connection.executemany(_INSERT_EVENT, self._events)
            self._events.clear()

    def add_events(self, run: int, events: Iterable[Event]) -> None:
        """Gather events to be written."""
        self._events += [
            (run, e.seq, e.type, e.time, e.key, encoded(e.data) if e.data else None, e.payload) for e in events
        ]

    def create(self, new: NewRun, owner: str | None) -> tuple[RunRecord, bool]:
        if new.idempotency_key is not None:
            self.flush()
            existing = queries.find_by_key(self._connection, new.workflow, new.idempotency_key)
            if existing is not None:
                is_version = new.any_version or existing.version == new.version
                if is_version and existing.input == new.input:
                    return existing, False
                what = "another input" if is_version else f"version {existing.version}"
                raise refusals.another_start(new.workflow, new.idempotency_key, existing.run_id, what)
        now = self._clock.time()
        if owner is not None and not queries.is_registered(self._connection, owner):
            owner = None  # its lease is over: whoever lives takes the run up
        status: RunStatus = "pending" if owner is None else "running"
        epoch = 0 if owner is None else 1
        run = insert_run(self._connection, new, now, status=status, owner=owner, epoch=epoch)
        if run is None:
            raise refusals.taken(new.run_id)
        data = {"workflow": new.workflow, "version": new.version}
        if owner is not None:
            data["process"] = owner
        self._events.append((run, 1, "run_started", now, None, encoded(data), new.input))
        if owner is not None:
            self._held[new.run_id] = _Held(run, epoch, 1)
            self._verified.add(new.run_id)
        return created_record(new, owner, now), True

    def append(self, append: Append) -> None:
        run_id = append.run_id
        held = self._held.get(run_id)
        if held is None or held.epoch != append.epoch or run_id not in self._verified:
            held = self._verify(run_id, append.epoch)
        if self._refused and self._refused.get(run_id) == append.epoch and not append.events:
            raise StoreError(f"an earlier append to run {run_id} was not recorded, so this one is not either.")
        run, seq, continued = held.run, held.seq, 0
        found: list[EventRow] = []
        for event in append.events:
            seq += 1
            if event.seq != seq:
                raise StoreError(
                    f"event {event.seq} ({event.type}) cannot be recorded in run {run_id}, whose next event is "
                    f"number {seq}: an earlier append was not recorded, or this one was before."
                )
            data = encoded(event.data) if event.data else None
            found.append((run, seq, event.type, event.time, event.key, data, event.payload))
            if event.type == "run_continued":
                continued = seq
        if append.consumed:
            self._consume(append)
        self._events += found
        held.seq = seq
        if self._refused:
            self._refused.pop(run_id, None)
        if append.jobs:
            self.jobs.put(run, append.jobs)
            held.has_jobs = True
        if continued:
            self._start_again(run, continued)
        if append.opened:
            self._connection.executemany(
                "INSERT INTO hooks (token, run, key, name, due, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(h.token, held.run, h.key, h.name, h.due, h.state, h.created_at) for h in append.opened],
            )
        for child in append.children:
            self._create_child(child, held)
        for key in append.given_up:
            self._cancel_children(run, key)
            self.jobs.give_up(run, key)
        for token, state in append.closed:
            self._connection.execute("UPDATE hooks SET state = ? WHERE token = ?", (state, token))
            self._connection.execute("DELETE FROM messages WHERE token = ?", (token,))
        if append.status is not None:
            self._set_status(append, held)

    def _consume(self, append: Append) -> None:
        """Remove the messages that are answered. A child may have been taken up again since its end was read."""
        if queries.count_messages(self._connection, append.consumed) < len(set(append.consumed)):
            raise StoreError(
                f"what is to be recorded in run {append.run_id} answers the end of a child or a job that is at work "
                "again: it was retried or taken back meanwhile.",
                hint="Nothing was recorded; the run goes on from what is, and waits for it again.",
            )
        self._connection.executemany("DELETE FROM messages WHERE id = ?", [(id,) for id in append.consumed])

    def _start_again(self, run: int, seq: int) -> None:
        """The part of a run that begins with event `seq` has nothing to do with what is open from before."""
        self._connection.execute("UPDATE runs SET first_seq = ? WHERE run = ?", (seq, run))
        self._close_hooks(run)
        self._cancel_children(run)
        self.jobs.give_up(run)
        self._connection.execute(
            "DELETE FROM messages WHERE run = ? AND (token IS NOT NULL OR kind IN ('child', 'job'))", (run,)
        )

    def _verify(self, run_id: str, epoch: int) -> _Held:
        """Check that this epoch still holds the run."""
        row = self._connection.execute(
            "SELECT run, epoch, owner, parent FROM runs WHERE run_id = ?", (run_id,)
        ).fetchone()
        if row is None:
            raise refusals.unknown_run(run_id)
        run, current, owner, parent = row
        held = self._held.get(run_id)
        if current != epoch or owner is None:
            if held is not None and held.epoch == epoch:
                self.drop(run_id)
            raise refusals.run_not_held(run_id, epoch, current, owner)
        if held is None or held.epoch != epoch:
            (seq,) = self._connection.execute("SELECT max(seq) FROM events WHERE run = ?", (run,)).fetchone()
            held = self._held[run_id] = _Held(run, epoch, seq or 0, parent is not None, True, True)
        self._verified.add(run_id)
        return held

    def _set_status(self, append: Append, held: _Held) -> None:
        now = append.events[-1].time if append.events else self._clock.time()
        if append.status not in FINISHED:
            parked = append.status == "waiting"
            self._connection.execute(
                "UPDATE runs SET status = ?, updated_at = ?, wake_at = ?, claims = CASE WHEN ? THEN 0 ELSE claims END"
                " WHERE run = ?",
                (append.status, now, append.wake_at or 0.0 if parked else 0.0, parked, held.run),
            )
            if append.status in GIVEN_BACK:
                self.control.give_back(held.run, append.status)
                self.drop(append.run_id)
            return
        error_type, error, error_code = append.error or (None, None, None)
        self._connection.execute(
            "UPDATE runs SET status = ?, updated_at = ?, finished_at = ?, owner = NULL,"
            " output = ?, error_type = ?, error = ?, error_code = ? WHERE run = ?",
            (append.status, now, now, append.output, error_type, storable(error), error_code, held.run),
        )
        self._close_hooks(held.run)
        self._connection.execute("DELETE FROM messages WHERE run = ?", (held.run,))
        if held.has_children:
            self._cancel_children(held.run)
        if held.has_jobs:
            self.jobs.give_up(held.run)
        if held.is_child:
            self.tell_parent(held.run, append.events[-1].data.get("type") if append.events else None)
        self.drop(append.run_id)

    def _create_child(self, child: NewRun, parent: _Held) -> None:
        assert child.parent is not None
        now = self._clock.time()
        run = insert_run(self._connection, child, now, parent=parent.run)
        if run is not None:
            data = {"workflow": child.workflow, "version": child.version, "parent": child.parent[0]}
            self._events.append((run, 1, "run_started", now, None, encoded(data), child.input))
            parent.has_children = True

    def hold(self, record: RunRecord, run: int, seq: int) -> None:
        """A run was claimed; `seq` is the number of its last event."""
        self._held[record.run_id] = _Held(run, record.epoch, seq, record.parent is not None, True, True)
        self._verified.add(record.run_id)

    def _cancel_children(self, run: int, key: str | None = None) -> None:
        """Ask the unfinished children of a run to stop, but those that go on alone; all, or those of one operation."""
        self._connection.execute(
            "INSERT INTO messages (run, kind) SELECT run, 'cancel' FROM runs WHERE parent = ? AND finished_at IS NULL"
            " AND on_parent_end = 'cancel' AND parent_key = coalesce(?, parent_key)"
            " AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.run = runs.run AND kind = 'cancel')",
            (run, key),
        )

    def tell_parent(self, run: int, type: str | None) -> None:
        """Put a finished run's end into the inbox of the run that started it, if one did and still listens.

        Args:
            run: its number.
            type: class of its result, if its last event has one.
        """
        parent, key, part, *end = self._connection.execute(
            "SELECT parent, parent_key, parent_part, status, version, output, error_type, error, error_code"
            " FROM runs WHERE run = ?",
            (run,),
        ).fetchone()
        if parent is None:
            return
        status, version, output, error_type, error, code = end
        self._connection.execute(
            "INSERT INTO messages (run, kind, name, payload)"
            " SELECT run, 'child', ?, ? FROM runs WHERE run = ? AND finished_at IS NULL AND first_seq = ?",
            (key, ChildEnd(status, version, output, type, error_type, error, code).dump(), parent, part),
        )

    def _close_hooks(self, run: int) -> None:
        self._connection.execute("UPDATE hooks SET state = 'closed' WHERE run = ? AND state = 'open'", (run,))

    def drop(self, run_id: str) -> None:
        """Forget a run that was given back or taken away."""
        self._held.pop(run_id, None)
        self._verified.discard(run_id)
        self._refused.pop(run_id, None)

    def send(
        self,
        kind: Literal["hook", "cancel", "pause", "resume"],
        run_id: str | None,
        token: str | None,
        name: str | None,
        payload: bytes | None,
    ) -> Literal["sent", "duplicate"]:
        if kind in ("pause", "resume"):
            return self.control.pause_or_resume(kind, str(run_id))
        if token is not None:
            run, duplicate = self._find_hook(token)
        else:
            run, duplicate = self._find_run(str(run_id), kind)
        if duplicate:
            return "duplicate"
        self._connection.execute(
            "INSERT INTO messages (run, kind, token, name, payload) VALUES (?, ?, ?, ?, ?)",
            (run, kind, token, name, payload),
        )
        return "sent"

    def prune(self, before: float, statuses: Collection[str] | None, limit: int) -> list[str]:
        self.flush()
        return pruning.prune(self._connection, before, statuses, limit)

    def _find_hook(self, token: str) -> tuple[int, bool]:
        row = self._connection.execute(
            "SELECT h.run, h.state, h.name, r.run_id, EXISTS (SELECT 1 FROM messages AS m WHERE m.token = h.token)"
            " FROM hooks AS h JOIN runs AS r ON r.run = h.run WHERE h.token = ?",
            (token,),
        ).fetchone()
        if row is None:
            raise refusals.unknown_hook()
        run, state, name, run_id, waiting = row
        if state in ("timed_out", "closed"):
            raise refusals.hook_is_over(name, run_id, state)
        return run, state == "resumed" or bool(waiting)

    def _find_run(self, run_id: str, kind: str) -> tuple[int, bool]:
        row = self._connection.execute(
            "SELECT run, status, finished_at, EXISTS"
            " (SELECT 1 FROM messages WHERE messages.run = runs.run AND kind = 'cancel') FROM runs WHERE run_id = ?",
            (run_id,),
        ).fetchone()
        if row is None:
            raise refusals.unknown_run(run_id)
        run, status, finished_at, cancelling = row
        if finished_at is not None:
            raise refusals.run_takes_no_messages(run_id, status)
        return run, kind == "cancel" and bool(cancelling)
