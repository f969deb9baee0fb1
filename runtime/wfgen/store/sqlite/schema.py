"""The tables of a store file, how a file is recognised as one, and how an older one is brought up to date.

The `runs` row is found by an integer, so that events stay small; it carries no input (that is the payload of the event
with which the run began), so that a change of status never rewrites it. Events lie in the order in which they were
committed: what many runs append at once goes to the same few pages, and only the small index on (run, seq) is touched
all over. (Measured: with 100 long runs 1.7 times as many events a second as with each run's events side by side.)
"""

from __future__ import annotations

import contextlib
import sqlite3
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from wfgen.errors import StoreError, StoreFormatError, StoreVersionError
from wfgen.store.sqlite.faults import fault, is_busy, not_a_database

T = TypeVar("T")

Synchronous = Literal["full", "normal"]
"""Whether a commit waits until it is on the disk."""

APPLICATION_ID = int.from_bytes(b"wfgn", "big")
"""Marks the file as a wfgen store, in the header where SQLite and `file` look for it."""

CHECKPOINT_PAGES = 1000
"""How far the log grows before it is folded into the file, in pages of 4 KiB. A commit that makes the log longer than
it ever was waits longer for the disk, so a larger one slows down processes that live briefly."""

_SMALLEST = 512
"""Bytes of the smallest SQLite database that is not empty: one page of the smallest size."""

Migration = Sequence[str]
"""Single statements that lead from one schema version to the next."""

