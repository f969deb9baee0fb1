"""Steps that act on the world: over HTTP, in a database, by an agent; in sequence, side by side, on a condition."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from wfgen import Retry, Workflow, define_worker, define_workflow
from wfgen.engine import open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

from ..postgres import plain

pytestmark = pytest.mark.both_stores


class Shop(BaseHTTPRequestHandler):
    """Tells prices; the price of an anvil at the third time of asking."""

    asked: dict[str, int]

    def do_GET(self) -> None:
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        is_busy = self.path == "/anvil" and self.asked[self.path] < 3
        self.send_response(503 if is_busy else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"price": len(self.path) * 10}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.asked = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@define_worker("http.price", retry=Retry(attempts=5, delay="1ms"))
def price(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: int = json.loads(answer.read())["price"]
    except urllib.error.HTTPError as error:
        error.close()
        raise
    return found


@define_worker("database.keep", dispatch="queue")
async def keep(order: dict[str, str | int]) -> int:
    async with await psycopg.AsyncConnection.connect(str(order["database"]), autocommit=True) as connection:
        cursor = await connection.execute(
            "INSERT INTO orders (item, price) VALUES (%s, %s) RETURNING id", (order["item"], order["price"])
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@define_worker("agent.judge")
async def judge(total: int) -> str:
    """An agent is a worker like any other: it is given something, takes its time, and answers."""
    await asyncio.sleep(0)
    return "dear" if total > 100 else "fair"


@define_workflow
async def purchase(workflow: Workflow, where: dict[str, str]) -> dict[str, str | int]:
    prices = await workflow.parallel(
        {item: workflow.do(f"price of {item}", "http.price", f"{where['shop']}/{item}") for item in ("anvil", "tongs")}
    )
    total = sum(prices.values())
    verdict = await workflow.do("judge", "agent.judge", total)
    if verdict == "dear":
        kept = await workflow.do("keep", "database.keep", {"database": where["db"], "item": "both", "price": total})
        return {"verdict": verdict, "kept": kept}
    return {"verdict": verdict}


@pytest.fixture
def database(postgres_url: str) -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    with psycopg.connect(plain(postgres_url), autocommit=True) as connection:
        schema = postgres_url.rpartition("schema=")[2].partition("&")[0]
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute(b"CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, item text, price bigint)")
        yield lambda query: connection.execute(query.encode()).fetchall()


def test_actions_in_sequence_side_by_side_and_on_a_condition(
    tmp_path: Path, engine_url: str, shop: str, postgres_url: str, database: Callable[[str], list[tuple[object, ...]]]
) -> None:
    """E3: two HTTP requests at once, then an agent, then, since it is dear, a row in a database."""
    registry = Registry("none")
    registry.collect(globals())

    async def story() -> None:
        async with open_engine(registry, Settings(project=tmp_path, engine=engine_url)) as engine, asyncio.timeout(60):
            run = await engine.start_run("purchase", {"shop": shop, "db": plain(postgres_url)})
            assert await run.result() == {"verdict": "dear", "kept": 1}
            ends = [event.key for event in await run.history() if event.type == "step_completed"]
            assert [str(key).partition("/")[2] for key in ends[2:]] == ["judge", "keep"]

    asyncio.run(story())
    assert database("SELECT item, price FROM orders") == [("both", 120)]


def test_an_action_that_fails_is_tried_again(tmp_path: Path, engine_url: str, shop: str) -> None:
    """E3, A11: a server that is busy twice answers the third request."""
    registry = Registry("none")
    registry.collect(globals())

    async def story() -> None:
        async with open_engine(registry, Settings(project=tmp_path, engine=engine_url)) as engine, asyncio.timeout(60):
            run = await engine.start_run("asking", f"{shop}/anvil")
            assert await run.result() == 60
            retries = [event.data["error_type"] for event in await run.history() if event.type == "step_retrying"]
            assert retries == ["urllib.error.HTTPError"] * 2

    asyncio.run(story())
    assert Shop.asked == {"/anvil": 3}


@define_workflow
async def asking(workflow: Workflow, url: str) -> int:
    found: int = await workflow.do("price", "http.price", url)
    return found
