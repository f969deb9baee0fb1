"""What writes: a thread that takes whatever is queued and commits it together.

Nothing waits for company on purpose: while one batch is being made durable the next one gathers. Each job has its own
verdict; those of a batch are told together, in order, on the engine's loop.

A few brief jobs are committed on the loop's own thread as long as the last commit was quick and nothing else is under
way: handing a lone step to another thread and back costs about half of what its commit does. A slow disk, another
program's lock or a large batch goes to the thread, so that the loop never waits for them twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from wfgen.errors import WfgenError
from wfgen.store.records import Append
from wfgen.store.sqlite.faults import fault, strikes_all
from wfgen.store.sqlite.presence import Presence
from wfgen.store.sqlite.schema import patiently
from wfgen.store.sqlite.transitions import Transitions

Work = Append | Callable[[Transitions], Any]
"""What to do inside the transaction."""

Job = tuple[Work, Callable[[Any], None]]
"""Work, and who is told: the result, None for an append, or the error."""

FEW = 4
"""Jobs of one turn of the loop that are committed in it."""

QUICK = 0.001
"""Seconds that a commit may take for the next one to be made on the loop's own thread."""

_SOONEST = 0.02
_LATEST = 0.1
"""How often an idle committer looks whether others have written, in seconds: often just after they have."""


