"""Where the runs of a simulation are kept, as the model and the last check see it: a store file."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wfgen.environment import Clock
from wfgen.events import Event
from wfgen.store.records import ANY_CHANGE, RunRecord
from wfgen.store.sqlite import queries
from wfgen.store.sqlite.schema import open_file

if TYPE_CHECKING:
    from .process import Process
    from .world import World

FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


class Place(Protocol):
    """What the simulation needs of a store beside the engine's own ways to it."""

    folder: Path
    """For the project's settings."""
    jumps: Sequence[float]
    """By how much its clock may be set, in seconds."""

    def clock(self, world: World, name: str) -> Clock:
        """The clock of a process."""
        ...

    def store(self, process: Process) -> Any:
        """The store of a process."""
        ...

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What a query gives; `?` stands for a value."""
        ...

    def new_events(self) -> list[Any]:
        """Run, number, type, time, key, data and payload of the events that were recorded since the last look."""
        ...

    def others(self, process: Process, processes: Sequence[Process]) -> list[tuple[Process, Collection[str]]]:
        """Of these, those who hear that a process has written, and what."""
        ...

    def finished(self) -> Iterator[tuple[RunRecord, list[Event]]]:
        """The finished runs, with what a replay is given."""
        ...

    def digest(self) -> str:
        """Of all that was recorded: the same for the same seed."""
        ...

    def close(self) -> None: ...


class File:
    """A store file, in memory where there is a folder for that."""

    jumps: Sequence[float] = (-60.0, -5.0, -0.5, 0.5, 5.0)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "store.db"
        self.path.write_bytes(_empty_store())
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        self._version = self._data_version()
        self._position = 0

    def clock(self, world: World, name: str) -> Clock:
        return world.clock  # all are on one machine

    def store(self, process: Process) -> Any:
        from .store import SimulatedStore

        return SimulatedStore(process)

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    def _data_version(self) -> int:
        return int(self.rows("PRAGMA data_version")[0][0])

    def new_events(self) -> list[Any]:
        found = self.rows(
            "SELECT e.position, r.run_id, e.seq, e.type, e.time, e.key, e.data, e.payload"
            " FROM events AS e JOIN runs AS r ON r.run = e.run WHERE e.position > ? ORDER BY e.position",
            self._position,
        )
        if found:
            self._position = found[-1][0]
        return [row[1:] for row in found]

    def others(self, process: Process, processes: Sequence[Process]) -> list[tuple[Process, Collection[str]]]:
        version, self._version = self._version, self._data_version()
        return [] if version == self._version else [(one, ANY_CHANGE) for one in processes if one is not process]

    def finished(self) -> Iterator[tuple[RunRecord, list[Event]]]:
        for (number,) in self.rows("SELECT run FROM runs WHERE finished_at IS NOT NULL"):
            run = queries.get_by_number(self._connection, number)
            yield run, queries.replayed_events_of(self._connection, [number])[0][number]

    def digest(self) -> str:
        rows = self.rows("SELECT * FROM events ORDER BY position")
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def close(self) -> None:
        self._connection.close()


@contextmanager
def new_file() -> Iterator[File]:
    """A store file without runs."""
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="wfgen-simulation-") as folder:
        file = File(Path(folder))
        try:
            yield file
        finally:
            file.close()


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        path = Path(folder) / "store.db"
        open_file(path, synchronous="normal", busy_timeout=1).close()
        return path.read_bytes()
