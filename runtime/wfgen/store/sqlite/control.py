"""What people do to runs from outside: pausing, terminating, retrying, taking back and forking them.

Each is one transition. Those that take a run from the process that holds it raise its epoch, so that whatever that
process still writes is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wfgen.checkpoints import (
    check_checkpoint,
    check_compensation,
    copied,
    current_part,
    effective,
    is_cancelling,
    open_children,
    open_jobs,
    retried_from,
    rolled_back,
    seed_origin,
    undone_effects,
)
from wfgen.events import COMPLETIONS, Event, EventType
from wfgen.store import refusals
from wfgen.store.records import FINISHED, NewRun, RunRecord, RunStatus
from wfgen.store.sqlite import queries
from wfgen.store.sqlite.rows import insert_run

if TYPE_CHECKING:
    import sqlite3

    from wfgen.store.sqlite.transitions import Transitions

_CONTROL = "kind IN ('pause', 'resume')"


class _Row(NamedTuple):
    run: int
    status: str
    owner: str | None
    finished_at: float | None


class Control:
    """The transitions of one connection that are not a process's own work on its runs."""

    def __init__(self, transitions: Transitions, connection: sqlite3.Connection) -> None:
        self._transitions = transitions
        self._connection = connection

    def pause_or_resume(self, kind: Literal["pause", "resume"], run_id: str) -> Literal["sent", "duplicate"]:
        """Pause a run, or end its pause: at once if nobody holds it, else by a message to its owner.

        `duplicate`: it is so already, or is asked to be.
        """
        row = self._unfinished(run_id, f"{kind}d")
        asked = self._connection.execute(
            f"SELECT kind FROM messages WHERE run = ? AND {_CONTROL} ORDER BY id DESC LIMIT 1", (row.run,)
        ).fetchone()
        current = asked[0] if asked else "pause" if row.status == "paused" else "resume"
        if current == kind:
            return "duplicate"
        if row.owner is not None:
            self._connection.execute("INSERT INTO messages (run, kind) VALUES (?, ?)", (row.run, kind))
            return "sent"
        self._connection.execute(f"DELETE FROM messages WHERE run = ? AND {_CONTROL}", (row.run,))
        if (row.status == "paused") == (kind == "pause"):
            return "sent"
        now = self._record(row.run, "run_paused" if kind == "pause" else "run_resumed")
        # A request to cancel that waits is not put to sleep.
        self._connection.execute(
            "UPDATE runs SET status = ?, updated_at = ?, wake_at = CASE WHEN ? AND NOT EXISTS (SELECT 1 FROM messages"
            " WHERE messages.run = runs.run AND kind = 'cancel') THEN ? ELSE 0 END WHERE run = ?",
            ("paused" if kind == "pause" else "pending", now, kind == "pause", math.inf, row.run),
        )
        return "sent"

    def terminate(self, run_id: str, reason: str | None) -> None:
        """End a run where it stands."""
        row = self._unfinished(run_id, "terminated")
        now = self._record(row.run, "run_terminated", {"reason": reason})
        self._connection.execute(
            "UPDATE runs SET status = 'terminated', owner = NULL, epoch = epoch + 1, updated_at = ?, finished_at = ?,"
            " error = ? WHERE run = ?",
            (now, now, reason, row.run),
        )
        transitions = self._transitions
        transitions._close_hooks(row.run)
        self._connection.execute("DELETE FROM messages WHERE run = ?", (row.run,))
        transitions._cancel_children(row.run)
        transitions.jobs.give_up(row.run)
        transitions.tell_parent(row.run, None)
        transitions.drop(run_id)

    def retry(self, run_id: str) -> dict[str, Any]:
        """Take a failed run up again; gives what is recorded of it."""
        row = self._find(run_id)
        if row.status != "failed":
            raise refusals.run_cannot_be_retried(run_id, row.status)
        events = self._events(row.run)
        data = retried_from(events, f"run {run_id}")
        if anew := self._cancelled_calls(row.run, events, "run_retried", data):
            data["anew"] = anew
        self._take_up(run_id, row.run, self._record(row.run, "run_retried", data))
        return data

    def rollback(self, run_id: str, to: int, compensate: bool, keep: int | None) -> None:
        """Undo what was recorded after an event; with `compensate` the run first undoes the effects itself."""
        row = self._find(run_id)
        events = self._events(row.run)
        check_checkpoint(events, to, f"run {run_id}", keep)
        anew = self._cancelled_calls(row.run, events, "rolled_back", {"to": to})
        if compensate:
            check_compensation(events, to, f"run {run_id}")
            data = {"to": to, "compensate": True, **({"anew": anew} if anew else {})}
            now = self._record(row.run, "rollback_requested", data)
        else:
            now = self._record(row.run, "rolled_back", rolled_back(to, undone_effects(events) is not None, anew))
        self._take_up(run_id, row.run, now)

    def fork(self, run_id: str, at: int, new: NewRun, replace_input: bool, keep: int | None) -> tuple[RunRecord, bool]:
        """Make a run that begins with the history of another one, up to a checkpoint."""
        transitions, connection = self._transitions, self._connection
        row = self._find(run_id)
        if new.idempotency_key is not None:
            existing = queries.find_by_key(connection, new.workflow, new.idempotency_key)
            if existing is not None:
                start = self._events(self._find(existing.run_id).run)[0]
                origin = (start.data.get("forked_from"), start.data.get("forked_at"))
                if origin == (run_id, at) and (not replace_input or existing.input == new.input):
                    return existing, False
                raise refusals.another_fork(new.workflow, new.idempotency_key, existing.run_id)
        events = self._events(row.run)
        check_checkpoint(events, at, f"run {run_id}", keep)
        now = transitions._clock.time()
        record = queries.get_by_number(connection, row.run)
        part = [event for event in effective(events) if event.seq <= at]
        seeds_from = seed_origin(record.salt, current_part(part)[0].seq)
        chosen = copied(events, at, run_id, seeds_from, now)
        if replace_input:
            chosen[0].payload = new.input
        run = insert_run(connection, new, now)
        if run is None:
            raise refusals.taken(new.run_id)
        transitions.add_events(run, chosen)
        transitions.flush()
        return queries.get_by_number(connection, run), True

    def give_back(self, run: int, status: RunStatus) -> None:
        """Its owner has paused a run, or taken it back, and works it no longer.

        What nobody has told the owner in time is not lost: a run that is to go on again, or to be cancelled, wakes.
        """
        connection = self._connection
        if status == "pending":
            self._transitions.flush()
            self.settle(run)
        connection.execute(
            "UPDATE runs SET owner = NULL, wake_at = CASE WHEN ? = 'paused' AND NOT EXISTS (SELECT 1 FROM messages"
            " WHERE messages.run = runs.run AND kind IN ('cancel', 'resume')) THEN ? ELSE 0 END WHERE run = ?",
            (status, math.inf, run),
        )

    def settle(self, run: int) -> None:
        """Bring hooks, children, jobs and messages of a run in line with what counts of its history."""
        connection = self._connection
        events = effective(self._events(run))
        part = current_part(events)
        ended = {event.key for event in part if event.type in COMPLETIONS}
        opened = {event.data.get("token"): event.key for event in part if event.type == "hook_created"}
        hooks = connection.execute("SELECT token, state FROM hooks WHERE run = ?", (run,)).fetchall()
        for token, state in hooks:
            is_open = token in opened and opened[token] not in ended
            if not is_open and state == "open":
                connection.execute("DELETE FROM messages WHERE token = ?", (token,))
                connection.execute("UPDATE hooks SET state = 'closed' WHERE token = ?", (token,))
            elif is_open and state != "open":
                connection.execute("UPDATE hooks SET state = 'open' WHERE token = ?", (token,))
        connection.execute(f"DELETE FROM messages WHERE run = ? AND (kind = 'child' OR {_CONTROL})", (run,))
        first = part[0].seq
        connection.execute("UPDATE runs SET first_seq = ? WHERE run = ?", (first, run))
        counted = {event.data.get("run_id") for event in part if event.type == "child_started"}
        put = {event.data["job_id"] for event in part if event.type == "job_created"}
        self._transitions.jobs.settle(run, put, ended, first)
        for child, child_id, key, finished_at, of_part in connection.execute(
            "SELECT run, run_id, parent_key, finished_at, parent_part FROM runs WHERE parent = ?", (run,)
        ).fetchall():
            if child_id in counted:
                if finished_at is not None and key not in ended and of_part == first:
                    self._transitions.tell_parent(child, self._events(child)[-1].data.get("type"))
            elif of_part is not None and of_part >= first:
                # Of a part of the history that does not count: nobody listens to it any more.
                self._transitions._cancel_children(run, key)
                connection.execute("UPDATE runs SET parent_part = NULL WHERE run = ?", (child,))

    def _cancelled_calls(self, run: int, events: list[Event], type: EventType, data: dict[str, Any]) -> list[str]:
        """Keys of what is open again, but whose child or job was asked to stop when the run ended."""
        keys = open_children(events, type, data)
        children = self._connection.execute(
            "SELECT run, run_id, status = 'cancelled' OR EXISTS (SELECT 1 FROM messages WHERE run = runs.run"
            " AND kind = 'cancel') FROM runs WHERE parent = ? AND on_parent_end = 'cancel'"
            " AND (status = 'cancelled' OR finished_at IS NULL)",
            (run,),
        ).fetchall()
        calls = [
            keys[child_id]
            for child, child_id, is_asked in children
            if child_id in keys and (is_asked or is_cancelling(self._events(child)))
        ]
        return sorted(calls + self._transitions.jobs.lost(run, open_jobs(events, type, data)))

    def _take_up(self, run_id: str, run: int, now: float) -> None:
        """Make a run, finished or not, one that waits for a process; whoever holds it loses it.

        What came for an unfinished one stays, a request to cancel it, too.
        """
        connection = self._connection
        parent, key = connection.execute("SELECT parent, parent_key FROM runs WHERE run = ?", (run,)).fetchone()
        if parent is not None:  # an end that the parent has not taken yet is none any more
            connection.execute("DELETE FROM messages WHERE run = ? AND kind = 'child' AND name = ?", (parent, key))
        connection.execute(
            "UPDATE runs SET status = 'pending', owner = NULL, epoch = epoch + 1, claims = 0, claimed_seq = 0,"
            " wake_at = 0, finished_at = NULL, output = NULL, error_type = NULL, error = NULL, error_code = NULL,"
            " updated_at = ? WHERE run = ?",
            (now, run),
        )
        self.settle(run)
        self._transitions.drop(run_id)

    def _find(self, run_id: str) -> _Row:
        self._transitions.flush()
        row = self._connection.execute(
            "SELECT run, status, owner, finished_at FROM runs WHERE run_id = ?", (run_id,)
        ).fetchone()
        if row is None:
            raise refusals.unknown_run(run_id)
        return _Row(*row)

    def _unfinished(self, run_id: str, done: str) -> _Row:
        row = self._find(run_id)
        if row.status in FINISHED:
            raise refusals.run_is_over(run_id, done, row.status)
        return row

    def _events(self, run: int) -> list[Event]:
        return queries.events(self._connection, run)

    def _record(self, run: int, type: EventType, data: dict[str, Any] | None = None) -> float:
        """Add an event to a run; gives its time."""
        seq, latest = self._connection.execute(
            "SELECT max(seq), max(time) FROM events WHERE run = ?", (run,)
        ).fetchone()
        now = max(self._transitions._clock.time(), float(latest))
        self._transitions.add_events(run, [Event(seq + 1, type, now, None, data or {})])
        self._transitions.flush()
        return now
