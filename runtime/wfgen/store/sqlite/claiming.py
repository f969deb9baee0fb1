"""Who holds which run: processes come and go, claim runs that are due, and give them back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from wfgen.environment import Clock
from wfgen.events import Event
from wfgen.store import refusals
from wfgen.store.records import Claimed, ProcessRecord
from wfgen.store.sqlite import queries
from wfgen.store.stored_events import last_process

if TYPE_CHECKING:
    from wfgen.store.sqlite.transitions import Transitions


_FREED = "status = CASE status WHEN 'running' THEN 'pending' ELSE status END"
"""Of a run that its process has at work no longer."""


class Claiming:
    """The transitions of one connection that change who holds a run."""

    def __init__(
        self,
        transitions: Transitions,
        connection: sqlite3.Connection,
        clock: Clock,
        is_gone: Callable[[ProcessRecord], bool],
    ) -> None:
        self._transitions = transitions
        self._connection = connection
        self._clock = clock
        self._is_gone = is_gone
        self._freed = False

    def register(self, process: ProcessRecord, lease: float) -> None:
        """Announce a process."""
        self._connection.execute(
            "INSERT OR REPLACE INTO processes"
            " (process_id, host, pid, pid_started, started_at, lease_until, boot, lease_end, serves, wfgen,"
            " heartbeat_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                process.process_id,
                process.host,
                process.pid,
                process.pid_started,
                process.started_at,
                self._clock.time() + lease,
                process.boot,
                self._clock.monotonic() + lease,
                process.serves,
                process.wfgen,
                self._clock.time(),
            ),
        )

    def leave(self, process_id: str) -> None:
        """A process says goodbye: that it held runs says nothing about them."""
        self._connection.execute("UPDATE runs SET claims = 0 WHERE owner = ?", (process_id,))
        self._remove(process_id, says_goodbye=True)

    def claim(
        self,
        process_id: str,
        workflows: Collection[tuple[str, str]],
        limit: int,
        families: Collection[str] | None = None,
    ) -> list[Claimed]:
        """Take runs that are due, the longest overdue first; processes that are gone lose theirs before."""
        self._transitions.flush()
        now = self._clock.time()
        self.remove_gone(process_id, now)
        if families is not None:
            relatives = queries.free_relatives(self._connection, families, workflows)
            return self._take([run for wake_at, run in relatives if wake_at <= now][:limit], process_id, now)
        due: list[tuple[float, int]] = []
        for workflow, version in workflows:
            due += self._connection.execute(
                "SELECT wake_at, run FROM runs WHERE owner IS NULL AND finished_at IS NULL"
                " AND workflow = ? AND version = ? AND wake_at <= ? ORDER BY wake_at, run LIMIT ?",
                (workflow, version, now, limit),
            )
        due.sort()
        return self._take([run for _, run in due[:limit]], process_id, now)

    def release(self, run_id: str, epoch: int, wake_at: float, seen: int) -> float:
        """Give a run back; gives the time from which it is claimed, infinite if it was not held."""
        row = self._connection.execute(
            f"UPDATE runs SET owner = NULL, {_FREED}, claims = 0, wake_at = CASE"
            " WHEN EXISTS (SELECT 1 FROM messages WHERE messages.run = runs.run AND id > ?) THEN 0 ELSE ? END"
            " WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL RETURNING wake_at",
            (seen, wake_at, run_id, epoch),
        ).fetchone()
        self._transitions.drop(run_id)
        return float("inf") if row is None else float(row[0])

    def remove_gone(self, process_id: str, now: float) -> None:
        """Take from the processes that are gone what they held.

        Args:
            process_id: the process that asks.
            now: in seconds since the epoch.

        Raises:
            LeaseLostError: it is not registered, or has lost its own lease.
        """
        known = [process for process, _ in queries.processes(self._connection)]
        if not any(process.process_id == process_id for process in known):
            raise refusals.not_registered(process_id)
        lapsed = queries.lapsed(self._connection, process_id, now, self._clock.monotonic())
        for process in known:
            if process.process_id != process_id and (process.process_id in lapsed or self._is_gone(process)):
                self._remove(process.process_id)
                self._freed = True

    def take_freed(self) -> bool:
        """Whether anything was taken from processes that are gone since this was asked last."""
        freed, self._freed = self._freed, False
        return freed

    def _remove(self, process_id: str, *, says_goodbye: bool = False) -> None:
        """Its runs are free; those with messages are looked at again, for it may not have seen them."""
        self._connection.execute("DELETE FROM processes WHERE process_id = ?", (process_id,))
        self._transitions.jobs.abandon(process_id, says_goodbye=says_goodbye)
        self._connection.execute(
            f"UPDATE runs SET owner = NULL, {_FREED}, wake_at = CASE WHEN EXISTS"
            " (SELECT 1 FROM messages WHERE messages.run = runs.run) THEN 0 ELSE wake_at END WHERE owner = ?",
            (process_id,),
        )
        self._transitions.others_wrote()

    def _take(self, runs: list[int], process_id: str, now: float) -> list[Claimed]:
        connection = self._connection
        # Who died with a run is known by its count: a run that got further, or was given back, begins again at one.
        connection.executemany(
            "UPDATE runs SET owner = ?, epoch = epoch + 1, status = 'running', wake_at = 0, updated_at = ?,"
            " claims = CASE WHEN claimed_seq < (SELECT max(seq) FROM events WHERE events.run = runs.run)"
            " THEN 1 ELSE claims + 1 END WHERE run = ?",
            [(process_id, now, run) for run in runs],
        )
        records = queries.runs_by_number(connection, runs)
        events, damaged = queries.replayed_events_of(connection, runs)
        messages = queries.messages_of_runs(connection, runs)
        taken: list[Claimed] = []
        for run in runs:
            record, recorded = records[run], events[run]
            # Nothing to tell of the first one: whatever follows is its work.
            if record.epoch > 1 and run not in damaged and last_process(recorded) != process_id:
                last = recorded[-1]
                data = {"process": process_id, "epoch": record.epoch}
                event = Event(last.seq + 1, "run_claimed", max(now, last.time), None, data)
                recorded.append(event)
                self._transitions.add_events(run, [event])
            self._transitions.hold(record, run, recorded[-1].seq)
            taken.append(Claimed(record, recorded, messages.get(run, []), damaged.get(run)))
        connection.executemany(
            "UPDATE runs SET claimed_seq = ? WHERE run = ?",
            [(one.events[-1].seq, run) for run, one in zip(runs, taken, strict=True)],
        )
        return taken
