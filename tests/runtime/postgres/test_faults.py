"""What can be wrong with a database, in wfgen's own words."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from wfgen.environment import Environment
from wfgen.errors import (
    ConfigurationError,
    StoreAccessError,
    StoreBusyError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreGoneError,
    StoreUnreachableError,
)
from wfgen.store.postgres.address import parse
from wfgen.store.postgres.faults import fault
from wfgen.store.postgres.store import PostgresStore
from wfgen.testing.stores.desk import new, record, step

from ...postgres import Server, free_port, over_tcp, plain, tcp_address
from .worlds import opened, play, registered


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("57P01", StoreUnreachableError),  # the administrator ends the session
        ("57P03", StoreUnreachableError),  # it is starting
        ("53300", StoreUnreachableError),  # too many connections
        ("08006", StoreUnreachableError),
        ("25P03", StoreUnreachableError),  # idle in a transaction for too long
        ("55P03", StoreBusyError),
        ("57014", StoreBusyError),
        ("40P01", StoreBusyError),
        ("40001", StoreBusyError),
        ("53100", StoreFullError),
        ("25006", StoreFullError),  # a replica
        ("42501", StoreAccessError),
        ("28P01", StoreAccessError),
        ("42P01", StoreGoneError),
        ("XX001", StoreFormatError),
        ("58030", StoreFormatError),
        ("23505", StoreError),
    ],
)
def test_each_kind_of_error_has_its_own(state: str, kind: type[StoreError]) -> None:
    """D16: Codes of the server become the errors of stores, which say where and what to do."""
    error = fault(errors.lookup(state)("it says so\n  at length."), "PostgreSQL db:5432")
    assert type(error) is kind
    assert "PostgreSQL db:5432" in str(error)
    assert "it says so at length" in str(error)


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        (("user", "nobody_of_that_name"), StoreAccessError, "nobody_of_that_name.*Check user and password"),
        (("database", "no_such_database"), StoreAccessError, "no_such_database.*Create the database"),
        (("port", ""), StoreUnreachableError, "cannot be reached.*server runs"),
    ],
)
def test_a_connection_that_is_refused(
    postgres_url: str, change: tuple[str, str], kind: type[StoreError], match: str
) -> None:
    """The message says why, names the place, and holds no password."""
    what, value = change
    parts = urlsplit(over_tcp(postgres_url))
    host = parts.netloc.rpartition("@")[2]
    if what == "user":
        parts = parts._replace(netloc=f"{value}:geheim@{host}")
    elif what == "database":
        parts = parts._replace(path=f"/{value}")
    else:
        parts = parts._replace(netloc=f"me:geheim@127.0.0.1:{free_port()}")

    async def story() -> None:
        with pytest.raises(kind, match=match) as raised:
            await PostgresStore(parts.geturl(), Environment()).open()
        assert "geheim" not in str(raised.value)
        assert str(parts.password) not in str(raised.value)

    play(story)


def test_passwords_and_what_a_server_refuses(
    own_postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords are taken from where libpq takes them; each refusal has its error and advice, and repeats none."""
    with psycopg.connect(own_postgres.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE guarded LOGIN PASSWORD 'geheim:%@'")
        admin.execute("CREATE ROLE covered LOGIN")
        admin.execute("CREATE ROLE alone LOGIN CONNECTION LIMIT 1")
    rules = own_postgres.folder / "data" / "pg_hba.conf"
    lines = (
        "host all guarded 127.0.0.1/32 scram-sha-256",
        "hostssl all covered all trust",
        "host all covered all reject",
    )
    rules.write_text("\n".join([*lines, rules.read_text()]))
    own_postgres.restart()
    _, port = tcp_address(own_postgres.url)
    place = f"@127.0.0.1:{port}/postgres"
    kept = tmp_path / "kept"
    kept.write_text(f"127.0.0.1:{port}:*:guarded:geheim\\:%@\n")
    kept.chmod(0o600)

    async def refused(url: str, kind: type[StoreError], match: str) -> None:
        with pytest.raises(kind, match=match) as raised:
            await PostgresStore(url, Environment()).open()
        assert "geheim" not in str(raised.value)

    async def story() -> None:
        for login in ("guarded:geheim%3A%25%40", "guarded"):
            url = f"postgresql://{login}{place}" + ("" if ":" in login else f"?passfile={kept}")
            assert (await PostgresStore(url, Environment()).schema()).version == 0
        await refused(
            f"postgresql://guarded:geheim{place}", StoreAccessError, "password authentication failed.*PGPASSW"
        )
        await refused(f"postgresql://guarded{place}", StoreAccessError, "no password supplied.*PGPASSWORD")
        monkeypatch.setenv("PGPASSWORD", "geheim")
        await refused(f"postgresql://guarded{place}", StoreAccessError, "password authentication failed")
        monkeypatch.setenv("PGPASSWORD", "geheim:%@")
        await refused(f"postgresql://guarded{place}", StoreAccessError, "permission denied for database.*CREATE")
        await refused(f"postgresql://covered{place}", StoreAccessError, "pg_hba.conf.*sslmode=require")
        await refused(f"postgresql://covered{place}?sslmode=require", StoreAccessError, "SSL was required.*sslmode")
        with psycopg.connect(f"postgresql://alone{place}"):
            await refused(f"postgresql://alone{place}", StoreUnreachableError, "too many connections for role")

    play(story)


def test_a_schema_that_is_dropped_while_it_is_used(postgres_url: str) -> None:
    """WF806 says so, to who reads, to who writes and to who appends; no connection is left."""

    async def story() -> None:
        async with opened(postgres_url) as store:
            process = await registered(store)
            await store.create(new("r1"), process)
            with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
                admin.execute(f"DROP SCHEMA {admin.info.user} CASCADE".encode())
            with pytest.raises(StoreGoneError, match="lost its tables"):
                await store.list_runs()
            with pytest.raises(StoreGoneError):
                await store.terminate("r1")
            assert isinstance(await record(store, "r1", 1, step(2)), StoreGoneError)

    play(story)


def test_texts_that_cannot_be_kept(emptied_schema: str) -> None:
    """NUL becomes a sign that stands for it; what UTF-8 cannot hold is refused where it would be looked for."""

    async def story() -> None:
        async with opened(emptied_schema) as store:
            process = await registered(store)
            with pytest.raises(StoreError, match="UTF-8 cannot hold"):
                await store.create(new("r\udc80"), process)
            await store.create(new("r1"), process)
            assert await record(store, "r1", 1, step(2, data={"text": "a\x00b"}, payload=b"\x00")) is None
            error = ("Error", "a\x00b", None)
            assert await record(store, "r1", 1, step(3, type="run_failed"), status="failed", error=error) is None
            assert (await store.history("r1"))[1].data == {"text": "a\x00b"}
            assert (await store.get_run("r1")).error == "a\ufffdb"

    play(story)


@pytest.mark.parametrize(
    ("url", "schema", "place"),
    [
        ("postgresql://me:secret@db/shop", "wfgen", "PostgreSQL db, database shop, schema wfgen"),
        ("postgres://me@db:6543/shop?schema=other", "other", "PostgreSQL db:6543, database shop, schema other"),
        ("postgresql:///shop?host=/run/pg&schema=a%20b", "a b", "PostgreSQL /run/pg, database shop, schema a b"),
        (
            "postgresql://a:1,b:2/shop?target_session_attrs=any",
            "wfgen",
            "PostgreSQL a,b:1,2, database shop, schema wfgen",
        ),
        ("postgresql://me@[::1]/shop", "wfgen", "PostgreSQL ::1, database shop, schema wfgen"),
    ],
)
def test_a_url_gives_a_place_without_its_password(url: str, schema: str, place: str) -> None:
    """Everything but the schema is libpq's."""
    address = parse(url)
    assert (address.schema, address.place) == (schema, place)
    assert "secret" not in repr(address)
    assert "schema" not in address.parameters


def test_options_reach_libpq() -> None:
    """With defaults for what makes a dead server be noticed; the URL has the last word."""
    given = parse("postgresql://db/shop?sslmode=require&connect_timeout=30&application_name=billing").parameters
    assert (given["sslmode"], given["connect_timeout"], given["application_name"]) == ("require", "30", "billing")
    assert given["keepalives_idle"] == "5"


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("postgresql://u:geheim@db/x?shcema=y", "no option 'shcema'.*Did you mean 'schema'"),
        ("postgresql://u:geheim@db/x?colour=y", "no option 'colour'.*sslmode"),
        ("postgresql://u:geheim@x@db/x", "more than one @.*%40"),
        ("postgresql://u:geheim@db:port/x", "no port 'port'"),
        ("postgresql://u:geheim@db:0/x", "no port '0'"),
        ("postgresql://u:geheim@db/x?schema=pg_mine", "cannot have the schema 'pg_mine'"),
        (f"postgresql://u:geheim@db/x?schema={'s' * 64}", "cannot have the schema"),
        ("postgresql://u:geheim@db/x?connect_timeout=soon", "cannot have connect_timeout 'soon'"),
        ("postgresql://u:geheim@db/x?sslmode=on", "cannot have sslmode 'on'"),
        ("postgresql://u:geheim@db/x?schema", "malformed"),
        ("postgresql://u:geheim@[db/x", "malformed"),
    ],
)
def test_a_bad_url_says_what_is_wrong_and_keeps_secrets(url: str, match: str) -> None:
    """Each mistake has its message and advice, and no password is repeated."""
    with pytest.raises(ConfigurationError, match=match) as raised:
        parse(url)
    assert "geheim" not in str(raised.value)
