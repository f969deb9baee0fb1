"""Backups that are taken while a worker is at work, and runs that go on in what is restored from them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from ..postgres import plain, programs

SLOW = """\
from shop.models import Approval, Order
from shop.wfgen_gen import Workflow
from wfgen import define_workflow


@define_workflow(name="slow", version="1")
async def slow(workflow: Workflow, data: Order) -> int:
    await workflow.hook("approval", Approval)
    for number in range(data.amount):
        await workflow.do("tick", "stock.tick", Order(item=data.item, amount=number))
    await workflow.hook("receipt", Approval)
    return data.amount
"""
TICK = """

@define_worker("stock.tick")
async def tick(order: Order) -> int:
    with Path("effects.log").open("a") as log:
        log.write(f"{order.item} {order.amount}\\n")
    await asyncio.sleep(0.02)
    while order.amount >= 8 and not Path("go").exists():  # however late the backup is, something is left to do
        await asyncio.sleep(0.02)
    return order.amount
"""
START = """\
import asyncio

from shop.models import Approval, Order
from shop.wfgen_gen import connect


async def main() -> None:
    async with connect(work=False) as wf:
        for number in range(8):
            run = await wf.slow.start(Order(item=f"item{number}", amount=12), idempotency_key=f"item{number}")
            await run.hooks.receipt.resume(Approval(ok=True))
            if number:
                await run.hooks.approval.resume(Approval(ok=True))


asyncio.run(main())
"""


MANY_TRANSACTIONS = b"""
DO $$ BEGIN
    CREATE TEMP TABLE numbers (number int);
    FOR number IN 1..5000 LOOP
        BEGIN INSERT INTO numbers VALUES (number); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END LOOP;
END $$
"""
"""Each turn is a transaction inside of one."""


class Sqlite:
    """A store in a file, saved with SQLite's own means, which `.backup` of its shell uses as well."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/w.db"
        self.restored = f"sqlite:///{folder}/restored.db"
        self._paths = folder / "w.db", folder / "copy.db", folder / "restored.db"

    def save(self) -> None:
        with closing(sqlite3.connect(self._paths[0])) as store, closing(sqlite3.connect(self._paths[1])) as copy:
            store.backup(copy)

    def restore(self) -> None:
        self._paths[1].rename(self._paths[2])


class Postgres:
    """A store in a schema, restored on a server that has seen fewer transactions, so that their numbers begin anew."""

    def __init__(self, folder: Path, url: str, other: str) -> None:
        self.url = url
        schema = dict(parse_qsl(urlsplit(url).query))["schema"]
        self.restored = f"{other}&schema={schema}"
        dump = folder / "store.dump"
        self._save: list[str | Path] = [
            programs() / "pg_dump",
            "--format=custom",
            f"--schema={schema}",
            f"--file={dump}",
            plain(url),
        ]
        self._restore: list[str | Path] = [
            programs() / "pg_restore",
            "--exit-on-error",
            "--no-owner",
            "-d",
            other,
            dump,
        ]
        with psycopg.connect(plain(url), autocommit=True) as used:
            used.execute(MANY_TRANSACTIONS)

    def save(self) -> None:
        subprocess.run(self._save, check=True)

    def restore(self) -> None:
        subprocess.run(self._restore, check=True)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, shop: Any) -> Any:
    """A store, how it is saved, and where it is restored."""
    if request.param == "sqlite":
        return Sqlite(shop.folder)
    urls = request.getfixturevalue("postgres_url"), request.getfixturevalue("own_postgres").url
    return Postgres(shop.folder, *urls)


def test_runs_go_on_after_a_restore(shop: Any, place: Any, until: Any) -> None:
    """D16: a backup of a store in use is whole: restored elsewhere, its runs end, and no recorded step runs again."""
    shop.write("shop/slow.workflow.py", SLOW)
    shop.replace("shop/stock.worker.py", "from pathlib", "import asyncio\nfrom pathlib")
    shop.write("shop/stock.worker.py", (shop.folder / "shop/stock.worker.py").read_text() + TICK)
    assert shop.inside("prebuild").returncode == 0
    shop.write("start.py", START)
    before = {"WFGEN_ENGINE": place.url, "WFGEN_LEASE": "2s"}
    subprocess.run([sys.executable, "start.py"], cwd=shop.folder, env=shop.environment(before), check=True)
    worker = shop.start("worker", env=before)
    log = shop.folder / "effects.log"
    until(lambda: log.exists() and len(log.read_text().splitlines()) >= 20)
    place.save()
    worker.kill()
    worker.wait(60)
    place.restore()

    after = {"WFGEN_ENGINE": place.restored, "WFGEN_LEASE": "2s"}
    runs = {run["idempotency_key"]: run["run_id"] for run in shop.ask("runs", "list", "--json", env=after)}
    recorded = {item: _completed(shop, run_id, after) for item, run_id in runs.items()}
    assert 8 <= sum(recorded.values()) < 7 * 12, "it was at work when the backup was taken"
    assert recorded["item0"] == 0
    log.write_text("")
    shop.write("go", "")
    shop.start("worker", env=after)

    def statuses() -> list[str]:
        return sorted(run["status"] for run in shop.ask("runs", "list", "--json", env=after))

    until(lambda: statuses() == ["completed"] * 7 + ["waiting"])
    again = log.read_text().splitlines()
    for item, count in recorded.items():
        expected = [f"{item} {number}" for number in range(count, 12)] if item != "item0" else []
        assert [line for line in again if line.startswith(f"{item} ")] == expected
    words = ("hooks", "resume", "--run", runs["item0"], "--name", "approval", "--input", '{"ok": true}')
    assert shop(*words, env=after).returncode == 0
    until(lambda: statuses() == ["completed"] * 8)
    assert shop.ask("doctor", "--json", env=after)["problems"] == 0


def _completed(shop: Any, run_id: str, env: dict[str, str]) -> int:
    """How many ticks of a run are recorded as completed."""
    events = shop.ask("runs", "history", run_id, "--type", "step_completed", "--json", env=env)
    return len(events)
