"""A PostgreSQL store that cannot be used, from the command line: stable codes, advice, exit codes, nothing lost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from wfgen import Workflow, define_worker, define_workflow
from wfgen.definitions import NAMESPACE
from wfgen.engine import open_engine
from wfgen.environment import Environment
from wfgen.errors import StoreVersionError
from wfgen.registry import Registry
from wfgen.serving import Serving
from wfgen.settings import Settings
from wfgen.store.postgres.schema import MIGRATIONS
from wfgen.store.postgres.store import PostgresStore

from ..postgres import free_port, over_tcp, plain, with_login

ALL = (
    ("runs", "list"), ("runs", "cancel", "run_1"), ("workers", "list"), ("migrate", "--status"), ("migrate",),
    ("check", "--no-types", "--live"), ("check", "--no-types", "--against", "store"),
)  # fmt: skip


def refused(shop: Any, url: str, code: str, message: str, hint: str, *commands: tuple[str, ...]) -> None:
    """Each command ends with exit code 2 and says this, doctor finds a problem, and nobody repeats the password."""
    for words in commands:
        done = shop.inside(*words, env={"WFGEN_ENGINE": url})
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert f"error[{code}]: " in done.stderr, (words, done.stderr)
        assert message in done.stderr, (words, done.stderr)
        assert hint in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stdout + done.stderr
    told = shop.inside("doctor", env={"WFGEN_ENGINE": url})
    assert told.returncode == (1 if code != "WF600" or "problem" in told.stdout else 2)
    assert code in told.stdout + told.stderr
    assert "secret" not in told.stdout + told.stderr


def changed(url: str, **options: str) -> str:
    """The URL with other options."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **options})))


@pytest.fixture
def stranger(postgres_server: str) -> Iterator[Any]:
    """Makes roles that may do nothing but log in; they go with the test. Gives their name."""
    names: list[str] = []

    def make(*rights: str) -> str:
        name = f"t_{secrets.token_hex(6)}"
        names.append(name)
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(name)))
            for right in rights:
                admin.execute(right.replace("ROLE", name).encode())
        return name

    yield make
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        for name in names:
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (name,))
            admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("postgresql://me:secret@@host/db", "more than one @", "postgresql://user@host"),
        ("postgresql://me:secret@host/db?shema=x", "no option 'shema'", "schema"),
        ("postgresql://me:secret@host/db?sslmod=require", "no option 'sslmod'", "Did you mean 'sslmode'?"),
        ("postgresql://me:secret@host/db?schema=", "cannot have the schema ''", "postgresql://user@host"),
        ("postgresql://me:secret@host:port/db", "has no port 'port'", "postgresql://user@host"),
        ("postgresqll://me:secret@host/db", "no engine is called 'postgresqll'", "postgresql://"),
    ],
)
def test_a_url_that_is_none(shop: Any, url: str, message: str, hint: str) -> None:
    """A malformed URL is a bad setting, and is not repeated."""
    refused(shop, url, "WF600", message, hint, ("runs", "list"), ("migrate",))


def test_a_server_that_is_not_there(shop: Any) -> None:
    """WF807 for whatever is asked, at once."""
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/db"
    refused(shop, url, "WF807", "cannot be reached", "See that the server runs", *ALL)
    done = shop("worker", "--until-idle", env={"WFGEN_ENGINE": url})
    assert (done.returncode, "error[WF807]" in done.stderr) == (2, True)


