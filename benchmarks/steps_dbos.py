"""Durable steps of DBOS on PostgreSQL, or on SQLite, set to WAL and synchronous=FULL. Prints one JSON object.

Runs in the peers' environment. Arguments: folder for the store or URL of a database, runs one at a time, runs at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import sqlalchemy
from dbos import DBOS, DBOSConfig

STEPS = 10


ON_SQLITE = "://" not in sys.argv[1]


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "connect")
def _durable(connection: object, _: object) -> None:
    if not ON_SQLITE:
        return
    connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
    connection.execute("PRAGMA synchronous=FULL")  # type: ignore[attr-defined]


@DBOS.step()
async def asynchronous(number: int) -> int:
    return number


@DBOS.workflow()
async def ten() -> int:
    for number in range(STEPS):
        await asynchronous(number)
    return STEPS


async def main() -> None:
    single, many = int(sys.argv[2]), int(sys.argv[3])
    DBOS.launch()
    await ten()
    began = time.perf_counter()
    for _ in range(single):
        await ten()
    figures = {"one": single * STEPS / (time.perf_counter() - began)}
    began = time.perf_counter()
    started = await asyncio.gather(*[DBOS.start_workflow_async(ten) for _ in range(many)])
    await asyncio.gather(*[run.get_result() for run in started])
    figures["many"] = many * STEPS / (time.perf_counter() - began)
    DBOS.destroy()
    print(json.dumps(figures))


if __name__ == "__main__":
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{sys.argv[1]}/dbos.sqlite" if ON_SQLITE else sys.argv[1],
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    DBOS(config=config)
    asyncio.run(main())
