"""What a store file may turn out to be, and what may go wrong with it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wfgen.environment import Environment
from wfgen.errors import StoreBusyError, StoreError, StoreFormatError, StoreFullError, StoreVersionError
from wfgen.events import Event
from wfgen.ids import RunId
from wfgen.store.processes import this_process
from wfgen.store.records import Append, NewRun, Verdict
from wfgen.store.sqlite import SQLiteStore
from wfgen.store.sqlite.schema import APPLICATION_ID, MIGRATIONS, Migration


def use(
    path: Path,
    scenario: Callable[[SQLiteStore], Awaitable[None]] | None = None,
    *,
    busy_timeout: float = 0.3,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Open a store, await the scenario, close."""

    async def main() -> None:
        store = SQLiteStore(path, Environment(), busy_timeout=busy_timeout, migrations=migrations)
        await store.open()
        try:
            if scenario is not None:
                async with asyncio.timeout(60):
                    await scenario(store)
        finally:
            await store.close()

    asyncio.run(main())


def new(run_id: str, input: bytes = b"{}") -> NewRun:
    return NewRun(RunId(run_id), "flow", "1", input, "salt")


async def hold(store: SQLiteStore, run_id: str) -> None:
    """Create a run and claim it, as its first epoch."""
    process = this_process(Environment())
    await store.register(process, 60)
    await store.create(new(run_id))
    await store.claim(process.process_id, [("flow", "1")], 1)


async def append(store: SQLiteStore, run_id: str, seq: int, payload: bytes = b"") -> Verdict:
    told: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    store.append(Append(RunId(run_id), 1, [Event(seq, "step_completed", 1.0, "0/s", {}, payload)]), told.set_result)
    return await told


def sql(path: Path, *statements: str) -> list[Any]:
    """Rows of the last statement, by plain SQLite."""
    connection = sqlite3.connect(path, isolation_level=None)
    rows: list[Any] = []
    for statement in statements:
        rows = connection.execute(statement).fetchall()
    connection.close()
    return rows


