"""The server that the tests of the PostgreSQL store run on is a real one, and tells of connections that are left."""

from __future__ import annotations

import psycopg
import pytest

from ..postgres import ELSEWHERE, NEWEST, OLDEST, Server, over_tcp, plain, schema, tcp_address


@pytest.mark.parametrize("transport", ["socket", "tcp"])
def test_a_schema_for_a_test(postgres_url: str, transport: str) -> None:
    """Each test has a role that may create its schema, over the socket and over TCP."""
    url = postgres_url if transport == "socket" else over_tcp(postgres_url, *tcp_address(postgres_url))
    with psycopg.connect(plain(url)) as connection:
        name = connection.info.user
        connection.execute(f"CREATE SCHEMA {name}")
        connection.execute("CREATE TABLE things (number int)")
        assert connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'things'").fetchall() == [(name,)]
        assert connection.info.server_version // 10000 == NEWEST or ELSEWHERE


def test_the_oldest_version(oldest_postgres_url: str) -> None:
    with psycopg.connect(plain(oldest_postgres_url)) as connection:
        assert connection.info.server_version // 10000 == OLDEST


def test_a_connection_that_is_left_is_found(postgres_server: str) -> None:
    with pytest.raises(AssertionError, match="connections are left"), schema(postgres_server, 0.1) as url:
        left = psycopg.connect(plain(url))
    left.close()


def test_a_server_that_a_test_kills(own_postgres: Server) -> None:
    """What was committed is there after SIGKILL; a connection notices."""
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things AS SELECT 1 AS number")
        own_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_postgres.start()
    own_postgres.restart()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT number FROM things").fetchall() == [(1,)]