MIGRATIONS: Sequence[Migration] = (
    (
        """CREATE TABLE runs (
            run INTEGER PRIMARY KEY,
            run_id TEXT NOT NULL UNIQUE,
            workflow TEXT NOT NULL,
            version TEXT NOT NULL,
            status TEXT NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 0,
            claims INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            finished_at REAL,
            salt TEXT NOT NULL,
            idempotency_key TEXT,
            error_type TEXT,
            error TEXT,
            error_code TEXT,
            output BLOB
        )""",
        """CREATE UNIQUE INDEX runs_by_key ON runs (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL""",
        """CREATE INDEX runs_to_claim ON runs (workflow, version, run) WHERE owner IS NULL AND finished_at IS NULL""",
        """CREATE INDEX runs_by_owner ON runs (owner) WHERE owner IS NOT NULL""",
        """CREATE TABLE events (
            position INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            type TEXT NOT NULL,
            time REAL NOT NULL,
            key TEXT,
            data TEXT,
            payload BLOB
        )""",
        """CREATE UNIQUE INDEX events_by_run ON events (run, seq)""",
        """CREATE TABLE hooks (
            hook INTEGER PRIMARY KEY,
            token TEXT NOT NULL UNIQUE,
            run INTEGER NOT NULL REFERENCES runs,
            key TEXT NOT NULL,
            name TEXT NOT NULL,
            due REAL,
            state TEXT NOT NULL,
            created_at REAL NOT NULL
        )""",
        """CREATE INDEX hooks_by_run ON hooks (run)""",
        """CREATE INDEX hooks_by_state ON hooks (state)""",
        """CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL REFERENCES runs,
            kind TEXT NOT NULL,
            token TEXT UNIQUE,
            name TEXT,
            payload BLOB
        )""",
        """CREATE INDEX messages_by_run ON messages (run)""",
        """CREATE TABLE processes (
            process_id TEXT PRIMARY KEY,
            host TEXT NOT NULL,
            pid INTEGER NOT NULL,
            pid_started TEXT NOT NULL,
            started_at REAL NOT NULL,
            lease_until REAL NOT NULL
        ) WITHOUT ROWID""",
    ),
    (
        # Where the part of the run's history begins that is replayed: its last `run_started` or `run_continued`.
        """ALTER TABLE runs ADD COLUMN first_seq INTEGER NOT NULL DEFAULT 1""",
        # Of a child run: who started it, with which operation, in which part of its history (the parent's `first_seq`
        # then), and what becomes of it when the parent ends first.
        """ALTER TABLE runs ADD COLUMN parent INTEGER REFERENCES runs""",
        """ALTER TABLE runs ADD COLUMN parent_key TEXT""",
        """ALTER TABLE runs ADD COLUMN parent_part INTEGER""",
        """ALTER TABLE runs ADD COLUMN on_parent_end TEXT""",
        """CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL""",
    ),
    (
        # When a run that nobody holds has to be taken up again, in seconds since the epoch: 0 for at once, infinite
        # for one that waits for a message, or is paused.
        """ALTER TABLE runs ADD COLUMN wake_at REAL NOT NULL DEFAULT 0""",
        # Number of the run's last event when it was last claimed: whether it has got further since.
        """ALTER TABLE runs ADD COLUMN claimed_seq INTEGER NOT NULL DEFAULT 0""",
        """DROP INDEX runs_to_claim""",
        """CREATE INDEX runs_to_claim ON runs (workflow, version, wake_at)
            WHERE owner IS NULL AND finished_at IS NULL""",
        # Nobody is left asleep for whom something has come. A pause ends by a request to cancel the run alone.
        """CREATE TRIGGER messages_wake AFTER INSERT ON messages BEGIN
            UPDATE runs SET wake_at = 0
                WHERE run = NEW.run AND wake_at > 0 AND (status <> 'paused' OR NEW.kind = 'cancel');
        END""",
        # The boot of a process's machine, and the end of its lease by the monotonic clock of that.
        """ALTER TABLE processes ADD COLUMN boot TEXT NOT NULL DEFAULT ''""",
        """ALTER TABLE processes ADD COLUMN lease_end REAL NOT NULL DEFAULT 0""",
        # A run's tags as a JSON list, and the runs of a tag in the order of their start.
        """ALTER TABLE runs ADD COLUMN tags TEXT""",
        """CREATE TABLE tags (
            tag TEXT NOT NULL,
            created_at REAL NOT NULL,
            run INTEGER NOT NULL,
            PRIMARY KEY (tag, created_at, run)
        ) WITHOUT ROWID""",
        # What runs are found by. A status is in them once it is final only: else each change of it would rewrite them.
        """CREATE INDEX runs_by_time ON runs (created_at)""",
        """CREATE INDEX runs_unfinished ON runs (workflow, version, created_at) WHERE finished_at IS NULL""",
        """CREATE INDEX runs_finished ON runs (workflow, version, status, created_at, finished_at)
            WHERE finished_at IS NOT NULL""",
        """CREATE INDEX runs_by_code ON runs (error_code, created_at) WHERE error_code IS NOT NULL""",
    ),
    (
        # What a process takes (as JSON), its wfgen, and when it renewed its lease last.
        """ALTER TABLE processes ADD COLUMN serves TEXT NOT NULL DEFAULT '{}'""",
        """ALTER TABLE processes ADD COLUMN wfgen TEXT NOT NULL DEFAULT ''""",
        """ALTER TABLE processes ADD COLUMN heartbeat_at REAL NOT NULL DEFAULT 0""",
        # What was deployed: each shape that a version of a workflow had.
        """CREATE TABLE definitions (
            workflow TEXT NOT NULL,
            version TEXT NOT NULL,
            steps_hash TEXT NOT NULL,
            manifest BLOB NOT NULL,
            first_at REAL NOT NULL,
            last_at REAL NOT NULL,
            PRIMARY KEY (workflow, version, steps_hash)
        )""",
        # Steps on queues. `part` is the run's `first_seq` when the job was put: NULL once nobody listens any more.
        """CREATE TABLE jobs (
            job INTEGER PRIMARY KEY,
            job_id TEXT NOT NULL UNIQUE,
            run INTEGER NOT NULL REFERENCES runs,
            part INTEGER,
            queue TEXT NOT NULL,
            worker TEXT NOT NULL,
            key TEXT NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'queued',
            input BLOB,
            policy TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            awaited INTEGER NOT NULL,
            at_most_once INTEGER NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0,
            first_at REAL,
            started_at REAL,
            claims INTEGER NOT NULL DEFAULT 0,
            epoch INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            due REAL NOT NULL,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            progress BLOB,
            output BLOB,
            type TEXT,
            error_type TEXT,
            error TEXT,
            details TEXT,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            expires_at REAL,
            finished_at REAL
        )""",
        """CREATE INDEX jobs_to_claim ON jobs (worker, due) WHERE status = 'queued'""",
        """CREATE INDEX jobs_by_owner ON jobs (owner) WHERE owner IS NOT NULL""",
        """CREATE INDEX jobs_by_run ON jobs (run)""",
        """CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE status = 'queued' AND expires_at IS NOT NULL""",
        """CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL""",
    ),
)