def test_the_file_and_its_folders_are_created(tmp_path: Path) -> None:
    """A store makes its folders, marks its file, and leaves one file behind when it is closed."""
    path = tmp_path / "deep" / "er" / "wf gen%20?.db"
    use(path)
    assert sql(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert sql(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert sql(path, "PRAGMA journal_mode") == [("wal",)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("chosen", "level"), [("full", 2), ("normal", 1)])
def test_commits_wait_for_the_disk_unless_told_otherwise(tmp_path: Path, chosen: Any, level: int) -> None:
    """The connection that writes runs at the chosen level; the default is the durable one."""

    async def main() -> None:
        store = SQLiteStore(tmp_path / "w.db", Environment(), synchronous=chosen)
        await store.open()
        seen = await store._write(lambda transitions: transitions._connection.execute("PRAGMA synchronous").fetchone())
        await store.close()
        assert seen == (level,)

    asyncio.run(main())
    assert SQLiteStore(tmp_path / "w.db", Environment())._synchronous == "full"


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """A file of no bytes is taken as new."""
    path = tmp_path / "w.db"
    path.touch()
    use(path, lambda store: hold(store, "r1"))
    assert sql(path, "SELECT count(*) FROM runs") == [(1,)]


@pytest.mark.parametrize(
    "content",
    [b"x", b"just some text\n", b"line\n" * 5000, bytes(range(256)) * 40, b"SQLite format 3\0", b"\0" * 4096],
    ids=["byte", "text", "long text", "garbage", "header", "zeros"],
)
def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    """Other content is a format error that names the file, and not a byte of it changes."""
    path = tmp_path / "w.db"
    path.write_bytes(content)
    with pytest.raises(StoreFormatError, match=r"w\.db is not a wfgen store.*engine"):
        use(path)
    assert path.read_bytes() == content


def test_a_database_of_another_application_is_refused_and_kept(tmp_path: Path) -> None:
    """Somebody else's SQLite file is not touched, not even its journal mode."""
    path = tmp_path / "w.db"
    sql(path, "CREATE TABLE mine (a)", "INSERT INTO mine VALUES (1)")
    content = path.read_bytes()
    with pytest.raises(StoreFormatError, match="another application"):
        use(path)
    assert path.read_bytes() == content


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A path that is a folder is a format error, not a bare one."""
    with pytest.raises(StoreFormatError, match="it is a folder"):
        use(tmp_path)


def test_a_newer_store_is_refused_and_kept(tmp_path: Path) -> None:
    """A file of a newer wfgen says which versions, and what to do; nothing is changed."""
    path = tmp_path / "w.db"
    use(path)
    sql(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreVersionError, match=r"newer wfgen.*version 99.*Upgrade"):
        use(path)
    assert sql(path, "PRAGMA user_version") == [(99,)]


def test_an_older_store_is_brought_up_to_date(tmp_path: Path) -> None:
    """Missing migrations are applied, each once, and the data stays."""
    path = tmp_path / "w.db"
    use(path, lambda store: hold(store, "r1"))
    newer = (
        *MIGRATIONS,
        ("ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'", "CREATE INDEX by_colour ON runs (colour)"),
        ("CREATE TABLE extra (a)",),
    )
    for _ in range(2):
        use(path, migrations=newer)
    assert sql(path, "PRAGMA user_version") == [(len(newer),)]
    assert sql(path, "SELECT run_id, colour FROM runs") == [("r1", "red")]
    with pytest.raises(StoreVersionError):
        use(path)


def test_a_migration_that_fails_leaves_the_old_store(tmp_path: Path) -> None:
    """Migrations are one transaction: all of them, or none and an error."""
    path = tmp_path / "w.db"
    use(path, lambda store: hold(store, "r1"))
    with pytest.raises(StoreError, match="no_such_table"):
        use(path, migrations=(*MIGRATIONS, ("CREATE TABLE extra (a)", "INSERT INTO no_such_table VALUES (1)")))
    assert sql(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert sql(path, "SELECT count(*) FROM sqlite_master WHERE name = 'extra'") == [(0,)]
    use(path)


def test_a_file_that_stays_locked_is_busy(tmp_path: Path) -> None:
    """Opening waits for as long as it is told, then names the file and what to do."""
    path = tmp_path / "w.db"
    use(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(StoreBusyError, match=r"w\.db is locked by another program"):
        use(path)
    assert time.monotonic() - started >= 0.3
    other.close()
    use(path)


def test_a_write_lock_refuses_appends_and_spares_reads(tmp_path: Path) -> None:
    """While another program holds the write lock appends end as busy, reads answer; afterwards all goes on."""
    path = tmp_path / "w.db"

    async def scenario(store: SQLiteStore) -> None:
        await hold(store, "r1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = append(store, "r1", 2)
        waiting = asyncio.ensure_future(refused)
        await asyncio.sleep(0)
        assert (await store.get_run("r1")).status == "running"
        assert isinstance(await waiting, StoreBusyError)
        with pytest.raises(StoreBusyError):
            await store.create(new("r2"))
        process = (await store.processes())[0][0]
        with pytest.raises(StoreBusyError):
            await asyncio.to_thread(store.renew, process.process_id, 15)
        other.close()
        assert await append(store, "r1", 2) is None
        assert await asyncio.to_thread(store.renew, process.process_id, 15)
        assert [event.seq for event in await store.history("r1")] == [1, 2]

    use(path, scenario)


def test_a_lock_that_ends_in_time_is_waited_for(tmp_path: Path) -> None:
    """A short lock of another program delays an append and does not refuse it."""
    path = tmp_path / "w.db"

    async def scenario(store: SQLiteStore) -> None:
        await hold(store, "r1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        verdict = asyncio.ensure_future(append(store, "r1", 2))
        await asyncio.sleep(0.2)
        assert not verdict.done()
        other.close()
        assert await verdict is None

    use(path, scenario, busy_timeout=20)


def test_a_full_store_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """At its size limit the store refuses what does not fit, keeps what it has, and goes on once there is room."""
    path = tmp_path / "w.db"

    async def limit(store: SQLiteStore, pages: int) -> None:
        await store._write(lambda transitions: transitions._connection.execute(f"PRAGMA max_page_count = {pages}"))

    async def scenario(store: SQLiteStore) -> None:
        await hold(store, "r1")
        await limit(store, 40)
        seq = 2
        while (verdict := await append(store, "r1", seq, b"x" * 3000)) is None:
            seq += 1
        assert seq > 3
        assert isinstance(verdict, StoreFullError)
        assert "nothing that was recorded is lost" in str(verdict)
        assert isinstance(await append(store, "r1", seq + 1), StoreError), "what follows is refused as well"
        assert len(await store.history("r1")) == seq - 1
        await limit(store, 1_000_000)
        assert await append(store, "r1", seq, b"x" * 3000) is None
        assert [event.seq for event in await store.history("r1")] == list(range(1, seq + 1))

    use(path, scenario)


def test_the_systems_own_limit_is_a_full_store(tmp_path: Path) -> None:
    """When the operating system refuses to let the file grow, nothing acknowledged is lost, and it goes on later."""
    path = tmp_path / "w.db"
    program = f"""
import asyncio, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store_files import append, hold, use
from wfgen.errors import StoreFullError
from pathlib import Path

async def scenario(store):
    await hold(store, "r1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    seq = 2
    while (verdict := await append(store, "r1", seq, b"x" * 3000)) is None:
        seq += 1
    assert isinstance(verdict, StoreFullError), repr(verdict)
    assert len(await store.history("r1")) == seq - 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for more in range(100):
        assert await append(store, "r1", seq + more, b"x" * 3000) is None
    assert len(await store.history("r1")) == seq + 99
    print("went on")

use(Path({str(path)!r}), scenario)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("went on\n", "")
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_path_below_a_file_cannot_be_created(tmp_path: Path) -> None:
    """A folder that cannot be made is told with the path and the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFullError, match=r"w\.db cannot be created"):
        use(tmp_path / "file" / "w.db")
    with pytest.raises(StoreFullError, match=r"w\.db cannot be created"):
        use(tmp_path / "file" / "deeper" / "w.db")


@pytest.mark.parametrize("exists", [False, True], ids=["new file", "old file"])
def test_a_folder_without_the_right_to_write(exists: bool) -> None:
    """In a read-only folder a store can neither be made nor opened, and the error says so."""
    folder = Path(tempfile.mkdtemp())  # not below tmp_path, which only its owner can enter
    path = folder / "w.db"
    if exists:
        use(path)
        path.chmod(0o444)
    folder.chmod(0o555)
    program = f"""
import asyncio, pathlib
from wfgen.environment import Environment
from wfgen.errors import StoreFullError
from wfgen.store.sqlite import SQLiteStore
from os import setgid, setuid, geteuid
if geteuid() == 0:  # root may write everywhere
    setgid(65534)
    setuid(65534)
try:
    asyncio.run(SQLiteStore(pathlib.Path({str(path)!r}), Environment()).open())
except StoreFullError as error:
    print(error)
"""
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert done.stderr == ""
    assert f"the store {path} cannot be written" in done.stdout
    assert "Let this user write" in done.stdout


def test_a_damaged_page_is_told(tmp_path: Path) -> None:
    """Garbage inside the file ends in a format error that says the store is damaged, from reads and appends."""
    path = tmp_path / "w.db"

    async def fill(store: SQLiteStore) -> None:
        await hold(store, "r1")
        for seq in range(2, 60):
            assert await append(store, "r1", seq, b"x" * 2000) is None

    use(path, fill)
    (root,) = sql(path, "SELECT rootpage FROM sqlite_master WHERE name = 'events'")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)

    async def scenario(store: SQLiteStore) -> None:
        with pytest.raises(StoreFormatError, match="damaged"):
            await store.history("r1")
        assert isinstance(await append(store, "r1", 60), StoreFormatError)
        with pytest.raises(StoreFormatError):
            await store.create(new("r2"))

    use(path, scenario)


def test_opening_twice_is_refused(tmp_path: Path) -> None:
    """One store object is one set of connections; it can be opened again after closing."""

    async def scenario(store: SQLiteStore) -> None:
        with pytest.raises(StoreError, match="open already"):
            await store.open()
        await store.close()
        await store.open()
        await store.create(new("r1"))

    use(tmp_path / "w.db", scenario)


def test_a_failed_opening_can_be_repeated(tmp_path: Path) -> None:
    """Once what was in the way is gone, the same store opens."""
    path = tmp_path / "w.db"
    path.write_text("in the way")

    async def main() -> None:
        store = SQLiteStore(path, Environment())
        with pytest.raises(StoreFormatError):
            await store.open()
        path.unlink()
        await store.open()
        await store.close()

    asyncio.run(main())


def test_the_cost_of_an_append_is_flat(tmp_path: Path) -> None:
    """An append takes the same number of SQLite's steps in a long run as in a short one."""

    async def scenario(store: SQLiteStore) -> None:
        await hold(store, "r1")
        statements: list[str] = []
        await store._write(lambda transitions: transitions._connection.set_trace_callback(statements.append))
        counts: list[int] = []
        for seq in range(2, 1002):
            statements.clear()
            assert await append(store, "r1", seq) is None
            # An idle thread looks for other programs' writes now and then, whatever is appended.
            counts.append(sum(not statement.startswith("PRAGMA") for statement in statements))
        assert set(counts[:100]) == set(counts[-100:]) == {3}

    use(tmp_path / "w.db", scenario)
