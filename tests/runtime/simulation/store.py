"""The real SQLite store without its threads: committed and read when the simulation says so, with faults."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wfgen.errors import StoreBusyError, WfgenError
from wfgen.store.records import Append, ProcessRecord
from wfgen.store.sqlite import SQLiteStore
from wfgen.store.sqlite.committer import Committer, Job, _deliver
from wfgen.store.sqlite.faults import fault
from wfgen.store.sqlite.reader import Query, Reader
from wfgen.store.sqlite.schema import open_file
from wfgen.store.sqlite.transitions import Transitions

from .world import describe

if TYPE_CHECKING:
    from .process import Process


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    """What SQLite raises, with its code."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


class Connection:
    """A connection whose next transaction fails as it is told."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real
        self.fate = ""
        self.executemany = real.executemany
        self.close = real.close

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if self.fate:
            if self.fate == "busy" and statement == "BEGIN IMMEDIATE":
                raise sqlite_error(sqlite3.SQLITE_BUSY, "database is locked")
            if statement == "COMMIT":
                if self.fate == "unsure":
                    self._real.execute(statement)
                if self.fate in ("full", "unsure"):
                    code = sqlite3.SQLITE_FULL if self.fate == "full" else sqlite3.SQLITE_IOERR_FSYNC
                    raise sqlite_error(code, "simulated")
        return self._real.execute(statement, *arguments)


class SimulatedCommitter(Committer):
    """Takes what is queued and commits it together, at a time and with a fate that the seed decides."""

    def __init__(self, process: Process, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._process = process
        self._world = process.world
        self._queue: list[Job] = []
        self._at_work = False
        self._glancing = False

    def submit(self, job: Job, *, brief: bool = False) -> None:
        self._queue.append(job)
        if self._at_work:
            return
        self._at_work = True
        if brief and self._world.random.random() < 0.5:
            self._process.loop.call_soon(self._work)  # on the loop's own thread
        else:
            self._world.after(self._world.soon(0.0002), self._work, self._process)

    def changed(self) -> None:
        """Another connection has written: seen after a while."""
        if not self._glancing:
            self._glancing = True
            self._world.after(self._world.random.uniform(0.005, 0.1), self._glance_now, self._process)

    def _glance_now(self) -> None:
        self._glancing = False
        self._look()
        if self._changed:
            self._changed = False
            self._process.loop.call_soon(self._on_change)

    def _work(self) -> None:
        world, process = self._world, self._process
        batch, self._queue = self._queue, []
        faults = world.faults
        if world.chance(faults.crash_before_commit):
            process.crash("before a commit of " + "; ".join(describe(work) for work, _ in batch))
            return
        if world.chance(faults.stall_at_commit):
            self._queue = batch
            process.stall(world.stall(), whole=True)
            world.after(0.0, self._work, process)
            return
        connection: Any = self._connection
        connection.fate = next((fate for fate in ("busy", "full", "unsure") if world.chance(getattr(faults, fate))), "")
        if connection.fate == "unsure" and not all(isinstance(work, Append) for work, _ in batch):
            connection.fate = ""  # who waits for an answer would have to ask again what became of it
        outcomes = self._commit(batch)
        for (work, _), (_, outcome) in zip(batch, outcomes, strict=True):
            world.note(f"{process.name} {connection.fate} {describe(work)} -> {shown(outcome)}")
        if connection.fate == "unsure":
            world.model.committed(process, [], [])
        else:
            world.model.committed(process, [work for work, _ in batch], [outcome for _, outcome in outcomes])
        connection.fate = ""
        if world.chance(faults.crash_after_commit):
            process.crash("after a commit, before anybody was told")
            return
        if world.chance(faults.stall_at_commit):
            process.stall(world.stall(), whole=True)
        world.after(world.soon(), partial(self._told, outcomes), process)

    def finish(self) -> None:
        """Commit what is queued, before the process leaves."""
        batch, self._queue = self._queue, []
        if batch:
            outcomes = [outcome for _, outcome in self._commit(batch)]
            self._world.model.committed(self._process, [work for work, _ in batch], outcomes)

    def _told(self, outcomes: Sequence[Any]) -> None:
        self._process.loop.call_soon(_deliver, self._loop, outcomes)
        self._changed = False
        if self._queue:
            self._world.after(0.0, self._work, self._process)
        else:
            self._at_work = False


class SimulatedReader(Reader):
    """Answers queries after a while."""

    def __init__(self, process: Process, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._process = process
        self.connection = self._connect()

    def submit(self, query: Query) -> None:
        world = self._process.world
        world.after(world.soon(0.0005), partial(self._read, query), self._process)

    def _read(self, query: Query) -> None:
        world = self._process.world
        read, done = query
        answer: Any
        try:
            if world.chance(world.faults.unreadable):
                raise sqlite_error(sqlite3.SQLITE_BUSY, "database is locked")
            answer = read(self.connection)
        except WfgenError as error:
            answer = error
        except Exception as error:
            answer = fault(error, self._path)
        world.after(world.soon(0.0005), lambda: self._process.loop.call_soon(done, answer) and None, self._process)


class SimulatedStore(SQLiteStore):
    """The store of one simulated process."""

    def __init__(self, process: Process) -> None:
        file: Any = process.world.place
        super().__init__(file.path, process.environment, synchronous="normal", busy_timeout=0)
        self._process = process

    async def open(self) -> None:
        process = self._process
        committer = SimulatedCommitter(
            process,
            self.path,
            partial(self._faulty, self.path),
            lambda connection: Transitions(connection, process.environment.clock, self._is_gone),
            asyncio.get_running_loop(),
            threading.Lock(),
            0.0,
            self._others_wrote,
        )
        committer.open()
        self._committer = committer
        self._reader = SimulatedReader(process, self.path, self._connect, asyncio.get_running_loop())

    async def close(self) -> None:
        if isinstance(self._committer, SimulatedCommitter):
            self._committer.finish()
        self.drop()

    def drop(self) -> None:
        """Close the connections."""
        committer, reader = self._committer, self._reader
        self._committer = self._reader = None
        if isinstance(committer, SimulatedCommitter):
            committer._connection.close()
        if isinstance(reader, SimulatedReader):
            reader.connection.close()
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None

    def changed(self, _: Collection[str]) -> None:
        """Another process has written."""
        if isinstance(self._committer, SimulatedCommitter):
            self._committer.changed()

    def renew(self, process_id: str, lease: float) -> bool:
        world = self._process.world
        if world.chance(world.faults.busy):
            raise StoreBusyError("simulated")
        renewed = super().renew(process_id, lease)
        world.model.committed(self._process, [], [])
        return renewed

    def _faulty(self, path: Path) -> Any:
        return Connection(open_file(path, synchronous="normal", busy_timeout=0))

    def _is_gone(self, record: ProcessRecord) -> bool:
        world = self._process.world
        return world.faults.notices_deaths and any(
            process.dead for process in world.processes if record.process_id in process.identities
        )


def shown(outcome: Any) -> str:
    """An outcome, for the trace."""
    if isinstance(outcome, Exception):
        return f"{type(outcome).__name__}: {str(outcome)[:100]}"
    if isinstance(outcome, list):
        return str([f"{one.run.run_id[:8]}@{one.run.epoch}" if hasattr(one, "run") else one for one in outcome])
    return str(outcome)[:60]