def test_a_user_whom_the_server_does_not_want(shop: Any, postgres_url: str, own_postgres: Any) -> None:
    """WF808 for a role or a database that is not there, and for a wrong password."""
    few = ("runs", "list"), ("migrate",), ("workers", "list")
    refused(shop, with_login(postgres_url, "nobody_at_all", "secret"), "WF808", "nobody_at_all", "Check user", *few)
    parts = urlsplit(postgres_url)
    other = urlunsplit(parts._replace(path="/no_such_database"))
    refused(shop, other, "WF808", 'database "no_such_database" does not exist', "Create the database", *few)
    with psycopg.connect(own_postgres.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = own_postgres.folder / "data" / "pg_hba.conf"
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    own_postgres.restart()
    guarded = with_login(over_tcp(own_postgres.url), "guarded", "secret")
    refused(shop, guarded, "WF808", 'password authentication failed for user "guarded"', "Check user", *few)


def test_a_user_without_rights_on_the_schema(shop: Any, postgres_url: str, stranger: Any) -> None:
    """WF808 with advice, whether the tables are there or to be made; nothing is made meanwhile."""
    url = with_login(postgres_url, stranger(), "secret")
    done = shop.inside("migrate", env={"WFGEN_ENGINE": url})
    assert done.returncode == 2
    assert "error[WF808]: " in done.stderr
    assert "run what `wfgen migrate --sql` prints" in done.stderr
    assert shop.inside("migrate", env={"WFGEN_ENGINE": postgres_url}).returncode == 0
    refused(shop, url, "WF808", "permission denied", "rights", *(words for words in ALL if words[0] != "migrate"))


def test_an_administrator_makes_the_tables(shop: Any, postgres_server: str, stranger: Any) -> None:
    """What `--sql` prints, run by somebody who may, is enough: a user with rights on rows alone works runs then."""
    user, reader = stranger(), stranger()
    schema = f"{user}_s"
    url = changed(with_login(postgres_server, user, "secret"), schema=schema)
    script = shop.inside("migrate", "--sql", env={"WFGEN_ENGINE": url})
    assert script.returncode == 0, script.stderr
    try:
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(script.stdout.encode())
            admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {user}".encode())
            admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}".encode())
        assert shop.ask("migrate", "--status", "--json", env={"WFGEN_ENGINE": url})["pending"] == []
        done = shop("run", "order", "--input", '{"item": "tea"}', env={"WFGEN_ENGINE": url})
        assert done.returncode == 0, done.stderr
        assert shop.ask("doctor", "--json", env={"WFGEN_ENGINE": url})["problems"] == 0
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {reader}".encode())
            admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}".encode())
        looking = {"WFGEN_ENGINE": changed(with_login(postgres_server, reader, "secret"), schema=schema)}
        found = ("check", "--no-types", "--live", "--against", "store", "--output-format", "json")
        assert shop.ask(*found, env=looking)["diagnostics"] == []
        assert shop.ask("doctor", "--json", env=looking)["problems"] == 0
        assert shop.ask("workers", "list", "--json", env=looking) == []
        (run,) = shop.ask("runs", "list", "--json", env=looking)
        assert shop.ask("runs", "show", run["run_id"], "--json", env=looking)["status"] == "completed"
        done = shop.inside("runs", "retry", run["run_id"], env=looking)
        assert (done.returncode, "error[WF808]" in done.stderr) == (2, True)
    finally:
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def test_an_owner_of_an_empty_schema_makes_the_tables(shop: Any, postgres_server: str, stranger: Any) -> None:
    """A user who may not make schemas is given one, and needs nothing else."""
    user = stranger("CREATE SCHEMA ROLE_s AUTHORIZATION ROLE")
    url = changed(with_login(postgres_server, user, "secret"), schema=f"{user}_s")
    assert shop.ask("migrate", "--json", env={"WFGEN_ENGINE": url})["pending"] == []


def test_a_schema_of_another_version(shop: Any, postgres_url: str) -> None:
    """A newer one is refused by all commands with WF802; an older one is read by none, and brought up to date."""
    env = {"WFGEN_ENGINE": postgres_url}
    assert shop.inside("migrate", env=env).returncode == 0
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute("UPDATE meta SET value = '99' WHERE name = 'version'")
        before = admin.execute("SELECT * FROM meta").fetchall()
        refused(shop, postgres_url, "WF802", "version 99", "", *ALL)
        assert admin.execute("SELECT * FROM meta").fetchall() == before
        admin.execute("UPDATE meta SET value = %s WHERE name = 'version'", (str(len(MIGRATIONS)),))
    newer = (*MIGRATIONS, "CREATE TABLE extra (a bigint);")

    async def main() -> None:
        reader = PostgresStore(postgres_url, Environment(), migrations=newer, read_only=True)
        with pytest.raises(StoreVersionError, match=f"has a schema of version {len(MIGRATIONS)}"):
            await reader.open()
        writer = PostgresStore(postgres_url, Environment(), migrations=newer)
        assert list((await writer.schema()).pending) == [len(newer)]
        await writer.open()
        await reader.open()
        assert list((await writer.schema()).pending) == []
        await reader.close()
        await writer.close()

    asyncio.run(main())
    refused(shop, postgres_url, "WF802", f"version {len(newer)}", "Upgrade wfgen", ("runs", "list"), ("migrate",))