def connect(path: Path, *, synchronous: Synchronous, busy_timeout: float = 0.0) -> sqlite3.Connection:
    """Open a connection in autocommit mode.

    `busy_timeout`, in seconds, is how long SQLite itself waits for a lock: right for reading. What writes should
    wait `patiently` instead.
    """
    # The connection is used by one thread at a time, which need not be the one that opens or closes it.
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # that is the committer's work, not a heartbeat's
    except BaseException:
        connection.close()
        raise
    return connection


def patiently(action: Callable[[], T], busy_timeout: float) -> T:
    """Do something that needs a lock, and try again until it gets it, for `busy_timeout` seconds of real time.

    SQLite's own waiting soon asks only ten times a second, and so starves for seconds beside a process that commits
    without a pause; and while a file is being created there are moments in which it does not wait at all.
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(0.001)


def open_file(
    path: Path, *, synchronous: Synchronous, busy_timeout: float, migrations: Sequence[Migration] = MIGRATIONS
) -> sqlite3.Connection:
    """Open a store file for writing; create the file, its folder and its tables, or bring them up to date.

    Raises:
        StoreFormatError: it is something else than a store, or damaged. It is left as it is.
        StoreVersionError: a newer wfgen made it. It is left as it is.
        StoreBusyError: another program held it locked for `busy_timeout` seconds.
        StoreFullError: no space, or no right, to write.
    """
    try:
        return patiently(lambda: _open_once(path, synchronous, migrations), busy_timeout)
    except (sqlite3.Error, OSError) as error:
        raise fault(error, path) from error


def _open_once(path: Path, synchronous: Synchronous, migrations: Sequence[Migration]) -> sqlite3.Connection:
    if path.is_dir():
        raise _folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and 0 < path.stat().st_size < _SMALLEST:
        raise not_a_database(path)  # SQLite takes some of these for empty, and would write over them
    connection = connect(path, synchronous=synchronous)
    try:
        # Looked at before anything is written, so that a file that is not ours stays as it is.
        if _version(connection, path, migrations) < len(migrations) or _journal(connection) != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
            if _journal(connection) != "wal":
                raise StoreError(
                    f"the store {path} cannot keep a write-ahead log there.",
                    hint="Point the setting `engine` to a file on a local disk.",
                )
            _migrate(connection, path, migrations)
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    except BaseException:
        connection.close()
        raise
    return connection


def _journal(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def version_of(path: Path) -> int:
    """The schema version of a file, which may be newer than any that is known; 0 if there is no store yet.

    Nothing is written.

    Raises:
        StoreFormatError: it is something else than a store, or damaged.
    """
    try:
        if path.is_dir():
            raise _folder(path)
        if not path.exists() or (size := path.stat().st_size) == 0:
            return 0
        if size < _SMALLEST:
            raise not_a_database(path)
        with contextlib.closing(connect_reading(path)) as connection:
            return _found(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise fault(error, path) from error


def connect_reading(path: Path, *, busy_timeout: float = 10.0) -> sqlite3.Connection:
    """Open a connection to a file that is there, which can write nothing."""
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def script(after: int = 0, migrations: Sequence[Migration] = MIGRATIONS) -> str:
    """The statements that `open_file` runs on a file of version `after`, for SQLite's own shell."""
    statements = [
        "PRAGMA journal_mode = WAL",
        "BEGIN IMMEDIATE",
        *(statement for migration in migrations[after:] for statement in migration),
        f"PRAGMA application_id = {APPLICATION_ID}",
        f"PRAGMA user_version = {len(migrations)}",
        "COMMIT",
    ]
    return "".join(f"{textwrap.dedent(' ' * 8 + statement)};\n" for statement in statements)


def _folder(path: Path) -> StoreFormatError:
    return StoreFormatError(
        f"{path} is not a wfgen store: it is a folder.", hint="Give the setting `engine` the path of a file."
    )


def _found(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of a file that is a store or empty."""
    application, version, tables = connection.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise StoreFormatError(
            f"{path} is not a wfgen store: it is a SQLite database of another application.",
            hint="Point the setting `engine` to a file of its own.",
        )
    return int(version)


def _version(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> int:
    """The same, of one that is not newer than what is known."""
    version = _found(connection, path)
    if version > len(migrations):
        raise StoreVersionError(
            f"the store {path} was written by a newer wfgen: its schema is version {version}, this one knows "
            f"up to {len(migrations)}.",
            hint="Upgrade wfgen-runtime, or point the setting `engine` to another file.",
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Again, now that nobody else can write: another process may have been first.
        version = _version(connection, path, migrations)
        for migration in migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