class Committer:
    """Owns the connection that writes.

    Args:
        connect: opens the connection; called on the committer's thread.
        transitions: makes the transitions of that connection.
        loop: where verdicts and changes are told.
        turn: held while a transaction is open, so that the heartbeat of this process gets its turn.
        busy_timeout: how long another program may hold the file locked, in seconds.
        on_change: called on the loop soon after another connection has written.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        transitions: Callable[[sqlite3.Connection], Transitions],
        loop: asyncio.AbstractEventLoop,
        turn: threading.Lock,
        busy_timeout: float,
        on_change: Callable[[], None],
    ) -> None:
        self._path = path
        self._connect = connect
        self._make_transitions = transitions
        self._loop = loop
        self._turn = turn
        self._busy_timeout = busy_timeout
        self._on_change = on_change
        self._jobs: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._gathered: list[Job] = []
        """Jobs of this turn of the loop."""
        self._is_brief = True
        self._handed_over = 0
        """Batches that are with the thread and not settled."""
        self._taken = 0
        """Of those, how many the thread is committing."""
        self._is_quick = True
        """Whether the last commit took less than QUICK."""
        self._version: int | None = None
        self._stopped: Callable[[Any], None] = lambda _: None
        self._changed = False
        self._changed_at = 0.0
        self._told_at = 0.0
        self.presence: Presence
        self._transitions: Transitions
        self._connection: sqlite3.Connection

    def submit(self, job: Job, *, brief: bool = False) -> None:
        """Queue a job, from the loop; jobs are done in the order of the calls. `brief`: it takes next to no time."""
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
            self._is_brief = True
        self._is_brief &= brief
        self._gathered.append(job)

    def _hand_over(self) -> None:
        """Commit what this turn of the loop has asked for: here if that is sure to be quick, else on the thread."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        if self._is_brief and len(gathered) <= FEW and not self._handed_over and self._is_quick:
            outcomes = self._commit_here(gathered)
            if outcomes is not None:
                _deliver(self._loop, outcomes)
                self._tell_change()
                return
        self._handed_over += 1
        self._jobs.put(gathered)

    def _commit_here(self, batch: list[Job]) -> list[tuple[Callable[[Any], None], Any]] | None:
        """Commit on the loop's own thread; None if that cannot be done at once."""
        if not self._turn.acquire(blocking=False):
            return None
        began = time.perf_counter()
        try:
            outcomes = self._attempt(batch, _apply, self._begin)
        except Exception:  # the thread meets it again, waits where that helps, and tells what is wrong
            self._undo()
            return None
        finally:
            self._turn.release()
            self._is_quick = time.perf_counter() - began < QUICK
        return [(done, outcome) for (_, done), outcome in zip(batch, outcomes, strict=True)]

    def run(self, opened: Callable[[Any], None]) -> None:
        """The thread: open, commit until told to stop, close. `opened` is told None or the error."""
        try:
            self.open()
        except Exception as error:
            self._tell([(opened, fault(error, self._path))])
            return
        try:
            self._tell([(opened, None)])
            while batch := self._next_batch():
                began = time.perf_counter()
                outcomes = self._commit(batch)
                self._is_quick = time.perf_counter() - began < QUICK
                self._tell([*outcomes, (self._settled, self._taken)])
                self._tell_change()
        finally:
            self._connection.close()
            self._tell([(self._stopped, None)])

    def open(self) -> None:
        """Connect."""
        self._connection = self._connect()
        self.presence = Presence(self._path)
        self._transitions = self._make_transitions(self._connection)

    def stop(self, stopped: Callable[[Any], None] = lambda _: None) -> None:
        """End the thread after everything that is queued; `stopped` is told once the connection is closed."""
        self._stopped = stopped
        self._hand_over()
        self._jobs.put(None)

    def _settled(self, batches: int) -> None:
        self._handed_over -= batches

    def _next_batch(self) -> list[Job]:
        """Wait for jobs and take all; empty means stop."""
        jobs = self._jobs
        while True:
            try:
                more = jobs.get(timeout=self._patience())
                break
            except Empty:
                self._glance()
                self._tell_change()
        batch: list[Job] = []
        self._taken = 0
        while more is not None:
            batch += more
            self._taken += 1
            if jobs.empty():
                return batch
            more = jobs.get()
        if batch:
            jobs.put(None)  # first what came before the stop
        return batch

    def _commit(self, batch: Sequence[Job]) -> list[tuple[Callable[[Any], None], Any]]:
        with self._turn:
            try:
                outcomes = self._attempt(batch, _apply, self._begin_patiently)
            except Exception as error:
                self._undo()
                if len(batch) == 1 or strikes_all(error):
                    outcomes = self._refuse_all(batch, error)
                else:
                    outcomes = self._commit_carefully(batch)
        return [(done, outcome) for (_, done), outcome in zip(batch, outcomes, strict=True)]

    def _commit_carefully(self, batch: Sequence[Job]) -> Sequence[Any]:
        """Commit a batch in which one job failed in an unforeseen way, without that job."""
        try:
            return self._attempt(batch, self._apply_alone, self._begin_patiently)
        except Exception as error:
            self._undo()
            return self._refuse_all(batch, error)

    def _attempt(
        self, batch: Sequence[Job], apply: Callable[[Work, Transitions], Any], begin: Callable[[], None]
    ) -> Sequence[Any]:
        connection, transitions = self._connection, self._transitions
        self.presence.check()
        begin()
        self._look()
        outcomes: list[Any] = []
        for work, _ in batch:
            try:
                outcomes.append(apply(work, transitions))
            except WfgenError as refusal:
                transitions.refused(work, refusal)
                outcomes.append(refusal)
        transitions.flush()
        connection.execute("COMMIT")
        return outcomes

    def _refuse_all(self, batch: Sequence[Job], error: Exception) -> Sequence[Any]:
        refusals = [fault(error, self._path) for _ in batch]
        for (work, _), refusal in zip(batch, refusals, strict=True):
            self._transitions.refused(work, refusal)
        return refusals

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def _begin_patiently(self) -> None:
        patiently(self._begin, self._busy_timeout)

    def _apply_alone(self, work: Work, transitions: Transitions) -> Any:
        connection = self._connection
        connection.execute("SAVEPOINT job")
        try:
            outcome = _apply(work, transitions)
            transitions.flush()
        except Exception as error:
            if strikes_all(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            transitions.forget()
            raise error if isinstance(error, WfgenError) else fault(error, self._path) from error
        connection.execute("RELEASE job")
        return outcome

    def _undo(self) -> None:
        self._transitions.forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # what is left open is not committed; the next BEGIN tells what is wrong with the file

    def _look(self) -> None:
        """See whether another connection has written since the last look."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._changed = self._version is not None
            self._version = version
            self._changed_at = time.monotonic()
            self._transitions.others_wrote()

    def _glance(self) -> None:
        """The same between transactions."""
        with contextlib.suppress(sqlite3.Error), self._turn:  # the next transaction meets it again, and tells somebody
            self._look()

    def _patience(self) -> float:
        """How long to wait for jobs before looking, in seconds of real time: nobody simulates another process."""
        if self._changed:
            return _SOONEST
        return min(_LATEST, max(_SOONEST, (time.monotonic() - self._changed_at) / 20))

    def _tell_change(self) -> None:
        """Tell of a change, at most once in a while: a busy neighbour writes a thousand times a second."""
        if self._changed and (now := time.monotonic()) - self._told_at >= _SOONEST:
            self._changed = False
            self._told_at = now
            self._tell([(lambda _: self._on_change(), None)])

    def _tell(self, outcomes: Sequence[tuple[Callable[[Any], None], Any]]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_deliver, self._loop, outcomes)


def _apply(work: Work, transitions: Transitions) -> Any:
    if isinstance(work, Append):
        transitions.append(work)
        return None
    return work(transitions)


def _deliver(loop: asyncio.AbstractEventLoop, outcomes: Sequence[tuple[Callable[[Any], None], Any]]) -> None:
    for done, outcome in outcomes:
        try:
            done(outcome)
        except Exception as error:
            loop.call_exception_handler({"message": "a store's callback failed", "exception": error})
