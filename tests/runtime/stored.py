"""What the dumps of stores in `fixtures/stores` hold, and how one of today's schema is made.

    python tests/runtime/stored.py sqlite 4 > fixtures/stores/sqlite-4.sql
    python tests/runtime/stored.py postgres 1 > fixtures/stores/postgres-1.sql

A dump is made once, by the code of its day, and never again: that is its use. This file uses only what the oldest
code had, so that it could make the older ones.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from wfgen import define_worker, define_workflow
from wfgen.engine import Engine, open_engine
from wfgen.registry import Registry
from wfgen.settings import Settings

HERE = Path(__file__).resolve().parent
CALLS: list[str] = []
"""What the steps did in this process."""


def add(number: int) -> int:
    CALLS.append(f"add {number}")
    return number + 1


def fail() -> None:
    raise ValueError("on purpose")


@define_worker("stored.double")
def double(number: int) -> int:
    CALLS.append(f"double {number}")
    return number * 2


@define_workflow
async def waits(workflow: Any, number: int) -> list[int]:
    """A step, a hook, a step."""
    first = await workflow.do("first", add, number)
    approved = await workflow.hook("approval", int)
    last = await workflow.do("last", "stored.double", first + approved)
    return [first, approved, last]


@define_workflow
async def fails(workflow: Any) -> None:
    await workflow.do("fail", fail)


@define_workflow
async def calls(workflow: Any, number: int) -> list[int]:
    """A child that waits."""
    result: list[int] = await workflow.call("child", "waits", number)
    return result


@define_workflow(execution_mode="remote")
async def asks(workflow: Any, number: int) -> int:
    """A step on a queue."""
    first = await workflow.do("first", add, number)
    result: int = await workflow.do("double", "stored.double", first)
    return result


def registry() -> Registry:
    found = Registry("none")
    found.collect(globals())
    return found


async def _waiting(engine: Engine, *run_ids: str) -> None:
    while not {hook.run_id for hook in await engine.store.hooks()} >= set(run_ids):
        await asyncio.sleep(0.01)


async def fill(settings: Settings, schema: int) -> None:
    """Leave a run in each state that a store of that schema knows; each is found by its idempotency key."""
    async with open_engine(registry(), settings) as engine:
        waiting = await engine.start_run("waits", 1, idempotency_key="waiting")
        answered = await engine.start_run("waits", 2, idempotency_key="answered")
        done = await engine.start_run("waits", 3, idempotency_key="done")
        await _waiting(engine, waiting.id, answered.id, done.id)
        await done.hooks["approval"].resume(10)
        await engine.finished(done.id)
        await engine.finished((await engine.start_run("fails", idempotency_key="failed")).id)
        if schema >= 2:
            parent = await engine.start_run("calls", 4, idempotency_key="parent")
            while len(await engine.store.hooks()) < 3:
                await asyncio.sleep(0.01)
            assert parent.id
    if schema >= 4:
        from wfgen.serving import Serving

        async with open_engine(registry(), settings, serving=Serving(workers=())) as engine:
            queued = await engine.start_run("asks", 6, idempotency_key="queued")
            while not await engine.store.list_jobs(run_id=queued.id):
                await asyncio.sleep(0.01)
    async with open_engine(registry(), settings, work=False) as engine:
        await engine.run(answered.id).hooks["approval"].resume(20)  # nobody has taken it yet
        await engine.start_run("waits", 5, idempotency_key="pending")


def portable(dump: str) -> str:
    """Without the folders of the machine on which it was made."""
    return dump.replace(str(HERE.parents[1]), "/srv/wfgen").replace(
        str(Path(asyncio.__file__).parents[1]), "/usr/lib/python"
    )


def dump_sqlite(schema: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(Settings(project=HERE, engine=f"sqlite:///{folder}/wfgen.db"), schema))
        connection = sqlite3.connect(Path(folder) / "wfgen.db")
        for pragma in ("application_id", "user_version"):
            print(f"PRAGMA {pragma} = {connection.execute(f'PRAGMA {pragma}').fetchone()[0]};")
        print(portable(re.sub(r"\bInf\b", "9e999", "\n".join(connection.iterdump()))))
        connection.close()


def dump_postgres(schema: int) -> None:
    sys.path.insert(0, str(HERE.parent))
    from postgres import Server, programs  # type: ignore[import-not-found]

    server = Server.create()
    server.start()
    try:
        asyncio.run(fill(Settings(project=HERE, engine=server.url), schema + 3))  # it came with the fourth file
        dump = [programs() / "pg_dump", "--schema=wfgen", "--no-owner", "--no-privileges", "--inserts"]
        done = subprocess.run([*dump, f"--dbname={server.url}"], check=True, capture_output=True, text=True)
        # What only the psql of that release knows, and settings that older servers do not.
        print(portable(re.sub(r"(?m)^(\\.*|SET transaction_timeout.*)\n", "", done.stdout)))
    finally:
        server.stop()
        server.remove()


if __name__ == "__main__":
    kind, schema = sys.argv[1], int(sys.argv[2])
    if kind == "sqlite":
        dump_sqlite(schema)
    else:
        dump_postgres(schema)