def test_a_schema_of_something_else(shop: Any, postgres_url: str) -> None:
    """Tables of another application are left alone: WF801."""
    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        name = dict(parse_qsl(urlsplit(postgres_url).query))["schema"]
        admin.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        admin.execute("CREATE TABLE runs (mine text)")
        refused(shop, postgres_url, "WF801", "tables of something else", "`?schema=`", *ALL)
        assert admin.execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_the_script_does_what_opening_does(shop: Any, postgres_server: str, postgres_url: str, stranger: Any) -> None:
    """E1: run with psql's means, `migrate --sql` makes the same tables, indexes, functions and version."""
    name = dict(parse_qsl(urlsplit(postgres_url).query))["schema"]
    other = f"{name}_b"
    script = shop.inside("migrate", "--sql", env={"WFGEN_ENGINE": changed(postgres_url, schema=other)}).stdout
    assert shop.inside("migrate", env={"WFGEN_ENGINE": postgres_url}).returncode == 0

    def shape(admin: psycopg.Connection[Any], schema: str) -> list[Any]:
        columns = "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns"
        indexes = "SELECT tablename, indexname, replace(indexdef, schemaname, '') FROM pg_indexes"
        functions = "SELECT proname, prosrc, pg_get_function_arguments(p.oid) FROM pg_proc p JOIN pg_namespace n"
        return [
            admin.execute(f"{query} = %s ORDER BY 1, 2, 3".encode(), (schema,)).fetchall()
            for query in (
                f"{columns} WHERE table_schema",
                f"{indexes} WHERE schemaname",
                f"{functions} ON n.oid = pronamespace WHERE nspname",
            )
        ] + [admin.execute(f"SELECT * FROM {schema}.meta".encode()).fetchall()]

    with psycopg.connect(plain(postgres_url), autocommit=True) as admin:
        admin.execute(script.encode())
        try:
            assert shape(admin, other) == shape(admin, name)
        finally:
            admin.execute(f"DROP SCHEMA {other} CASCADE".encode())


@define_worker("stock.reserve")
def reserve(item: str) -> str:
    return f"reserved {item}"


@define_workflow(name="order", version="1", execution_mode="remote")
async def order(workflow: Workflow, item: str) -> str:
    reserved: str = await workflow.do("reserve", "stock.reserve", item)
    return reserved


@define_worker("stock.other")
def other(item: str) -> str:
    return f"counted {item}"


def test_jobs_without_a_handler(shop: Any, postgres_url: str) -> None:
    """A6, B13: a process without the job's function leaves it, as doctor tells; it is there for one that has it."""
    env = {"WFGEN_ENGINE": postgres_url}
    settings = Settings(project=shop.folder, engine=postgres_url)
    without, complete = Registry(""), Registry("")
    without.register(globals()[NAMESPACE]["worker", "stock.other", ""])
    complete.register(*globals()[NAMESPACE].values())

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            open_engine(without, settings),
            open_engine(complete, settings, serving=Serving(workers=())) as engine,
        ):
            run = await engine.start_run("order", "tea")
            while not (jobs := await engine.store.list_jobs()):
                await asyncio.sleep(0.01)
            told = await asyncio.to_thread(shop.ask, "doctor", "--json", code=1, env=env)
            (queue,) = (finding for finding in told["findings"] if finding["topic"] == "queue")
            assert (queue["state"], queue["worker"], queue["served_by"]) == ("problem", "stock.reserve", [])
            assert "`wfgen worker --workers stock.reserve`" in queue["hint"]
            assert sum(finding["topic"] == "process" for finding in told["findings"]) == 2
            job = await engine.store.get_job(jobs[0].job_id)
            assert (job.status, job.attempt, job.claims) == ("queued", 0, 0)
            async with open_engine(complete, settings, serving=Serving(workflows=())):
                assert await run.result() == "reserved tea"
            job = await engine.store.get_job(job.job_id)
            assert (job.status, job.attempt) == ("completed", 1)

    asyncio.run(main())
