"""The proxy of the tests does to a real connection what it says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import psycopg
import pytest

from ..postgres import plain
from ..proxy import Proxy, proxy


@pytest.fixture
def between(postgres_url: str) -> Iterator[Proxy]:
    with proxy(postgres_url) as one:
        yield one


def test_it_forwards_delays_and_cuts(between: Proxy, postgres_url: str) -> None:
    url = plain(between.url(postgres_url))
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT repeat('x', 1000000)").fetchone() == ("x" * 1000000,)
        between.delay(0.05)
        began = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - began >= 0.1, "each way"
        between.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert between.connections == 0
    between.heal()
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")


def test_it_refuses_and_heals(between: Proxy, postgres_url: str) -> None:
    url = plain(between.url(postgres_url))
    with psycopg.connect(url, autocommit=True) as connection:
        between.refuse()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(url)
        connection.execute("SELECT 1")  # what is open stays
        between.heal()
        psycopg.connect(url).close()


def test_what_it_holds_arrives_when_it_is_healed(between: Proxy, postgres_url: str) -> None:
    url = plain(between.url(postgres_url))
    with psycopg.connect(url, autocommit=True) as connection:
        between.black_hole()
        with ThreadPoolExecutor(2) as pool:
            answer = pool.submit(lambda: connection.execute("SELECT 7").fetchone())
            another = pool.submit(lambda: psycopg.connect(url))
            wait([answer], timeout=0.2)
            assert (answer.done(), another.done()) == (False, False)
            between.heal()
            assert answer.result(timeout=60) == (7,)
            another.result(timeout=60).close()
